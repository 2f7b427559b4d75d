"""Q.850 causes and what they mean for a call, in one table.

Causes cross this project as plain integers because that is how every switch reports them (ITU-T Q.850;
Asterisk `causes.h`). The meaning is decided here and nowhere else: dial statuses are ignored, for a
declined call (SIP 603) is reported by Asterisk as NOANSWER although its cause says what happened.
"""

from typing import Final, Literal

UNALLOCATED: Final = 1
NORMAL: Final = 16
USER_BUSY: Final = 17
NO_USER_RESPONSE: Final = 18
NO_ANSWER: Final = 19
SUBSCRIBER_ABSENT: Final = 20
CALL_REJECTED: Final = 21
ANSWERED_ELSEWHERE: Final = 26
DESTINATION_OUT_OF_ORDER: Final = 27
TEMPORARY_FAILURE: Final = 41
CONGESTION: Final = 42

Outcome = Literal["answered", "no_answer", "busy", "rejected", "unreachable", "cancelled"]
"""How one attempt to reach one agent ended."""

_OUTCOMES: Final[dict[int, Outcome]] = {
    USER_BUSY: "busy",
    CALL_REJECTED: "rejected",
    NO_USER_RESPONSE: "no_answer",
    NO_ANSWER: "no_answer",
    ANSWERED_ELSEWHERE: "cancelled",
}


def outcome(cause: int, *, rang: bool) -> Outcome:
    """What a leg that ended unanswered with `cause` says about its agent.

    `rang` tells whether the device ever reported ringing: an address nobody listens on ends with the same
    cause as a telephone nobody picks up, and only the ringing tells them apart.
    """
    found = _OUTCOMES.get(cause)
    if found is None:
        return "no_answer" if rang and cause == NORMAL else "unreachable"
    if found == "no_answer" and not rang:
        return "unreachable"
    return found


_RANK: Final[dict[Outcome, int]] = {
    "answered": 0,
    "no_answer": 1,
    "rejected": 2,
    "busy": 3,
    "cancelled": 4,
    "unreachable": 5,
}


def strongest(outcomes: list[Outcome]) -> Outcome:
    """The outcome of an agent whose devices ended differently: the one that says most about the person."""
    return min(outcomes, key=_RANK.__getitem__, default="unreachable")


def exit_after(outcomes: list[Outcome], *, busy: int) -> Literal["timeout", "busy", "unavailable"]:
    """The exit of a transfer nobody answered (product rules, section 3).

    `timeout` when a telephone rang out, else `busy` when somebody is there but on a call (`busy` counts those
    who were not even rung), else `unavailable`: nobody in reach, or they declined.
    """
    if "no_answer" in outcomes:
        return "timeout"
    return "busy" if busy or "busy" in outcomes else "unavailable"
