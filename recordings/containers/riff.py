"""WAV, with samples plain or packed: `recordings.wav` judges lengths and chunks; here packed sound gets a length."""

from typing import Final

from recordings import wav
from recordings.containers.source import Shape, Source

MS_ADPCM: Final = 2
ALAW: Final = 6
MULAW: Final = 7
IMA_ADPCM: Final = 0x11
GSM: Final = 0x31
GSM_BLOCK: Final = 320
NAMES: Final = {0x50: "MP2", 0x55: "MP3", 0xFF: "AAC", 0x2000: "AC-3"}


def shape(source: Source, limit_ms: int) -> Shape:
    """Judge the header. Raises `BadAudio`."""
    header = wav.judged(source.file, source.name)
    samples = _block_samples(source, header)
    frames = header.frames * samples
    if frames * 1_000 > limit_ms * header.rate_hz:
        raise source.too_long(limit_ms)
    return Shape(round(frames * 1_000 / header.rate_hz), header.channels, header.rate_hz)


def _block_samples(source: Source, header: wav.Header) -> int:
    """Samples of each channel in a frame; of packed sound, in a block."""
    block, channels = header.frame_bytes, header.channels
    match header.codec:
        case wav.PCM | wav.FLOAT:
            return 1
        case _ if header.codec in (ALAW, MULAW) and block == channels:
            return 1
        case _ if header.codec == GSM and block == 65 and channels == 1:
            return GSM_BLOCK
        case _ if header.codec == IMA_ADPCM and block > 4 * channels:
            return (block - 4 * channels) * 2 // channels + 1
        case _ if header.codec == MS_ADPCM and block > 7 * channels:
            return (block - 7 * channels) * 2 // channels + 2
        case _:
            what = NAMES.get(header.codec, f"codec {header.codec}")
            mend = "export or upload it again as 16-bit PCM WAV"
            raise source.bad(f"its samples are packed in a way that is not known here ({what})", mend)
