"""Ids: `cal_` and 26 letters and digits, in the order of time.

Twelve characters are the microsecond of the making, fourteen are chance (70 bits), both in Crockford's base 32
in lower case. So an id sorts by age, shows what it names, can be chosen without asking the database, and is safe
in a file name, a URL and a channel id of the switch.
"""

import secrets
import time
from typing import Final, Literal

Prefix = Literal["acc", "flw", "num", "usr", "grp", "dev", "cal", "rec", "trf", "ntf", "aud"]

LENGTH: Final = 30
"""Characters of a whole id: prefix, underscore and 26."""

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_CHARS: Final = 12
_CHANCE_CHARS: Final = 14

_last = 0


def new_id(prefix: Prefix) -> str:
    """Make an id that sorts after every id made before it in this process."""
    global _last  # noqa: PLW0603 - the order within one microsecond is kept here
    _last = max(time.time_ns() // 1_000, _last + 1)
    return f"{prefix}_{_base32(_last, _TIME_CHARS)}{_base32(secrets.randbits(70), _CHANCE_CHARS)}"


def _base32(value: int, length: int) -> str:
    return "".join(_ALPHABET[value >> shift & 31] for shift in range(5 * (length - 1), -1, -5))
