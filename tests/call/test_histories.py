"""Golden journals: calls recorded once must lead to the same commands for ever, and to the same record.

See tests/call/record_histories.py for what they are and how one is added.
"""

from pathlib import Path

import pytest

from flowengine.call.machine import CallMachine
from flowengine.call.trace import Trace, dump, read, replay
from tests.call.record_histories import FOLDER, HISTORIES

JOURNALS = sorted(FOLDER.glob("*.jsonl"))

RECORDS = {
    "keys-in-one-breath-to-a-recorded-talk": "answered menu:1 sales:answered | ben | talk 61500",
    "one-by-one-to-a-message": "message menu:2 more:1 urgent:timeout box:recorded | | voicemail 7900",
    "wrong-keys-to-the-limit-of-a-message": (
        "message menu:2 more:invalid hours:next box:timeout thanks:next | | voicemail 60000"
    ),
    "silence-in-every-way": "self_served menu:timeout box:recorded | |",
    "a-turn-in-the-waiting-line": "answered boss: | hanako | talk 130000",
    "the-line-takes-too-long": "message boss:timeout box: | | voicemail 3000",
    "a-full-line-and-a-short-message": "missed boss:busy box: | |",
    "the-caller-gives-up-while-three-telephones-ring": "abandoned menu:1 sales: | |",
    "no-credit-in-a-talk": "answered boss: | hanako | talk 59900",
    "a-lost-switch": "answered boss: | hanako | talk 0",
    "no-room-for-a-message": "self_served menu:timeout box:timeout thanks:next | |",
    "a-talk-paused-cut-and-short-of-credit": "answered boss:answered | hanako | talk 60000",
    "late-repeated-and-from-the-past": "answered boss:answered | hanako | talk 3000",
}
"""How each call shows in the history: disposition, path, agents, recordings."""


def load(path: Path) -> Trace:
    return read(path.read_bytes())


def test_every_script_has_its_journal_and_every_journal_its_record() -> None:
    names = {script.__name__.replace("_", "-") for script in HISTORIES}
    assert {path.stem for path in JOURNALS} == names == set(RECORDS)


@pytest.mark.parametrize("path", JOURNALS, ids=lambda path: path.stem)
def test_a_recorded_call_says_today_what_it_said_then(path: Path) -> None:
    assert replay(load(path)) is None


@pytest.mark.parametrize("path", JOURNALS, ids=lambda path: path.stem)
def test_a_recorded_call_shows_in_the_history_as_it_did(path: Path) -> None:
    trace = load(path)
    machine = CallMachine(trace.flow)
    for entry in trace.entries:
        machine.step(entry.event)
    assert machine.done
    record = machine.record()
    walked = " ".join(f"{visit.state}:{visit.outcome}" for visit in record.path)
    kept = " ".join(f"{each.purpose} {each.duration_ms}" for each in record.recordings)
    shown = " | ".join([f"{record.disposition} {walked}", " ".join(record.agents), kept])
    assert shown.replace("  ", " ").rstrip() == RECORDS[path.stem]


@pytest.mark.parametrize("path", JOURNALS, ids=lambda path: path.stem)
def test_a_recorded_call_can_be_written_and_read_again(path: Path) -> None:
    trace = load(path)
    assert read(dump(trace)) == trace


def test_a_journal_with_a_wrong_digest_is_found_out() -> None:
    trace = load(FOLDER / "diverging" / "wrong-digest.jsonl")
    found = replay(trace)
    assert found is not None
    assert (found.seq, found.expected) == (5, "0000000000000000")
    assert found.got != found.expected
    assert found.event == trace.entries[5].event
    assert found.commands


def test_the_wrong_digest_is_all_that_is_wrong_with_it() -> None:
    wrong = (FOLDER / "diverging" / "wrong-digest.jsonl").read_text().splitlines()
    right = (FOLDER / "a-turn-in-the-waiting-line.jsonl").read_text().splitlines()
    assert [at for at, rows in enumerate(zip(wrong, right, strict=True)) if rows[0] != rows[1]] == [6]
