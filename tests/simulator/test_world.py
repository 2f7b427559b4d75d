"""The world tells what Asterisk 22 tells, in its order, oddities included."""

from collections.abc import Callable

import pytest

from simulator.phones import AgentPhone
from simulator.things import CANCELLED, Conflict, Gone, Leg, Observer, Phone, Unreachable
from tests.simulator.watching import Ringer, Watched


def test_inbound_answer_play_digit_stop() -> None:
    it = Watched()
    leg = it.world.arrive("+815055550100", "+819055550123", Phone(), leg_id="caller")
    assert it.passes() == ["arrived caller"]
    it.world.answer("caller")
    it.world.play("p", "caller", "say:en::one second")
    assert it.passes(0.2) == ["answered caller", "playing p"]
    it.world.press(leg, "5")
    assert it.passes(0.1) == ["digit caller 5"], "a digit is told at its end"
    it.world.stop_play("p")
    assert it.passes(5) == ["played p done"]


def test_answer_twice_is_told_once() -> None:
    it = Watched()
    it.caller()
    it.world.answer("caller")
    assert it.passes(1) == []


def test_a_sound_ends_after_its_length() -> None:
    it = Watched()
    it.caller()
    it.world.play("p", "caller", "say:en::one second")
    assert it.passes(0.999) == ["playing p"]
    assert it.passes(0.001) == ["played p done"]
    assert it.left_over == 1


def test_a_missing_sound_fails_without_starting() -> None:
    it = Watched(missing=["no such words"])
    it.caller()
    it.world.play("p", "caller", "say:en::no such words")
    assert it.passes() == ["played p failed"]


def test_sounds_on_one_leg_wait_for_each_other() -> None:
    it = Watched()
    it.caller()
    it.world.play("a", "caller", "say:en::one second")
    it.world.play("b", "caller", "say:en::one second")
    assert it.passes(1.5) == ["playing a", "played a done", "playing b"]
    it.world.stop_play("b")
    assert it.passes() == ["played b done"]


def test_a_waiting_sound_can_be_stopped_before_its_turn() -> None:
    it = Watched()
    it.caller()
    it.world.play("a", "caller", "say:en::one second")
    it.world.play("b", "caller", "say:en::one second")
    it.world.stop_play("b")
    assert it.passes(3) == ["playing a", "played b done", "played a done"]


def test_our_hang_up() -> None:
    it = Watched()
    it.caller()
    it.world.hang_up("caller", 16)
    assert it.passes() == ["leaving caller 16", "gone caller 16"]
    with pytest.raises(Gone, match="no leg caller"):
        it.world.hang_up("caller", 16)


def test_caller_hangs_up_in_a_prompt() -> None:
    it = Watched()
    leg = it.caller()
    it.world.play("p", "caller", "say:en::one second")
    it.passes(0.5)
    it.world.leave(leg)
    assert it.passes(9) == ["leaving caller 16", "played p failed", "gone caller 16"]
    with pytest.raises(Gone):
        it.world.play("q", "caller", "say:en::one second")
    assert it.left_over == 0


def test_caller_cancels_while_ringing() -> None:
    it = Watched()
    leg = it.caller(answered=False)
    it.world.leave(leg)
    assert it.passes() == [f"leaving caller {CANCELLED}", f"gone caller {CANCELLED}"]


def test_telephones_say_nothing_more_after_the_end() -> None:
    it = Watched()
    leg = it.caller()
    it.world.leave(leg)
    it.passes()
    it.world.leave(leg)
    it.world.press(leg, "1")
    it.world.talk(leg, True)
    assert it.passes(2) == []


def test_digits_before_the_answer_are_lost() -> None:
    it = Watched()
    leg = it.caller(answered=False)
    it.world.press(leg, "1")
    assert it.passes(1) == []


def test_dialled_rings_and_answers() -> None:
    it = Watched()
    it.agent()
    assert it.world.legs["agent"].up


def test_dialled_order() -> None:
    it = Watched()
    it.world.phones["PJSIP/a"] = ringer = Ringer(it.world)
    it.world.dial("a", "PJSIP/a")
    assert it.passes(3) == ["ringing a"]
    it.world.pick_up(ringer.leg)
    assert it.passes() == ["answered a"]


@pytest.mark.parametrize("cause", [17, 21])
def test_dialled_declines(cause: int) -> None:
    it = Watched()
    leg = it.agent(answered=False)
    it.world.leave(leg, cause)
    assert it.passes() == [f"leaving agent {cause}", f"gone agent {cause}"]


