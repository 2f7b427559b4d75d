"""Scripted people: callers who follow a list of steps, and agents who do one thing when their phone rings.

Everybody acts through the world's `alert`, `pick_up`, `press`, `talk`, `leave`, as a telephone would; nobody here
knows that an engine exists. A later kind of person (one who follows distributions) is one more `Phone`.
"""
# ruff: noqa: ARG002 - a telephone is told more than each of them needs

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from flowengine.call.causes import CALL_REJECTED, USER_BUSY
from simulator.sounds import SECOND, spoken_text
from simulator.things import Leg, Phone
from simulator.world import World

PATIENCE_US: Final = 3_600 * SECOND
"""After so long a caller hangs up who only waits: for a sound, for the answer, or for others to hang up."""


def seconds(value: float) -> int:
    """Whole microseconds of a number of seconds."""
    return round(value * SECOND)


class Step(Protocol):
    """One line of a caller's script."""

    def begin(self, caller: "Caller") -> int | None:
        """Do it; returns after how many microseconds the next step follows, None when something must happen first."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for a while. The line carries silence."""

    us: int

    def begin(self, caller: "Caller") -> int:
        """Let the time pass."""
        return self.us


@dataclass(frozen=True, slots=True)
class Press:
    """Press keys in one breath."""

    keys: str

    def begin(self, caller: "Caller") -> int:
        """Press them; the next step follows when the last is released."""
        return caller.world.press(caller.leg, self.keys)


@dataclass(frozen=True, slots=True)
class Hear:
    """Wait until a sound begins whose text contains `text`, or (`to_end`) until it has ended."""

    text: str
    to_end: bool = False

    def begin(self, caller: "Caller") -> int | None:
        """Go on at once when that sound is in the ear already."""
        if not self.to_end and caller.hearing is not None and self.text in spoken_text(caller.hearing):
            return 0
        caller.awaited = self
        return None


@dataclass(frozen=True, slots=True)
class Answered:
    """Wait until the call is answered."""

    def begin(self, caller: "Caller") -> int | None:
        """Go on at once when it is."""
        if caller.leg.up:
            return 0
        caller.awaited = self
        return None


@dataclass(frozen=True, slots=True)
class Speak:
    """Talk for a while."""

    us: int

    def begin(self, caller: "Caller") -> int:
        """Talk; the next step begins with silence."""
        caller.world.talk(caller.leg, True)
        return self.us


@dataclass(frozen=True, slots=True)
class Mute:
    """Send no audio any more, not even silence: a line that went dead without a word."""

    def begin(self, caller: "Caller") -> int:
        """Stop sending."""
        caller.world.send(caller.leg, False)
        return 0


@dataclass(frozen=True, slots=True)
class HangUp:
    """Hang up; before the answer that cancels the call."""

    def begin(self, caller: "Caller") -> int | None:
        """End the call."""
        caller.world.leave(caller.leg)
        return None


