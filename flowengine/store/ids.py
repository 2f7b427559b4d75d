"""Ids: `cal_` and 26 letters and digits, in the order of time.

Twelve characters are the microsecond of the making, fourteen are chance (70 bits), both in Crockford's base 32
in lower case. So an id sorts by age, shows what it names, can be chosen without asking the database, and is safe
in a file name, a URL and a channel id of the switch.
"""

import secrets
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Literal

Prefix = Literal["acc", "flw", "num", "usr", "grp", "dev", "cal", "rec", "trf", "ntf", "aud"]

LENGTH: Final = 30
"""Characters of a whole id: prefix, underscore and 26."""

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_OF_BYTES: Final = _ALPHABET.encode() * 8
"""A character for each of the 256 bytes: all 32 are equally likely."""
_PAIRS: Final = [first + second for first in _ALPHABET for second in _ALPHABET]
_TIME_CHARS: Final = 12
_CHANCE_CHARS: Final = 14

_last = 0


def new_id(prefix: Prefix) -> str:
    """Make an id that sorts after every id made before it in this process."""
    return new_ids(prefix, 1)[0]


def new_ids(prefix: Prefix, count: int) -> Sequence[str]:
    """Make many ids at once, in order; each is as good as one of `new_id`, and costs a fraction of it."""
    global _last  # noqa: PLW0603 - the order within one microsecond is kept here
    first = max(time.time_ns() // 1_000, _last + 1)
    _last = first + count - 1
    chance = secrets.token_bytes(count * _CHANCE_CHARS).translate(_OF_BYTES).decode("ascii")
    return [
        f"{prefix}_{_high(moment >> 10)}{_PAIRS[moment & 1023]}{chance[start : start + _CHANCE_CHARS]}"
        for moment, start in zip(
            range(first, first + count), range(0, count * _CHANCE_CHARS, _CHANCE_CHARS), strict=True
        )
    ]


@lru_cache(maxsize=16)
def _high(value: int) -> str:
    """The time but for its last two characters, which is the same for a millisecond."""
    return "".join(_ALPHABET[value >> shift & 31] for shift in range(5 * (_TIME_CHARS - 3), -1, -5))
