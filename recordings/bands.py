"""One sound, two bands: the narrow form cut from the wide one, and how loud they are, in one run of ffmpeg.

Loudness is the integrated loudness of EBU R 128 (ITU-R BS.1770), of the narrow form, which most telephones play:
pauses do not count, and what the ear hears less counts less. The narrow form is filtered from the wide one with room
above full scale, because a filter can make single peaks higher; the common gain comes afterwards and takes the room
away again.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recordings import decode
from recordings.errors import BadAudio, ToolFailed, ToolMissing
from recordings.process import run

SPLIT_BITS: Final = 32
SPLIT_DB: Final = 12.0
"""The narrow form comes out this much quieter, at 32 bits, so that nothing is clipped or lost."""
NARROW: Final = "aresample=8000:filter_size=64:cutoff=0.95"
"""A filter long enough that nothing above the band comes back as an audible whistle."""
UNMEASURED_LUFS: Final = -70.0
"""What the meter says of sound too short (below 0.4 s) or too quiet to have a loudness."""

_METER: Final = re.compile(
    r"\[ebur128@(?P<of>wide|band) @ \w+\] Summary:.*?"
    r"\bI:\s+(?P<lufs>\S+) LUFS.*?\bPeak:\s+(?P<peak>\S+) dBFS",
    re.DOTALL,
)
"""The summary of a meter. Each is told twice, and first at the start, when nothing was measured yet."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Integrated loudness of the narrow form (LUFS), None for sound that has none; the highest peak of both, between
    samples, too (dBFS).
    """

    lufs: float | None
    true_peak_dbfs: float


def split(wide: Path, narrow: Path) -> Measured:
    """Measure a WAV file of ours and write its telephone band: 8 kHz, 32 bits, `SPLIT_DB` quieter.

    Raises `BadAudio` when it cannot be measured in time, `ToolMissing` without ffmpeg.
    """
    meter = "peak=true:framelog=verbose"
    graph = (
        f"[0:a]asplit[all][low];[all]ebur128@wide={meter}[wide];[low]aformat=sample_fmts=dbl,{NARROW},"
        f"asplit[heard][kept];[heard]ebur128@band={meter}[band];[kept]volume=-{SPLIT_DB}dB[narrow]"
    )
    argv = [
        *("ffmpeg", "-nostdin", "-hide_banner", "-nostats", "-loglevel", "info", "-threads", "1"),
        *("-protocol_whitelist", "file,pipe", "-f", "wav", "-i", f"file:{wide.absolute()}"),
        *("-filter_complex", graph, "-map", "[wide]", "-f", "null", "-", "-map", "[band]", "-f", "null", "-"),
        *("-map", "[narrow]", "-c:a", "pcm_s32le", "-map_metadata", "-1", "-fflags", "+bitexact"),
        *("-f", "wav", f"file:{narrow.absolute()}"),
    ]
    try:
        finished = run(argv, seconds=decode.DECODE_S, mend=decode.INSTALL)
    except ToolMissing:
        raise
    except ToolFailed as error:
        raise BadAudio(wide.name, "measuring it took too long", "shorten it") from error
    told = {meter["of"]: meter for meter in _METER.finditer(finished.complaint)}
    if finished.code != 0 or told.keys() != {"wide", "band"}:
        raise BadAudio(wide.name, "its loudness cannot be measured", "export it again as 16-bit PCM WAV")
    lufs = float(told["band"]["lufs"])
    peaks = [float(meter["peak"]) for meter in told.values()]
    return Measured(lufs if lufs > UNMEASURED_LUFS else None, max(peaks))
