"""Names that cross between this engine and Asterisk: ids of things, numbers, display names, dial strings.

Things of a call are called `<call id>-<short id>` on Asterisk, so that every event says whose it is and a repeated
command is the same command. Only an inbound channel bears a name of Asterisk's own. What a caller signals is text
by a stranger: it is cleaned here, before anything else sees it, and never becomes part of a path or a dial string.
"""

import re
import unicodedata
from typing import Final

ANONYMOUS: Final = "anonymous"
"""The number of a caller who withholds it or has none (RFC 3323 calls such a user part the same)."""

MAX_NAME: Final = 64
"""Characters of a display name that are kept."""

_OURS: Final = re.compile(r"(cal_[0-9A-Za-z]+)-([0-9A-Za-z-]+)")
_SIDE: Final = re.compile(r"(.+)-(?:left|right)")
_E164: Final = re.compile(r"\+?[0-9]{1,15}")  # ITU-T E.164, section 6: at most 15 digits
_DIALLED: Final = re.compile(r"[+*#0-9][*#0-9]{0,31}")
_SEPARATORS: Final = str.maketrans("", "", " -.()")
_ENDPOINT: Final = re.compile(r"[A-Za-z0-9_]+/[A-Za-z0-9_.+@:-]{1,128}")
_IN_QUOTES: Final = str.maketrans("", "", '"<>\\')


def full_id(call: str, short: str) -> str:
    """What Asterisk calls the thing `short` of `call`."""
    return f"{call}-{short}"


def split_id(id: str) -> tuple[str, str] | None:
    """Call and short id of a thing of ours; None for what is not ours."""
    found = _OURS.fullmatch(id)
    return (found[1], found[2]) if found else None


def sides_of(recording: str) -> tuple[str, str]:
    """The names, short or full, of a recording that is made of two sides (see `sides`)."""
    return (f"{recording}-left", f"{recording}-right")


def whole_of(side: str) -> str | None:
    """The recording which this is a side of; None for anything else."""
    found = _SIDE.fullmatch(side)
    return found[1] if found else None


def is_addressable(channel: str) -> bool:
    """Whether an id by Asterisk can stand in a path of a request."""
    return 0 < len(channel) <= 150 and "/" not in channel and channel.isprintable()


def caller_number(text: str) -> str:
    """A caller's number as digits with an optional `+`, or `anonymous` for anything else."""
    number = text.translate(_SEPARATORS)
    return number if _E164.fullmatch(number) else ANONYMOUS


def called_number(text: str) -> str:
    """The number that was dialled, `*` and `#` allowed; empty when it cannot be one of ours."""
    number = text.translate(_SEPARATORS)
    return number if _DIALLED.fullmatch(number) else ""


def display_name(text: str) -> str:
    """A display name on one line, without control and format characters (GHSA-2grh-7mhv-fcfw)."""
    visible = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in text)
    return " ".join(visible.split())[:MAX_NAME].rstrip()


def caller_id(number: str, name: str) -> str:
    """Number and name as Asterisk reads a caller id: `"name" <number>`."""
    return f'"{display_name(name).translate(_IN_QUOTES)}" <{caller_number(number)}>'


def is_dialable(endpoint: str) -> bool:
    """Whether this is one endpoint: no second one behind `&`, no option behind `,`, no variable."""
    return _ENDPOINT.fullmatch(endpoint) is not None
