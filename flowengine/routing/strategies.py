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
    waiting = sorted((member for member in members if member.user not in tried), key=lambda each: each.place)
    free = [member.user for member in waiting if member.reachable and member.free]
    return Wave(
        users=tuple(free if ringing == "parallel" else free[:1]),
        busy=sum(member.reachable and not member.free for member in waiting),
        unreachable=sum(not member.reachable for member in waiting),
    )