class Caller(Phone):
    """Somebody who calls and follows a script. The script begins when they dial."""

    __slots__ = ("awaited", "cause", "hearing", "leg", "place", "script", "sounds", "waits_only", "world")

    def __init__(self, world: World, script: Sequence[Step]) -> None:
        self.world = world
        self.script = script
        self.place = 0
        self.awaited: Step | None = None
        """The step that waits for something to happen."""
        self.waits_only = False
        """Nothing more will come from the script unless something happens first."""
        self.hearing: str | None = None
        self.sounds: list[str] = []
        """Everything heard, in order, as sound keys."""
        self.cause: int | None = None
        """Why the call was over, once it is."""

    def call(self, number: str, caller: str, caller_name: str = "") -> Leg:
        """Dial; the script runs from here on."""
        self.leg = self.world.arrive(number, caller, self, caller_name=caller_name)
        self.world.after_fixed(PATIENCE_US, self._lose_patience, None)
        self._go_on(None)
        return self.leg

    def answered(self, leg: Leg) -> None:
        """The engine has answered."""
        if isinstance(self.awaited, Answered):
            self._go_on(None)

    def hears(self, leg: Leg, sound: str) -> None:
        """A prompt begins."""
        self.hearing = sound
        self.sounds.append(sound)
        awaited = self.awaited
        if isinstance(awaited, Hear) and not awaited.to_end and awaited.text in spoken_text(sound):
            self._go_on(None)

    def heard(self, leg: Leg, sound: str) -> None:
        """A prompt is over."""
        self.hearing = None
        awaited = self.awaited
        if isinstance(awaited, Hear) and awaited.to_end and awaited.text in spoken_text(sound):
            self._go_on(None)

    def over(self, leg: Leg, cause: int) -> None:
        """The call is over; the rest of the script is dropped."""
        self.cause = cause

    def _go_on(self, _: object) -> None:
        self.awaited = None
        self.waits_only = False
        leg = self.leg
        if leg.talking:
            self.world.talk(leg, False)
        while leg.open:
            if self.place == len(self.script):
                self.waits_only = True
                return
            step = self.script[self.place]
            self.place += 1
            pause_us = step.begin(self)
            if pause_us is None:
                self.waits_only = True
                return
            if pause_us:
                self.world.after(pause_us, self._go_on, None)
                return

    def _lose_patience(self, _: object) -> None:
        if self.waits_only:
            self.world.leave(self.leg)
        elif self.leg.open:
            self.world.after_fixed(PATIENCE_US, self._lose_patience, None)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What an agent does about one ringing. Times are microseconds; the default lets it ring for ever."""

    rings: bool = True
    """False: the telephone is dead, the switch never hears it ring."""
    answers_after_us: int | None = None
    declines_after_us: int | None = None
    cause: int = CALL_REJECTED
    """With which cause to decline."""
    talks_us: int | None = None
    """How long to talk after picking up; None: until the other side hangs up."""


SILENT: Final = Behaviour()
DEAD: Final = Behaviour(rings=False)
BUSY: Final = Behaviour(rings=False, declines_after_us=0, cause=USER_BUSY)


class AgentPhone(Phone):
    """The telephone of an agent, with one call at a time; another one meets a busy signal.

    Args:
        world: where it stands.
        endpoint: its address; it registers itself there.
        behaviours: one for each ringing, in order; the last is for all further ones.
        registered: whether it is in reach from the start.
    """

    __slots__ = ("behaviours", "endpoint", "leg", "registered", "rung", "world")

    def __init__(
        self,
        world: World,
        endpoint: str,
        behaviours: Sequence[Behaviour] = (SILENT,),
        registered: bool = True,
    ) -> None:
        self.world = world
        self.endpoint = endpoint
        self.behaviours = behaviours
        self.registered = registered
        self.rung = 0
        self.leg: Leg | None = None
        world.phones[endpoint] = self

    def rings(self, leg: Leg) -> None:
        """Do what the behaviour for this ringing says."""
        world = self.world
        if self.leg is not None:
            world.leave(leg, USER_BUSY)
            return
        self.leg = leg
        does = self.behaviours[min(self.rung, len(self.behaviours) - 1)]
        self.rung += 1
        if does.rings:
            world.alert(leg)
        if does.declines_after_us is not None:
            world.after(does.declines_after_us, self._decline, (leg, does.cause))
        elif does.answers_after_us is not None:
            world.after(does.answers_after_us, self._pick_up, (leg, does.talks_us))

    def over(self, leg: Leg, cause: int) -> None:
        """Be free again."""
        if self.leg is leg:
            self.leg = None

    def _decline(self, of: tuple[Leg, int]) -> None:
        leg, cause = of
        self.world.leave(leg, cause)

    def _pick_up(self, of: tuple[Leg, int | None]) -> None:
        leg, talks_us = of
        if leg.open:
            self.world.pick_up(leg)
            self.world.talk(leg, True)
            if talks_us is not None:
                self.world.after(talks_us, self.world.leave, leg)
