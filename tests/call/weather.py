"""Anything that can happen to a call, in any order, for hypothesis.

A list of happenings is a string of bytes, three for each: what, to which thing, and how. It is read only when it
meets a call, so that most events concern something which is really there, and every string shrinks to a short one.
The other events concern things long gone, never opened or of another kind; they come twice, late, and from the past.
"""

from collections.abc import Callable
from typing import Final

from hypothesis import settings
from hypothesis import strategies as st

from flowengine.call import events
from flowengine.call.commands import Command
from flowengine.call.events import CALLER, SECOND, Agent, Event
from flowengine.flow.document import (
    Announcement,
    Flow,
    GroupTransfer,
    Ivr,
    UserTransfer,
    Voicemail,
    WaitingLine,
)
from tests.call.driving import Driven, agent, announcement, flow, say, with_goodbye

PEOPLE: Final[tuple[Agent, ...]] = (agent("u1"), agent("u2", devices=2), agent("u3"), Agent("u4", ()))
_CAUSES: Final = (16, 17, 19, 21, 20, 18, 26, 27, 41, 1, 0, 127)
_LATER_S: Final = (0.0, 0.0, 0.0, 0.2, 1.0, 7.0, 40.0, -3.0)
_KEYS: Final = "12*121*2#09D"

thorough = settings(max_examples=4 * settings().max_examples)
"""For the heart of the engine: four times the examples of other tests."""

_Make = Callable[[Driven, str, int], Event]


def _offer(call: Driven, request: str, how: int) -> Event:
    offered = tuple(person for at, person in enumerate(PEOPLE) if how >> at & 1)
    return events.AgentsOffered(call.now, request, offered, busy=how >> 4 & 1, unreachable=how >> 5 & 1)


def _recorded(call: Driven, id: str, how: int) -> Event:
    talking_ms = None if how % 3 else how * 50
    return events.RecordingEnded(call.now, id, how * 100, how % 8 != 7, talking_ms)


def _room(call: Driven, id: str, how: int) -> Event:
    return events.RoomReserved(call.now, id, how % 4 != 3)


def _no_more_room(call: Driven, id: str, how: int) -> Event:
    return events.RoomRanOut(call.now, id)


def _failed(call: Driven, id: str, how: int) -> Event:
    return events.CommandFailed(call.now, id, "no")


_HAPPENS_TO: Final[dict[str, tuple[_Make, ...]]] = {
    "leg": (
        lambda call, id, how: events.LegAnswered(call.now, id),
        lambda call, id, how: events.LegRinging(call.now, id),
        lambda call, id, how: events.LegHungUp(call.now, id, _CAUSES[how % len(_CAUSES)]),
        lambda call, id, how: events.DigitPressed(call.now, id, _KEYS[how % len(_KEYS)]),
    ),
    "play": (lambda call, id, how: events.PlaybackEnded(call.now, id, how % 8 != 7), _failed),
    "room": (_room, _room, _room, _no_more_room, _recorded, _failed),
    "record": (_recorded, _failed, _no_more_room, _room),
    "timer": (lambda call, id, how: events.TimerFired(call.now, id),),
    "bridge": (_failed,),
    "ask": (_offer, _offer, _offer, _failed),
    "line": (
        lambda call, id, how: events.LineJoined(call.now, id, 1 + how % 5),
        lambda call, id, how: events.LineMoved(call.now, id, 1 + how % 5, 30.0 * how),
        _offer,
        lambda call, id, how: events.LineFull(call.now, id),
        _failed,
    ),
}
"""What can happen to an open thing, by its kind."""


def weather(happenings: int = 50) -> st.SearchStrategy[bytes]:
    """So many happenings at most, for `befall`; half of the time nearly as many, as short strings go nowhere."""
    return st.binary(max_size=3 * happenings) | st.binary(min_size=2 * happenings, max_size=3 * happenings)


def befall(call: Driven, happenings: bytes, *, then: Callable[[], None] = lambda: None) -> Driven:
    """Let them happen to a call, one after another, with `then` after each; gives the call."""
    owed: list[Command] = list(call.said)
    for at in range(0, len(happenings) - 2, 3):
        what, which, how = happenings[at : at + 3]
        call.now += round(_LATER_S[what >> 5] * SECOND)
        event = _event(call, what % 32, which, how, owed)
        if event is not None:
            call.said = []
            call.feed(event)
            owed += call.said
            then()
    return call


