"""The trace: one call's journal as a text file that can be kept, read by eye, and replayed years later.

JSON Lines. The first line is the header: the format, the call, and the flow it ran, whole. Each further line is one
event in journal order, with the digest of the commands it led to, and optionally those commands for the
reader's eye (a replay believes the digest alone). Described in docs/traces.md; the format is versioned.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec

from flowengine.call.commands import Command
from flowengine.call.events import CallArrived, Event
from flowengine.call.machine import CallMachine, digest
from flowengine.flow.document import Flow, Invalid, parse

FORMAT: Final = "flowengine/trace/1"


class BadTrace(ValueError):
    """A trace that cannot be read; the message names the line and the mend."""


class Entry(NamedTuple):
    """One row of a journal. `digest` is "" where the commands were never known (an interrupted step)."""

    event: Event
    digest: str
    commands: tuple[Command, ...] | None = None


@dataclass(frozen=True)
class Trace:
    """A call's journal together with the flow it ran."""

    call: str
    flow: Flow
    entries: tuple[Entry, ...]


class Divergence(NamedTuple):
    """Where a replay first said something else than the journal: the engine has changed its mind."""

    seq: int
    event: Event
    expected: str
    got: str
    commands: tuple[Command, ...]


class _Header(msgspec.Struct, kw_only=True):
    trace: str
    call: str
    flow: dict[str, Any]


class _Line(msgspec.Struct, kw_only=True, omit_defaults=True):
    seq: int
    event: Event
    digest: str
    commands: msgspec.Raw = msgspec.Raw(b"")


_encode = msgspec.json.Encoder().encode
_header = msgspec.json.Decoder(_Header).decode
_line = msgspec.json.Decoder(_Line).decode
_event = msgspec.json.Decoder(Event).decode
_UNREADABLE: Final = (msgspec.DecodeError, RecursionError, UnicodeEncodeError)
"""What a decoder raises: not JSON or not ours, nested too deep, a lone surrogate in the text."""


def encode_event(event: Event) -> bytes:
    """One event as compact JSON, as it stands in journals."""
    return _encode(event)


def decode_event(data: bytes | str) -> Event:
    """Read an event of a journal; raises `BadTrace`."""
    try:
        found: Event = _event(data)
    except _UNREADABLE as error:
        raise BadTrace(f"not an event of this version: {error}") from None
    return found


def dump(trace: Trace) -> str:
    """Write a trace as text, ending with a newline."""
    lines = [
        _encode(
            {
                "trace": FORMAT,
                "call": trace.call,
                "flow": msgspec.json.decode(trace.flow.pretty()),
            }
        )
    ]
    for seq, entry in enumerate(trace.entries):
        row: dict[str, Any] = {"seq": seq, "event": entry.event, "digest": entry.digest}
        if entry.commands is not None:
            row["commands"] = entry.commands
        lines.append(_encode(row))
    return b"\n".join(lines).decode() + "\n"


def read(text: str | bytes) -> Trace:
    """Read a trace; raises `BadTrace` with the line and the mend, never anything else."""
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise BadTrace(f"not UTF-8 (byte {error.start}): a trace is UTF-8 JSON Lines") from None
    rows = [(number, row) for number, row in enumerate(text.split("\n"), start=1) if row.strip()]
    if not rows:
        raise BadTrace("empty: a trace begins with a header line")
    header, flow = _read_header(*rows[0])
    entries = tuple(_read_line(number, row, seq) for seq, (number, row) in enumerate(rows[1:]))
    if not entries or not isinstance(entries[0].event, CallArrived):
        raise BadTrace("line 2: the first event of a journal is call_arrived")
    return Trace(header.call, flow, entries)


def replay(trace: Trace) -> Divergence | None:
    """Run the journal through today's machine; None when every step says what it said then."""
    machine = CallMachine(trace.flow)
    for seq, entry in enumerate(trace.entries):
        said = machine.step(entry.event)
        got = digest(said)
        if entry.digest and got != entry.digest:
            return Divergence(seq, entry.event, entry.digest, got, tuple(said))
    return None


def record(flow: Flow, call: str, events: Iterable[Event]) -> Trace:
    """Run events through the machine and write down what it says: the way a golden journal is made."""
    machine = CallMachine(flow)
    entries = []
    for event in events:
        said = tuple(machine.step(event))
        entries.append(Entry(event, digest(list(said)), said))
    return Trace(call, flow, tuple(entries))


def _read_header(number: int, row: str) -> tuple[_Header, Flow]:
    try:
        header = _header(row)
    except _UNREADABLE as error:
        raise BadTrace(f'line {number}: not a trace header {{"trace": "{FORMAT}", ...}}: {error}') from None
    if header.trace != FORMAT:
        raise BadTrace(
            f"line {number}: format {header.trace!r} is not known here; this engine reads {FORMAT}"
        )
    try:
        return header, parse(header.flow)
    except Invalid as error:
        raise BadTrace(f"line {number}: the flow in the header is not valid: {error}") from None


def _read_line(number: int, row: str, seq: int) -> Entry:
    try:
        line = _line(row)
    except _UNREADABLE as error:
        raise BadTrace(
            f"line {number}: not a journal line: {error}: mend it, or end the file before it"
        ) from None
    if line.seq != seq:
        raise BadTrace(f"line {number}: seq is {line.seq} where {seq} follows; a line is missing or moved")
    return Entry(line.event, line.digest)
