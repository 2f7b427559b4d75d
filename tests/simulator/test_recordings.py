"""Recordings in the simulated world end as Asterisk's do, and count what was received."""

import pytest

from simulator.things import Leg
from tests.simulator.watching import Watched


def recording(**settings: float | str) -> tuple[Watched, Leg]:
    """A caller whose leg is being recorded; limits in seconds."""
    it = Watched()
    leg = it.caller()
    it.world.record(
        "r",
        "caller",
        limit_us=round(float(settings.get("limit", 0)) * 1e6),
        silence_us=round(float(settings.get("silence", 0)) * 1e6),
        end_on=str(settings.get("end_on", "")),
    )
    assert it.passes() == ["recording r"]
    return it, leg


def test_key_ends_it_and_is_told_first() -> None:
    it, leg = recording(end_on="#")
    it.passes(3)
    it.world.press(leg, "1#")
    assert it.passes(9) == ["digit caller 1", "digit caller #", "recorded r 3.3 key"]


def test_any_key_ends_it() -> None:
    it, leg = recording(end_on="any")
    it.world.press(leg, "7")
    assert it.passes(1) == ["digit caller 7", "recorded r 0.1 key"]


def test_hang_up_keeps_it_and_ends_before_its_leg() -> None:
    it, leg = recording()
    it.passes(2)
    it.world.leave(leg)
    assert it.passes() == ["leaving caller 16", "recorded r 2 hang_up", "gone caller 16"]
    assert list(it.world.stored) == ["r"]


def test_silence_ends_it_and_is_cut_off() -> None:
    it, leg = recording(silence=5)
    it.world.talk(leg, True)
    it.passes(10)
    it.world.talk(leg, False)
    assert it.passes(4.9) == []
    assert it.passes(0.1) == ["recorded r 10.2 silence"]
    assert it.world.stored["r"].talking_us == 10_000_000


def test_a_pause_is_no_end() -> None:
    it, leg = recording(silence=5)
    for _ in range(3):
        it.world.talk(leg, True)
        it.passes(2)
        it.world.talk(leg, False)
        it.passes(4)
    assert it.passes(1) == ["recorded r 14.2 silence"]
    assert it.world.stored["r"].talking_us == 6_000_000


def test_limit_ends_it() -> None:
    it, leg = recording(limit=6, silence=5)
    it.world.talk(leg, True)
    assert it.passes(6) == ["recorded r 6 limit"]


def test_limit_runs_on_received_audio_only() -> None:
    it, leg = recording(limit=2)
    it.passes(1)
    it.world.send(leg, False)
    assert it.passes(3600) == [], "a caller who sends nothing never reaches the limit"
    it.world.send(leg, True)
    assert it.passes(1) == ["recorded r 2 limit"]


def test_silence_does_not_run_either_while_nothing_is_received() -> None:
    it, leg = recording(silence=3)
    it.world.send(leg, False)
    assert it.passes(60) == []
    it.world.send(leg, True)
    assert it.passes(3) == ["recorded r 0.2 silence"]


def test_without_listening_for_silence_nobody_knows_who_talked() -> None:
    it, leg = recording()
    it.world.talk(leg, True)
    it.passes(4)
    it.world.stop_record("r")
    assert it.passes() == ["recorded r 4 stopped"]
    assert it.world.stored["r"].talking_us is None


def test_a_recording_waits_for_the_sound_before_it() -> None:
    it = Watched()
    it.caller()
    it.world.play("p", "caller", "say:en::one second")
    it.world.record("r", "caller", limit_us=2_000_000)
    assert it.passes(9) == ["playing p", "played p done", "recording r", "recorded r 2 limit"]


def test_a_running_recording_can_be_thrown_away() -> None:
    it, _ = recording()
    it.passes(1)
    it.world.drop_record("r")
    assert it.passes() == ["recorded r 1 stopped"]
    assert it.world.stored == {}


def test_a_stored_one_is_discarded() -> None:
    it, _ = recording()
    it.world.stop_record("r")
    it.passes()
    it.world.discard("r")
    assert it.world.stored == {}


@pytest.mark.parametrize("seconds", [0, 1])
def test_talking_before_it_began_does_not_count(seconds: float) -> None:
    it = Watched()
    leg = it.caller()
    it.world.talk(leg, True)
    it.passes(seconds)
    it.world.record("r", "caller", silence_us=1_000_000)
    it.passes(2)
    it.world.talk(leg, False)
    it.passes(1)
    assert it.world.stored["r"].talking_us == 2_000_000
