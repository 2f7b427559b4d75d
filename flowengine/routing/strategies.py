"""Pure: from the members of a group to the agents of the next ring wave."""

from collections.abc import Sequence
from typing import Literal, NamedTuple


class Member(NamedTuple):
    """A member of a group as the desk sees it at this moment."""

    user: str
    place: int
    """Place in the line: who went online first has the lowest; who answers goes to the end."""
    free: bool
    reachable: bool


class Wave(NamedTuple):
    """Whom to ring now, and why the others are not rung."""

    users: tuple[str, ...]
    busy: int
    unreachable: int


def next_wave(
    members: Sequence[Member], ringing: Literal["parallel", "sequential"], tried: Sequence[str] = ()
) -> Wave:
    """Choose the next wave: everybody free, or the first in line not `tried` (product rules, section 3)."""
    free: list[Member] = []
    busy = unreachable = 0
    for member in members:
        if member.user in tried:
            continue
        if not member.reachable:
            unreachable += 1
        elif member.free:
            free.append(member)
        else:
            busy += 1
    if len(free) > 1:
        free.sort(key=lambda each: each.place)
    users = tuple([member.user for member in (free if ringing == "parallel" else free[:1])])
    return Wave(users, busy, unreachable)