def test_no_answer_in_the_switchs_time_is_19() -> None:
    it = Watched()
    it.agent(answered=False, timeout_s=25)
    assert it.passes(24.9) == []
    assert it.passes(0.1) == ["leaving agent 19", "gone agent 19"]


def test_the_switchs_time_is_over_with_the_answer() -> None:
    it = Watched()
    it.agent(timeout_s=25)
    assert it.passes(100) == []


def test_nobody_listening_never_rings() -> None:
    it = Watched()
    it.world.phones["PJSIP/a"] = Phone()
    it.world.dial("a", "PJSIP/a", timeout_us=5_000_000)
    assert it.passes(9) == ["leaving a 19", "gone a 19"]


def test_unregistered_and_unknown_fail_at_once() -> None:
    it = Watched()
    AgentPhone(it.world, "PJSIP/a", registered=False)
    for endpoint in ("PJSIP/a", "PJSIP/nobody"):
        with pytest.raises(Unreachable, match=endpoint):
            it.world.dial("a", endpoint)
    assert it.passes(60) == []
    assert it.left_over == 0


def test_the_loser_is_deleted_as_answered_elsewhere() -> None:
    it = Watched()
    it.agent("a")
    it.agent("b", answered=False)
    it.world.hang_up("b", 26)
    assert it.passes() == ["leaving b 26", "gone b 26"]
    assert list(it.world.legs) == ["a"]


def test_agent_keeps_ringing_when_the_caller_hangs_up() -> None:
    it = Watched()
    caller = it.caller()
    it.agent(answered=False)
    it.world.leave(caller)
    it.passes(60)
    assert list(it.world.legs) == ["agent"]


def talking(it: Watched) -> tuple[Leg, Leg]:
    caller, agent = it.caller(), it.agent()
    it.world.open_bridge("b")
    it.world.join("b", "caller")
    it.world.join("b", "agent")
    assert it.passes() == ["opened b", "entered b caller", "entered b agent"]
    return caller, agent


def test_the_other_leg_of_a_bridge_stays() -> None:
    it = Watched()
    caller, agent = talking(it)
    it.world.leave(agent)
    assert it.passes(60) == ["leaving agent 16", "left b agent", "gone agent 16"]
    assert caller.bridge is it.world.bridges["b"]


def test_bridge_recording_ends_with_its_last_leg() -> None:
    it = Watched()
    caller, agent = talking(it)
    it.world.record("r", "b")
    it.passes(4)
    it.world.leave(caller)
    assert it.passes(2) == ["leaving caller 16", "left b caller", "gone caller 16"]
    it.world.leave(agent)
    assert it.passes() == ["leaving agent 16", "left b agent", "recorded r 6 bridge_empty", "gone agent 16"]


def test_bridge_recording_ends_on_stop_and_with_its_bridge() -> None:
    it = Watched()
    talking(it)
    it.world.record("r", "b")
    it.passes(3)
    it.world.stop_record("r")
    assert it.passes() == ["recorded r 3 stopped"]
    it.world.record("r2", "b")
    it.passes(1)
    it.world.close_bridge("b")
    assert it.passes() == ["left b caller", "left b agent", "recorded r2 1 bridge_empty", "closed b"]
    assert sorted(it.world.legs) == ["agent", "caller"], "the legs stay up, alone"


def test_digits_in_a_bridge_need_dtmf_events() -> None:
    it = Watched()
    caller, _ = talking(it)
    it.world.press(caller, "1")
    assert it.passes(1) == []
    it.world.close_bridge("b")
    it.world.open_bridge("c", dtmf_events=True)
    it.world.join("c", "caller")
    it.passes()
    it.world.press(caller, "1")
    assert it.passes(1) == ["digit caller 1"]


def test_join_moves_a_leg_and_part_leaves_it_up() -> None:
    it = Watched()
    talking(it)
    it.world.open_bridge("c")
    it.world.join("c", "caller")
    assert it.passes() == ["opened c", "left b caller", "entered c caller"]
    it.world.join("c", "caller")
    assert it.passes() == []
    it.world.part("c", "caller")
    assert it.passes() == ["left c caller"]
    with pytest.raises(Conflict, match="not in bridge"):
        it.world.part("c", "caller")
    assert it.world.legs["caller"].up


def test_join_needs_an_answered_leg_that_is_there() -> None:
    it = Watched()
    it.agent(answered=False)
    it.world.open_bridge("b")
    with pytest.raises(Conflict, match="not answered"):
        it.world.join("b", "agent")
    with pytest.raises(Gone, match="no leg nobody"):
        it.world.join("b", "nobody")
    with pytest.raises(Gone, match="no bridge c"):
        it.world.join("c", "agent")


