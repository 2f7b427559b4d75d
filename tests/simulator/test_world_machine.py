"""Whatever telephones and operators do to the world in whatever order, it keeps its own rules.

Nothing is told of a thing before it began or after it ended, every end is told once, one sound or recording runs on a
leg at a time, and when everybody has hung up nothing is left.
"""

from contextlib import suppress
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from simulator.things import Bridge, Leg, Observer, Phone, Playback, Recording, Refused
from simulator.world import World
from tests.simulator.watching import Ringer

PICK = st.integers(0, 30)
SOUNDS = {"short": 300_000, "long": 20_000_000, "none": None}


class Rules(Observer):
    """Fails at the first thing told out of order."""

    def __init__(self) -> None:
        self.legs: dict[Leg, str] = {}
        self.began: set[Playback | Recording] = set()
        self.ended: set[Playback | Recording] = set()
        self.bridges: dict[Bridge, list[Leg]] = {}

    def arrived(self, leg: Leg) -> None:
        assert leg not in self.legs
        self.legs[leg] = "there"

    def leg_ringing(self, leg: Leg) -> None:
        assert self.legs.setdefault(leg, "there") == "there"
        self.legs[leg] = "rings"

    def leg_answered(self, leg: Leg) -> None:
        assert self.legs.setdefault(leg, "there") in ("there", "rings")
        self.legs[leg] = "up"

    def leg_leaving(self, leg: Leg, cause: int) -> None:
        assert self.legs.setdefault(leg, "there") in ("there", "rings", "up")
        self.legs[leg] = "leaves"

    def leg_hung_up(self, leg: Leg, cause: int) -> None:
        assert self.legs[leg] == "leaves"
        assert all(leg not in inside for inside in self.bridges.values())
        self.legs[leg] = "gone"

    def digit(self, leg: Leg, digit: str, duration_us: int) -> None:
        assert self.legs[leg] == "up"

    def playback_started(self, playback: Playback) -> None:
        self._began(playback)

    def playback_ended(self, playback: Playback, ok: bool) -> None:
        self._ended(playback)
        assert ok or not playback.started or not playback.target.open or playback.sound == "none"

    def recording_started(self, recording: Recording) -> None:
        self._began(recording)

    def recording_ended(self, recording: Recording) -> None:
        self._ended(recording)
        assert 0 <= recording.duration_us <= recording.received_us
        assert recording.talked_us <= recording.received_us
        assert not recording.limit_us or recording.received_us <= recording.limit_us

    def bridge_opened(self, bridge: Bridge) -> None:
        self.bridges[bridge] = []

    def bridge_closed(self, bridge: Bridge) -> None:
        assert self.bridges.pop(bridge) == []

    def entered(self, bridge: Bridge, leg: Leg) -> None:
        assert all(leg not in inside for inside in self.bridges.values())
        self.bridges[bridge].append(leg)

    def left(self, bridge: Bridge, leg: Leg) -> None:
        self.bridges[bridge].remove(leg)

    def _began(self, thing: Playback | Recording) -> None:
        assert thing not in self.began | self.ended
        if isinstance(thing.target, Leg):
            running = [
                other for other in self.began - self.ended if other.target is thing.target and other.open
            ]
            assert running == []
            assert self.legs[thing.target] != "gone"
        self.began.add(thing)

    def _ended(self, thing: Playback | Recording) -> None:
        assert thing not in self.ended
        if isinstance(thing.target, Leg):
            assert self.legs[thing.target] != "gone"
        self.ended.add(thing)


