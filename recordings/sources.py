"""Where the file behind an audio id lies, and never anywhere else.

An id comes from a flow document and so from whoever may edit one. It must lead to a regular file below the audio
root; links are followed first and judged by where they lead.
"""

from pathlib import Path
from typing import Final

from recordings.errors import SoundUnavailable

ID_LIMIT: Final = 400
CHOOSE: Final = "upload it again or choose another sound"


def located(root: Path | None, id: str) -> Path:
    """The file of an audio id (`.wav` may be left out). Raises `SoundUnavailable`; looks at the disk."""
    name = f"audio {id[:40]!r}"
    if root is None:
        raise SoundUnavailable(name, "no audio directory is configured", "set one, or use spoken text")
    parts = id.split("/")
    if len(id) > ID_LIMIT or "\\" in id or not id.isprintable() or {"", ".", ".."} & set(parts):
        mend = "use an id or a path below the audio directory, such as aud_123 or music/waltz.wav"
        raise SoundUnavailable(name, "it is not the name of an audio file", mend)
    home = root.resolve()
    for candidate in (home / id, home / f"{id}.wav"):
        try:
            real = candidate.resolve(strict=True)
        except (OSError, RuntimeError):
            continue
        if real.is_relative_to(home) and real.is_file():
            return real
    raise SoundUnavailable(name, "there is no such audio", CHOOSE)