def test_a_dialled_leg_hears_nothing_before_it_is_answered() -> None:
    it = Watched()
    it.agent(answered=False)
    for ask in (lambda: it.world.play("p", "agent", "tone:beep"), lambda: it.world.record("r", "agent")):
        with pytest.raises(Conflict, match="leg agent is not answered"):
            ask()
    assert it.passes(1) == []


def test_a_sound_in_a_bridge_plays_and_fails_with_it() -> None:
    it = Watched()
    it.world.open_bridge("b")
    it.world.play("p", "b", "say:en::one second")
    assert it.passes(1) == ["opened b", "playing p", "played p done"]
    it.world.play("q", "b", "say:en::one second")
    it.passes(0.5)
    it.world.close_bridge("b")
    assert it.passes(1) == ["played q failed", "closed b"]


@pytest.mark.parametrize("what", ["stop_play", "stop_record", "drop_record", "discard", "close_bridge"])
def test_what_is_not_there_is_gone(what: str) -> None:
    it = Watched()
    with pytest.raises(Gone, match="nothing"):
        getattr(it.world, what)("nothing")


def test_ids_are_used_once() -> None:
    it = Watched()
    it.caller()
    it.agent(answered=False)
    it.world.play("p", "caller", "say:en::one second")
    it.world.record("r", "caller")
    repeats: list[Callable[[], object]] = [
        lambda: it.world.play("p", "caller", "tone:beep"),
        lambda: it.world.record("r", "caller"),
        lambda: it.world.dial("agent", "PJSIP/agent"),
    ]
    for again in repeats:
        with pytest.raises(Conflict, match="already"):
            again()
    bridge = it.world.open_bridge("b")
    assert it.world.open_bridge("b") is bridge


def test_registration_is_told_and_calls_stay() -> None:
    it = Watched()
    it.agent()
    it.world.register("PJSIP/agent", False)
    it.world.register("PJSIP/agent", True)
    assert it.passes() == ["away PJSIP/agent", "reachable PJSIP/agent"]
    assert list(it.world.legs) == ["agent"]


def test_latency_delays_what_is_asked_for() -> None:
    it = Watched(latency_us=50_000)
    it.caller(answered=False)
    it.world.answer("caller")
    assert it.passes(0.049) == []
    assert it.passes(0.001) == ["answered caller"]
    it.world.play("p", "caller", "say:en::one second")
    it.world.stop_play("p")
    assert it.passes(2) == ["playing p", "played p done"]
    it.world.hang_up("caller", 17)
    it.world.hang_up("caller", 16)
    assert it.passes(1) == ["leaving caller 17", "gone caller 17"], "the first cause counts"


def test_hang_up_meets_a_dialling_that_has_not_reached_the_telephone() -> None:
    it = Watched(latency_us=50_000)
    it.world.phones["PJSIP/a"] = Ringer(it.world)
    it.world.dial("a", "PJSIP/a")
    it.world.hang_up("a", 16)
    assert it.passes(1) == ["leaving a 16", "gone a 16"], "it never rang"


def test_next_due_and_time() -> None:
    it = Watched()

    def due() -> int | None:
        return it.world.next_due

    assert due() is None
    it.world.soon(lambda: None)
    assert due() == it.start
    it.passes()
    it.world.after(7, lambda _: None, None)
    it.world.at(it.start - 5, lambda _: None, None)
    assert due() == it.start, "what is late is due now"
    it.passes()
    assert due() == it.start + 7
    it.world.run()
    assert (it.world.now, due()) == (it.start + 7, None)


def test_fixed_delays_come_due_in_the_order_of_all_others() -> None:
    it = Watched()
    order: list[int] = []
    for place in range(4):
        it.world.after_fixed(10, order.append, 2 * place)
        it.world.after(10, order.append, 2 * place + 1)
    it.world.after_fixed(5, order.append, -1)
    it.world.run()
    assert order == [-1, *range(8)]
    it.world.after_fixed(5, order.append, 9)
    it.world.run()
    assert order[-1] == 9


def test_an_observer_hears_what_it_overrides_and_no_more() -> None:
    it = Watched()
    it.world.observer = Observer()
    leg = it.caller()
    it.world.play("p", "caller", "say:en::one second")
    it.passes(0.5)
    it.world.observer = it.told
    it.world.leave(leg)
    assert it.passes() == ["leaving caller 16", "played p failed", "gone caller 16"]
