"""A world whose every happening is written down as one short line, for tests to compare with Asterisk's order."""

from typing import Any

from simulator.sounds import Sounds
from simulator.things import Bridge, Leg, Observer, Phone, Playback, Recording
from simulator.world import World


class Told(Observer):
    """Writes down what it is told, as `name thing details`."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def take(self) -> list[str]:
        """What was told since the last time."""
        lines, self.lines = self.lines, []
        return lines

    def arrived(self, leg: Leg) -> None:
        self.lines.append(f"arrived {leg.id}")

    def leg_ringing(self, leg: Leg) -> None:
        self.lines.append(f"ringing {leg.id}")

    def leg_answered(self, leg: Leg) -> None:
        self.lines.append(f"answered {leg.id}")

    def leg_leaving(self, leg: Leg, cause: int) -> None:
        self.lines.append(f"leaving {leg.id} {cause}")

    def leg_hung_up(self, leg: Leg, cause: int) -> None:
        self.lines.append(f"gone {leg.id} {cause}")

    def digit(self, leg: Leg, digit: str, duration_us: int) -> None:
        self.lines.append(f"digit {leg.id} {digit}")

    def playback_started(self, playback: Playback) -> None:
        self.lines.append(f"playing {playback.id}")

    def playback_ended(self, playback: Playback, ok: bool) -> None:
        self.lines.append(f"played {playback.id} {'done' if ok else 'failed'}")

    def recording_started(self, recording: Recording) -> None:
        self.lines.append(f"recording {recording.id}")

    def recording_ended(self, recording: Recording) -> None:
        self.lines.append(f"recorded {recording.id} {recording.duration_us / 1e6:g} {recording.ended_by}")

    def bridge_opened(self, bridge: Bridge) -> None:
        self.lines.append(f"opened {bridge.id}")

    def bridge_closed(self, bridge: Bridge) -> None:
        self.lines.append(f"closed {bridge.id}")

    def entered(self, bridge: Bridge, leg: Leg) -> None:
        self.lines.append(f"entered {bridge.id} {leg.id}")

    def left(self, bridge: Bridge, leg: Leg) -> None:
        self.lines.append(f"left {bridge.id} {leg.id}")

    def reachable(self, endpoint: str, is_reachable: bool) -> None:
        self.lines.append(f"{'reachable' if is_reachable else 'away'} {endpoint}")


class Ringer(Phone):
    """A telephone that rings until the test does something with `leg`."""

    leg: Leg

    def __init__(self, world: World) -> None:
        self.world = world

    def rings(self, leg: Leg) -> None:
        self.leg = leg
        self.world.alert(leg)


class Watched:
    """A world without latency, what it told, and time that passes in seconds."""

    def __init__(self, **settings: Any) -> None:
        settings.setdefault("latency_us", 0)
        missing = settings.pop("missing", ())
        self.world = World(Sounds({"one second": 1.0}, missing), **settings)
        self.told = Told()
        self.world.observer = self.told
        self.start = self.world.now

    def passes(self, seconds: float = 0) -> list[str]:
        """Let time pass; returns what was told."""
        self.world.run(self.world.now + round(seconds * 1e6))
        return self.told.take()

    def caller(self, *, answered: bool = True) -> Leg:
        """Somebody who called, and was answered."""
        leg = self.world.arrive("+815055550100", "+819055550123", Phone(), leg_id="caller")
        if answered:
            self.world.answer(leg.id)
        self.passes()
        return leg

    def agent(self, name: str = "agent", *, answered: bool = True, timeout_s: float = 0) -> Leg:
        """Somebody who was dialled, rang, and picked up."""
        self.world.phones[f"PJSIP/{name}"] = Ringer(self.world)
        leg = self.world.dial(name, f"PJSIP/{name}", timeout_us=round(timeout_s * 1e6))
        self.passes()
        if answered:
            self.world.pick_up(leg)
            self.passes()
        return leg

    @property
    def left_over(self) -> int:
        world = self.world
        return len(world.legs) + len(world.playbacks) + len(world.recordings) + len(world.bridges)
