"""Files that are two things at once: sound for one reader, an archive, a page or a playlist for another.

What we render holds none of the upload's own bytes, but an upload may be kept and handed out again, and then its
other reader is a browser or a virus. So it is refused. Only what is decisive is looked for: an archive is found
from its end, markup from the places where programs look for it.
"""

from typing import Final

from recordings.containers.source import Source

LOOK_BYTES: Final = 1 << 16
PDF_BYTES: Final = 1_024
ZIP_END: Final = b"PK\x05\x06"
ZIP_END_BYTES: Final = 22
TEXTS: Final = {
    b"<!doctype html": "a web page",
    b"<html": "a web page",
    b"<script": "a script",
    b"<svg xmlns": "a drawing",
    b"<?php": "a script",
    b"#extm3u": "a playlist",
    b"[playlist]": "a playlist",
    b"ffconcat version": "a playlist",
}
"""As long as they are, so that no sound holds one by chance: the shortest is met once in some 10 million files."""


def second_nature(source: Source) -> str | None:
    """What else a file is, in words; None when it is one thing."""
    top = source.some(0, LOOK_BYTES)
    end_at = max(0, source.size - LOOK_BYTES - ZIP_END_BYTES)
    end = source.some(end_at, source.size - end_at)
    if _ends_as_zip(end):
        return "an archive (zip)"
    if b"%PDF-" in top[:PDF_BYTES]:
        return "a document (PDF)"
    for part in (top, end):
        plain = part.lower()
        for text, what in TEXTS.items():
            if text in plain:
                return what
    return None


def _ends_as_zip(end: bytes) -> bool:
    """Whether there is an end of a zip directory that accounts for every byte behind it, or for all but a little."""
    at = len(end)
    while (at := end.rfind(ZIP_END, 0, at)) >= 0:
        comment = int.from_bytes(end[at + 20 : at + 22], "little")
        entries = int.from_bytes(end[at + 10 : at + 12], "little")
        # Programs forgive what follows, and the directory itself is known by the sign of its entries.
        if len(end) - at >= ZIP_END_BYTES and (
            at + ZIP_END_BYTES + comment == len(end) or b"PK\x01\x02" in end[:at]
        ):
            return bool(entries) or at + ZIP_END_BYTES + comment == len(end)
    return False
