"""Traces: written, read by an eye and by a stranger's program, replayed; and every way a file can be bad."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowengine.call import commands, events
from flowengine.call.events import Event
from flowengine.call.machine import digest
from flowengine.call.trace import (
    FORMAT,
    BadTrace,
    Entry,
    Trace,
    decode_event,
    dump,
    encode_event,
    read,
    record,
    replay,
)
from flowengine.flow.document import Flow
from tests.call.driving import T0, agent, announcement, drive, flow
from tests.call.weather import befall, flows, weather
from tests.flow.strategies import valid_flows

HELLO = flow(hello=announcement("Hello"))
ARRIVED = events.CallArrived(T0, "+815055550100", "+819055550123", "v1")


def hello() -> Trace:
    """A short call: hello, and gone."""
    call = drive(HELLO).arrives().prompt_ends()
    return record(HELLO, "cal_1", call.journal)


def lines() -> list[dict[str, Any]]:
    return [json.loads(row) for row in dump(hello()).splitlines()]


def text(rows: list[dict[str, Any]]) -> str:
    return "\n".join(json.dumps(row) for row in rows)


def bad(given: str | bytes) -> str:
    """Why it cannot be read."""
    with pytest.raises(BadTrace) as caught:
        read(given)
    return str(caught.value)


@given(flow=flows(), happenings=weather(20))
def test_what_is_recorded_replays_as_it_was(flow: Flow, happenings: bytes) -> None:
    call = befall(drive(flow).arrives(), happenings)
    trace = record(flow, "cal_1", call.journal)
    assert [entry.digest for entry in trace.entries] == call.digests
    again = read(dump(trace))
    assert [entry.event for entry in again.entries] == call.journal
    assert again.flow.sha256() == flow.sha256()
    assert replay(again) is None


@given(flow=flows(), happenings=weather(20), data=st.data())
def test_one_changed_digest_is_found_at_its_place(flow: Flow, happenings: bytes, data: st.DataObject) -> None:
    entries = list(record(flow, "cal_1", befall(drive(flow).arrives(), happenings).journal).entries)
    at = data.draw(st.integers(0, len(entries) - 1))
    entries[at] = entries[at]._replace(digest="ffffffffffffffff")
    found = replay(Trace("cal_1", flow, tuple(entries)))
    assert found is not None
    assert found.seq == at


def test_an_empty_digest_is_not_compared() -> None:
    trace = hello()
    entries = tuple(entry._replace(digest="") for entry in trace.entries)
    assert replay(Trace(trace.call, trace.flow, entries)) is None


def test_another_flow_diverges() -> None:
    trace = hello()
    found = replay(Trace(trace.call, flow(hello=announcement("Good day")), trace.entries))
    assert found is not None
    assert found.seq == 0
    assert isinstance(found.commands[1], commands.Play)


def test_the_lines_are_as_documented() -> None:
    header, first, *_ = lines()
    assert header["trace"] == FORMAT == "flowengine/trace/1"
    assert header["call"] == "cal_1"
    assert header["flow"]["format"] == "flowengine/1"
    assert first["seq"] == 0
    assert first["event"]["type"] == "call_arrived"
    assert first["event"]["at"] == T0
    assert len(first["digest"]) == 16
    assert [each["type"] for each in first["commands"]] == ["answer", "play"]


def test_commands_are_for_the_reader_alone() -> None:
    rows = lines()
    for row in rows[1:]:
        row["commands"] = [{"type": "nonsense"}]
    assert replay(read(text(rows))) is None
    for row in rows[1:]:
        del row["commands"]
    assert replay(read(text(rows))) is None


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\n\n  \n"])
def test_line_ends_and_blank_lines_do_not_matter(ending: str) -> None:
    assert read(dump(hello()).replace("\n", ending)).entries == read(dump(hello())).entries


EVERY_EVENT: tuple[Event, ...] = (
    ARRIVED,
    events.LegRinging(T0, "leg-1"),
    events.LegAnswered(T0, "caller"),
    events.LegHungUp(T0, "leg-1", 16),
    events.DigitPressed(T0, "caller", "*"),
    events.PlaybackEnded(T0, "play-1", False),
    events.RecordingEnded(T0, "rec-1", 1200, True, 900),
    events.RoomReserved(T0, "rec-1", True),
    events.RoomRanOut(T0, "rec-1"),
    events.PauseAsked(T0, True),
    events.CreditRunsOut(T0, 60),
    events.TimerFired(T0, "timer-1"),
    events.AgentsOffered(T0, "ask-1", (agent("hanako", 2),), 1, 2),
    events.LineJoined(T0, "line-1", 1),
    events.LineMoved(T0, "line-1", 2, 90.0),
    events.LineFull(T0, "line-1"),
    events.CommandFailed(T0, "bridge-1", "gone"),
    events.CallKilled(T0, "no_credit"),
)


def test_every_kind_of_event_survives_its_journal() -> None:
    assert {type(event) for event in EVERY_EVENT} == set(Event.__args__)
    for event in EVERY_EVENT:
        assert decode_event(encode_event(event)) == event


def test_an_event_of_another_version_is_named() -> None:
    with pytest.raises(BadTrace, match="not an event of this version"):
        decode_event('{"type": "call_parked", "at": 1}')


def test_a_digest_stands_for_the_commands_and_their_order() -> None:
    several: list[commands.Command] = [commands.Answer("caller"), commands.StopPlay("play-1")]
    assert digest(several) == digest(list(several)) != digest(several[::-1])
    assert digest([]) != digest(several[:1]) != digest([commands.Answer("leg-1")])


# Bad files


def test_an_empty_file() -> None:
    assert bad("") == bad(" \n\n") == "empty: a trace begins with a header line"


def test_bytes_that_are_no_text() -> None:
    assert bad(b'{"trace"\xff') == "not UTF-8 (byte 8): a trace is UTF-8 JSON Lines"


def test_a_header_that_is_none() -> None:
    for row in ("nonsense", "[]", '{"call": "x"}', '{"trace": 1, "call": "x", "flow": {}}'):
        assert bad(row).startswith('line 1: not a trace header {"trace": "flowengine/trace/1"')


def test_a_format_of_the_future() -> None:
    rows = lines()
    rows[0]["trace"] = "flowengine/trace/2"
    why = bad(text(rows))
    assert "'flowengine/trace/2' is not known here; this engine reads flowengine/trace/1" in why


def test_a_flow_that_is_none() -> None:
    rows = lines()
    rows[0]["flow"]["states"]["hello"]["type"] = "dance"
    assert bad(text(rows)).startswith("line 1: the flow in the header is not valid")


def test_a_journal_without_an_arrival() -> None:
    rows = lines()
    assert bad(text(rows[:1])) == "line 2: the first event of a journal is call_arrived"
    rows[2]["seq"] = 0
    assert bad(text([rows[0], rows[2]])) == "line 2: the first event of a journal is call_arrived"


def test_a_missing_line_is_named() -> None:
    rows = lines()
    assert bad(text(rows[:2] + rows[3:])) == "line 3: seq is 2 where 1 follows; a line is missing or moved"


def test_a_line_there_twice_is_named() -> None:
    rows = lines()
    assert bad(text(rows[:2] + rows[1:])) == "line 3: seq is 0 where 1 follows; a line is missing or moved"


def test_a_file_cut_off_in_a_line_can_be_read_up_to_there() -> None:
    whole = dump(hello())
    cut = whole[: len(whole) - 30]
    why = bad(cut)
    last = cut.count("\n") + 1
    assert why.startswith(f"line {last}: not a journal line")
    assert why.endswith("mend it, or end the file before it")
    assert read(cut[: cut.rindex("\n")]).entries == read(whole).entries[:-1]


def test_a_byte_order_mark_does_not_matter() -> None:
    assert read(b"\xef\xbb\xbf" + dump(hello()).encode()) == read(dump(hello()))


def test_the_header_is_named_by_its_line_too() -> None:
    assert bad("\n\nnonsense").startswith("line 3: not a trace header")


@pytest.mark.parametrize(
    "row",
    [
        '{"seq": 0, "event": {"type": "call_arrived"}, "digest": ""}',
        '{"seq": "0", "event": {"type": "timer_fired", "at": 1, "timer": "t"}, "digest": ""}',
        '{"seq": 0, "event": {"type": "timer_fired", "at": 1.5, "timer": "t"}, "digest": ""}',
        '{"seq": 0, "event": {"type": "timer_fired", "at": true, "timer": "t"}, "digest": ""}',
        '{"seq": 0, "event": {"type": "timer_fired", "at": 1, "timer": null}, "digest": ""}',
        '{"seq": 0, "event": {"type": "call_killed", "at": 1, "reason": "boredom"}, "digest": ""}',
        '{"seq": 0, "event": {"type": "no_such_event", "at": 1}, "digest": ""}',
        '{"seq": 0, "event": {"type": "timer_fired", "at": 1, "timer": "t"}}',
        '{"seq": 0, "event": {"type": "timer_fired", "at": 1, "timer": "t"}, "digest": 7}',
        '{"seq": 0, "event": {"type": "timer_fired", "at": 1, "timer": "\\ud800"}, "digest": ""}',
        '{"seq": 0, "event": {"type": "timer_fired", "at": 1, "timer": "t"}, "digest": "", "commands": [',
        "null",
    ],
)
def test_a_line_of_the_wrong_form_is_named(row: str) -> None:
    assert bad(f"{dump(hello()).splitlines()[0]}\n{row}").startswith("line 2: not a journal line")


def test_a_hostile_flow_in_the_header_is_refused_or_harmless() -> None:
    """A loop cannot be published, but it can stand in a file: each turn of it takes an event, so a replay ends."""
    loop = flow(a=announcement("A", "b"), b=announcement("B", "a"))
    call = drive(loop).arrives()
    for _ in range(50):
        call.prompt_ends()
    assert replay(read(dump(record(loop, "cal_1", call.journal)))) is None
    rows = lines()
    rows[0]["flow"]["states"]["hello"]["exits"] = {"next": "nowhere"}
    assert read(text(rows)).flow.states["hello"].connections == {"next": "nowhere"}
    rows[0]["flow"]["states"] = {f"s{at}": {"type": "ivr"} for at in range(5_000)}
    assert len(bad(text(rows))) < 1_000


@given(flow=valid_flows(max_states=5))
def test_any_publishable_flow_survives_the_header(flow: Flow) -> None:
    trace = Trace("cal_1", flow, (Entry(ARRIVED, ""),))
    again = read(dump(trace))
    assert again.flow == flow
    assert dump(again) == dump(trace)


def test_a_broken_line_is_named_by_its_number_in_the_file() -> None:
    rows = dump(hello()).split("\n")
    rows[2] = rows[2][:-5]
    assert bad("\n\n".join(rows)).startswith("line 5: not a journal line")


@pytest.mark.parametrize("deep", ["[" * 200_000, '{"flow":' * 200_000, '{"trace":' + "[" * 200_000])
def test_deep_nesting_is_a_bad_trace_too(deep: str) -> None:
    assert bad(deep).startswith("line 1")
    assert bad(f"{dump(hello()).splitlines()[0]}\n{deep}").startswith("line 2")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("call_arrived"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(data=st.data())
def test_a_mangled_trace_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    rows = lines()
    at: Any = rows[data.draw(st.integers(0, len(rows) - 1))]
    while True:
        key = data.draw(st.sampled_from(sorted(at) if isinstance(at, dict) else list(range(len(at)))))
        if isinstance(at[key], dict | list) and at[key] and data.draw(st.booleans()):
            at = at[key]
            continue
        at[key] = data.draw(_JSON)
        break
    with suppress(BadTrace):
        replay(read(text(rows)))


@given(st.text() | st.binary() | st.text(st.characters(categories=["Cs", "Ll"])))
def test_any_text_or_bytes_are_refused_politely(anything: str | bytes) -> None:
    assert bad(anything)


def test_an_entry_shows_its_commands() -> None:
    [first, *_] = hello().entries
    assert isinstance(first, Entry)
    assert first.commands == (
        commands.Answer("caller"),
        commands.Play("play-1", "caller", "say:en-US::Hello"),
    )
