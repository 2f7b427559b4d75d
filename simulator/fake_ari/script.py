"""Callers and telephones from JSON: what a person at a terminal, or a demo, lets them do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flowengine.call.causes import CALL_REJECTED
from simulator import phones
from simulator.phones import Behaviour, Caller, Step
from simulator.things import Leg
from simulator.world import World

LONGEST_S: Final = 3_600
MOST_STEPS: Final = 1_000
KEYS: Final = frozenset("0123456789*#ABCD")


class BadScript(Exception):
    """A script or behaviour that cannot be; the message says what and how to mend it."""


def steps_of(script: Any) -> list[Step]:
    """The steps of a caller's script: `[{"wait": 1}, {"press": "1"}, {"hang_up": true}]`. Raises `BadScript`."""
    if not isinstance(script, list):
        raise BadScript('script: give a list of steps, such as [{"wait": 1}, {"hang_up": true}]')
    if len(script) > MOST_STEPS:
        raise BadScript(f"script: at most {MOST_STEPS} steps")
    return [_step(place, step) for place, step in enumerate(script, 1)]


def _step(place: int, step: Any) -> Step:
    where = f"script, step {place}"
    if not isinstance(step, dict) or len(step) != 1:
        raise BadScript(f"{where}: give one of {_all_steps()} with its value")
    ((name, value),) = step.items()
    make = _STEPS.get(name)
    if make is None:
        raise BadScript(f"{where}: there is no step {str(name)[:40]!r}, use one of {_all_steps()}")
    return make(f"{where}, {name}", value)


def seconds(where: str, value: Any) -> int:
    """Seconds as microseconds. Raises `BadScript`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LONGEST_S:
        raise BadScript(f"{where}: give seconds, 0 to {LONGEST_S}")
    return phones.seconds(value)


def text(where: str, value: Any) -> str:
    """Some text. Raises `BadScript`."""
    if not isinstance(value, str) or not value:
        raise BadScript(f"{where}: give a text")
    return value


def _press(where: str, value: Any) -> Step:
    keys = text(where, value)
    if not KEYS.issuperset(keys):
        raise BadScript(f"{where}: give keys of {''.join(sorted(KEYS))}")
    return phones.Press(keys)


def _yes(make: Callable[[], Step]) -> Callable[[str, Any], Step]:
    def made(where: str, value: Any) -> Step:
        if value is not True:
            raise BadScript(f"{where}: give true")
        return make()

    return made


_STEPS: Final[Mapping[str, Callable[[str, Any], Step]]] = {
    "wait": lambda where, value: phones.Wait(seconds(where, value)),
    "press": _press,
    "speak": lambda where, value: phones.Speak(seconds(where, value)),
    "hear": lambda where, value: phones.Hear(text(where, value)),
    "hear_to_end": lambda where, value: phones.Hear(text(where, value), to_end=True),
    "answered": _yes(phones.Answered),
    "mute": _yes(phones.Mute),
    "hang_up": _yes(phones.HangUp),
}


def _all_steps() -> str:
    return ", ".join(_STEPS)


def behaviour_of(given: Any) -> Behaviour:
    """What a telephone does when it is rung. Raises `BadScript`."""
    if not isinstance(given, dict):
        raise BadScript('behaviour: give an object, such as {"answers_after_s": 2}')
    known = {"rings", "answers_after_s", "declines_after_s", "cause", "talks_s"}
    for name in given:
        if name not in known:
            raise BadScript(f"behaviour: there is no {str(name)[:40]!r}, use {', '.join(sorted(known))}")
    times = {
        name: None if given.get(name) is None else seconds(f"behaviour, {name}", given[name])
        for name in ("answers_after_s", "declines_after_s", "talks_s")
    }
    cause = given.get("cause", CALL_REJECTED)
    if isinstance(cause, bool) or not isinstance(cause, int) or not 1 <= cause <= 127:
        raise BadScript("behaviour, cause: give a Q.850 cause, 1 to 127 (17 busy, 21 declined)")
    rings = given.get("rings", True)
    if not isinstance(rings, bool):
        raise BadScript("behaviour, rings: give true or false")
    return Behaviour(rings, times["answers_after_s"], times["declines_after_s"], cause, times["talks_s"])


@dataclass(frozen=True, slots=True)
class Line:
    """One line of what a caller lived through: seconds after the call, and what."""

    at_s: float
    what: str
    sound: str = ""


class LoggedCaller(Caller):
    """A caller who remembers when what happened."""

    def __init__(self, world: World, script: Sequence[Step]) -> None:
        super().__init__(world, script)
        self.log: list[Line] = []
        self.answered_at: int | None = None
        self.hung_up_first = False

    def answered(self, leg: Leg) -> None:
        """The call was answered."""
        self.answered_at = self.world.now
        self._note("answered")
        super().answered(leg)

    def hears(self, leg: Leg, sound: str) -> None:
        """A sound begins."""
        self._note("hears", sound)
        super().hears(leg, sound)

    def heard(self, leg: Leg, sound: str) -> None:
        """A sound is over."""
        self._note("heard", sound)
        super().heard(leg, sound)

    def over(self, leg: Leg, cause: int) -> None:
        """The call is over."""
        self.hung_up_first = not leg.leaving
        self._note("hung up" if self.hung_up_first else "was hung up on")
        super().over(leg, cause)

    def go_on_with(self, steps: Sequence[Step]) -> None:
        """Add steps to the script; they follow at once when it was at its end."""
        at_its_end = self.place == len(self.script) and self.waits_only and self.awaited is None
        self.script = [*self.script, *steps]
        if at_its_end:
            self._go_on(None)

    def _note(self, what: str, sound: str = "") -> None:
        self.log.append(Line((self.world.now - self.leg.created_at) / 1_000_000, what, sound))