def _event(call: Driven, what: int, which: int, how: int, owed: list[Command]) -> Event | None:
    if what < 20:
        return _likely(call, which, how)
    if what < 23:
        return events.DigitPressed(call.now, CALLER, _KEYS[how % len(_KEYS)])
    if what < 27:
        return _confirmed(call, owed)
    if what < 29:
        return call.journal[-1 - which % len(call.journal)]
    if what == 29:
        return events.CreditRunsOut(call.now, how)
    if what == 30:
        return events.PauseAsked(call.now, how % 2 == 0)
    return _astray(call, which, how)


def _likely(call: Driven, which: int, how: int) -> Event | None:
    there = [(id, kind) for id, kind in call.audit.open.items() if id != CALLER]
    if not there:
        return None
    id, kind = there[which % len(there)]
    makes = _HAPPENS_TO[kind]
    return makes[which // 64 % len(makes)](call, id, how)


def _confirmed(call: Driven, owed: list[Command]) -> Event | None:
    """The switch confirms the next thing it was asked for."""
    while owed:
        if (event := call.confirmation(owed.pop(0))) is not None:
            return event
    return None


def _astray(call: Driven, which: int, how: int) -> Event | None:
    """Something happens to a thing of another kind, one long gone, or one that never was."""
    makes = [make for several in _HAPPENS_TO.values() for make in several]
    known = list(call.audit.kind)
    id = (known[which % len(known)], "leg-99", "")[how % 3]
    event = makes[which % len(makes)](call, id, how)
    return None if isinstance(event, events.LegHungUp) and event.leg == CALLER else event


_ALL: Final[dict[str, str | None]] = {"timeout": "last", "unavailable": "last", "busy": "last"}
_LINE = WaitingLine(max_waiting=2, notice=say("Please wait."), music_cycles=2)

FLOWS: Final[dict[str, Flow]] = {
    "menus": flow(
        first=Ivr(prompt=say("One"), attempts=2, connections={"1": "second", "*": "last", "timeout": "last"}),
        second=Ivr(prompt=say("Two"), connections={"2": "last", "invalid": "last"}),
        last=Voicemail(prompt=say("Speak"), max_duration_s=30.0),
    ),
    "person": flow(
        ring=UserTransfer(user="u1", record=True, ring_timeout_s=20.0, connections=_ALL),
        last=Voicemail(prompt=say("Speak"), beep=False),
    ),
    "line": flow(
        hello=announcement("Hello", "ring"),
        ring=UserTransfer(user="u2", record=True, queue=_LINE, connections=_ALL),
        last=announcement("Nobody"),
    ),
    "line, never answered": flow(
        ring=UserTransfer(user="u1", queue=_LINE.model_copy(update={"notice": None}))
    ),
    "all at once": with_goodbye(
        flow(ring=GroupTransfer(group="g1", record=True, connections=_ALL), last=UserTransfer(user="u3")),
        "Bye",
    ),
    "one by one": flow(
        menu=Ivr(prompt=say("One"), connections={"1": "ring", "timeout": "ring"}),
        ring=GroupTransfer(group="g1", ringing="sequential", ring_timeout_s=5.0, connections=_ALL),
        last=Voicemail(prompt=say("Speak"), connections={"timeout": "end"}),
        end=announcement("Thank you"),
    ),
    "told, apart, and talking twice": flow(
        hello=Announcement(prompt=say("Recorded"), tells_of_recording=True, connections={"next": "ring"}),
        ring=UserTransfer(
            user="u1",
            record=True,
            recording_sides="apart",
            recording_notice=say("Recorded"),
            connections={"answered": "last", **_ALL},  # no validator lets that pass
        ),
        last=GroupTransfer(group="g1", record=True, queue=_LINE),
    ),
    "empty": Flow(format="flowengine/1", name="", states={}),
}
"""Every kind of state with every setting that changes what it does."""


def flows() -> st.SearchStrategy[Flow]:
    """One of `FLOWS`; cheap to draw."""
    return st.sampled_from(list(FLOWS.values()))
