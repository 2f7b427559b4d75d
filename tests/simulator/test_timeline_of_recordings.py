"""What a timeline tells of recordings, room, pauses and credit: golden histories, line by line."""

from pathlib import Path

from flowengine.call import events
from flowengine.call.trace import read
from flowengine.flow.document import Voicemail
from simulator.timeline import narrate
from tests.call.driving import Driven, drive, flow, say

HISTORIES = Path(__file__).parents[1] / "histories"


def told(history: str) -> list[str]:
    """The lines of a golden history that are about recordings, sounds and credit."""
    trace = read((HISTORIES / f"{history}.jsonl").read_bytes())
    lines = narrate(trace.flow, (entry.event for entry in trace.entries))
    return [line.text for line in lines if line.kind in ("recording", "sound", "credit")]


def of(call: Driven) -> list[str]:
    return [line.text for line in narrate(call.machine.flow, call.journal) if line.kind == "recording"]


def test_a_talk_with_everything_that_can_happen_to_its_recording() -> None:
    assert told("a-talk-paused-cut-and-short-of-credit") == [
        'plays "This call is recorded."',
        "somebody asks to pause the recording",
        "somebody asks to go on with the recording",
        "records the talk, caller and agent apart",
        "somebody asks to pause the recording",
        "pauses the recording",
        "somebody asks to go on with the recording",
        "goes on recording",
        "somebody asks to go on with the recording",
        "no more room to record: the storage plan is used up",
        "the recording ended after 60.0 s",
        "keeps the talk with hanako, 60.0 s, cut for want of room",
        "the credit pays for 60 s more",
        "plays builtin:minute-left:en-US",
        "the credit pays for 60 s more",
    ]


def test_no_room_for_a_message() -> None:
    assert "no room to record: the storage plan is used up" in told("no-room-for-a-message")
    assert "plays builtin:mailbox-full:en-US" in told("no-room-for-a-message")


def test_a_recording_on_a_lost_switch() -> None:
    assert told("a-lost-switch")[-1] == "keeps the talk with hanako, of unknown length"


def box() -> Driven:
    return drive(flow(box=Voicemail(prompt=say("Speak"), beep=False))).arrives().prompt_ends().waits(3)


def test_why_a_recording_is_thrown_away() -> None:
    assert of(box().recorded(400))[-1] == "throws the recording away: too short"
    assert of(box().recorded(3_000, ok=False))[-1] == "throws the recording away"
    refused = box()
    refused.happens(events.CommandFailed(refused.now, refused.audit.of_kind("record")[0], "no"))
    assert of(refused)[-1] == "throws the recording away"