class AnyWorld(RuleBasedStateMachine):
    """Everything anybody can do."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(SOUNDS.get, latency_us=0)
        self.world.observer = self.told = Rules()
        self.ever: list[Leg] = []
        self.made = 0
        for name in ("a", "b"):
            self.world.phones[f"PJSIP/{name}"] = Ringer(self.world)

    def _id(self) -> str:
        self.made += 1
        return f"thing-{self.made}"

    def _one(self, of: dict[str, Any], pick: int) -> str:
        """One of these ids, or now and then one that is not there."""
        ids = [*of, "nothing"]
        return ids[pick % len(ids)]

    def _target(self, pick: int) -> str:
        return self._one({**self.world.legs, **self.world.bridges}, pick)

    def _ask(self, what: Any, *args: Any, **more: Any) -> None:
        with suppress(Refused):
            what(*args, **more)

    @rule(seconds=st.sampled_from([0, 0.01, 0.3, 2, 20]))
    def time_passes(self, seconds: float) -> None:
        self.world.run(self.world.now + round(seconds * 1e6))

    @rule(latency_us=st.sampled_from([0, 1_000, 400_000]))
    @precondition(lambda self: self.world.next_due is None)
    def the_switch_becomes_slower_or_quicker(self, latency_us: int) -> None:
        self.world._latency_us = latency_us

    @rule()
    def somebody_calls(self) -> None:
        self.ever.append(self.world.arrive("+815055550100", "", Phone(), leg_id=self._id()))

    @rule(
        endpoint=st.sampled_from(["PJSIP/a", "PJSIP/b", "PJSIP/c"]),
        timeout_us=st.sampled_from([0, 2_000_000]),
    )
    def dial(self, endpoint: str, timeout_us: int) -> None:
        try:
            self.ever.append(self.world.dial(self._id(), endpoint, timeout_us=timeout_us))
        except Refused:
            assert endpoint == "PJSIP/c"

    @rule(
        pick=PICK,
        does=st.sampled_from(["leave", "pick_up", "alert", "press", "talk", "hush", "mute", "unmute"]),
    )
    @precondition(lambda self: self.ever)
    def telephone(self, pick: int, does: str) -> None:
        leg = self.ever[pick % len(self.ever)]
        match does:
            case "press":
                self.world.press(leg, "1#")
            case "talk" | "hush":
                self.world.talk(leg, does == "talk")
            case "mute" | "unmute":
                self.world.send(leg, does == "unmute")
            case _:
                getattr(self.world, does)(leg)

    @rule(pick=PICK, what=st.sampled_from(["answer", "ring", "stop_ring", "hang_up"]))
    def leg(self, pick: int, what: str) -> None:
        self._ask(getattr(self.world, what), self._one(self.world.legs, pick))

    @rule(pick=PICK, sound=st.sampled_from(sorted(SOUNDS)))
    def play(self, pick: int, sound: str) -> None:
        self._ask(self.world.play, self._id(), self._target(pick), sound)

    @rule(
        pick=PICK,
        limit_us=st.sampled_from([0, 1_000_000]),
        silence_us=st.sampled_from([0, 500_000]),
        end_on=st.sampled_from(["", "#", "any"]),
    )
    def record(self, pick: int, limit_us: int, silence_us: int, end_on: str) -> None:
        limits: dict[str, Any] = {"limit_us": limit_us, "silence_us": silence_us, "end_on": end_on}
        self._ask(self.world.record, self._id(), self._target(pick), **limits)

    @rule(pick=PICK)
    def stop_play(self, pick: int) -> None:
        self._ask(self.world.stop_play, self._one(self.world.playbacks, pick))

    @rule(pick=PICK, what=st.sampled_from(["stop_record", "drop_record"]))
    def stop_record(self, pick: int, what: str) -> None:
        self._ask(getattr(self.world, what), self._one(self.world.recordings, pick))

    @rule()
    def open_bridge(self) -> None:
        self.world.open_bridge(self._id())

    @rule(bridge=PICK, leg=PICK, what=st.sampled_from(["join", "join", "part"]))
    def bridge(self, bridge: int, leg: int, what: str) -> None:
        ids = self._one(self.world.bridges, bridge), self._one(self.world.legs, leg)
        self._ask(getattr(self.world, what), *ids)

    @rule(pick=PICK)
    def close_bridge(self, pick: int) -> None:
        self._ask(self.world.close_bridge, self._one(self.world.bridges, pick))

    @invariant()
    def what_is_there_is_open(self) -> None:
        world = self.world
        for things in (world.legs, world.playbacks, world.recordings, world.bridges):
            assert all(thing.open for thing in things.values())

    def teardown(self) -> None:
        """Everybody hangs up and every bridge is closed: then nothing may be left, and every end was told."""
        world = self.world
        world.run()
        for leg in list(world.legs.values()):
            world.leave(leg)
        for bridge in list(world.bridges):
            world.close_bridge(bridge)
        world.run()
        for things in (world.legs, world.playbacks, world.recordings, world.bridges):
            assert not things
        assert self.told.began <= self.told.ended
        assert set(self.told.legs.values()) <= {"gone"}


AnyWorld.TestCase.settings = settings(stateful_step_count=40)
TestAnyWorld = AnyWorld.TestCase
