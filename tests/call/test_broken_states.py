"""States with bugs: what they leave open is closed, the caller hears an apology, and the crash is kept."""

import pytest

from flowengine.call import commands
from flowengine.call.call import Call
from flowengine.call.causes import CONGESTION
from flowengine.call.events import CALLER
from flowengine.call.machine import CallMachine, digest
from flowengine.flow.document import GroupTransfer
from flowengine.states import STATES
from tests.call.driving import agent, announcement, drive, flow, spoken


def test_what_a_careless_state_leaves_open_is_closed_before_the_next_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def careless(call: Call, node: object) -> str:
        call.answer()
        message = await call.room_for_message(60)
        assert message is not None
        offer = await call.offer("group", "sales")
        await call.ring(offer.agents, 20)
        call._play("tone:long")
        call._timer(60)
        call._begin_recording(message, CALLER)
        call._room("talk")
        return "timeout"

    monkeypatch.setitem(STATES, "group_transfer", careless)
    of = flow(ring=GroupTransfer(group="sales", connections={"timeout": "b"}), b=announcement("B"))
    call = drive(of, responsive=False).arrives().answered().offered(agent("aki")).rings("aki").picks_up("aki")
    said = [type(each) for each in call.said]
    assert said[said.index(commands.ReserveRoom) + 1 :] == [
        commands.ReleaseRoom,
        commands.CancelTimer,
        commands.StopPlay,
        commands.HangUp,
        commands.StopRecord,
        commands.AgentReleased,
        commands.Play,
    ]
    assert call.playing == spoken("B")


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Announcements that open one thing of every kind named in the list, and then break."""
    opens: list[str] = []

    async def announcement(call: Call, node: object) -> str:
        if "answer" in opens:
            call.answer()
            await call.play("tone:beep")
        if "sound" in opens:
            call._play("tone:long")
            call._timer(60)
        if "talk" in opens:
            message = await call.room_for_message(60)
            assert message is not None
            call._begin_recording(message, CALLER)
            offer = await call.offer("group", "sales")
            await call.ring(offer.agents, 20)
        raise LookupError("a bug")

    monkeypatch.setitem(STATES, "announcement", announcement)
    return opens


def test_a_bug_before_the_answer_ends_the_call_with_a_failure(broken: list[str]) -> None:
    call = drive(flow(a=announcement("A", "b"), b=announcement("B"))).arrives()
    assert call.ended_with == CONGESTION
    assert not call.all_of(commands.Play)
    assert "LookupError: a bug" in call.machine.crash
    record = call.machine.record()
    assert (record.end_reason, record.disposition) == ("crashed", "failed")
    assert [visit.outcome for visit in record.path] == [""]


def test_a_bug_after_the_answer_is_apologised_for(broken: list[str]) -> None:
    broken += ["answer", "sound"]
    call = drive(flow(a=announcement("A"))).arrives().prompt_ends()
    assert call.playing == "builtin:apology:en-US"
    assert call.just(commands.StopPlay)
    assert call.just(commands.CancelTimer)
    assert call.prompt_ends().ended_with == CONGESTION
    assert call.is_over()


def test_a_bug_leaves_nobody_ringing_and_nobody_reserved(broken: list[str]) -> None:
    broken += ["answer", "talk"]
    call = drive(flow(a=announcement("A"))).arrives().prompt_ends().offered(agent("aki"), agent("ben"))
    call.rings("aki", "ben").picks_up("ben")
    assert call.playing == "builtin:apology:en-US"
    assert [(each.user, each.outcome) for each in call.all_of(commands.AgentReleased)] == [
        ("aki", "cancelled"),
        ("ben", "answered"),
    ]
    assert call.phones == []
    assert call.prompt_ends().is_over()


def test_a_caller_may_hang_up_into_the_apology(broken: list[str]) -> None:
    broken += ["answer"]
    call = drive(flow(a=announcement("A"))).arrives().prompt_ends().hangs_up()
    assert call.is_over()
    assert call.machine.record().end_reason == "crashed"


def test_a_bug_happens_again_in_the_replay(broken: list[str]) -> None:
    broken += ["answer"]
    call = drive(flow(a=announcement("A"))).arrives().prompt_ends().prompt_ends()
    again = CallMachine(call.machine.flow)
    assert [digest(again.step(event)) for event in call.journal] == call.digests
