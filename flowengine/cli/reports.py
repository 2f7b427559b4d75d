"""What `replay` tells about a trace."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from flowengine.call.trace import Trace, replay
from flowengine.call.whatif import Step, what_if
from flowengine.cli.screen import PROBLEMS, fail, read_bytes
from flowengine.flow.document import Flow, Invalid, Unreadable, load


@dataclass(frozen=True)
class Report:
    """The verdict on one trace; `lines` say it in words."""

    trace: str
    call: str
    verdict: Literal["same", "diverged", "other", "unknown"]
    lines: tuple[str, ...] = ()


def against_itself(traces: Sequence[tuple[Path, Trace]]) -> list[Report]:
    """Does today's engine say what the journals say?"""
    return [_itself(str(path), trace) for path, trace in traces]


def against_flow(traces: Sequence[tuple[Path, Trace]], flow: Path) -> list[Report]:
    """What would this flow have done?"""
    new = _flow(flow)
    return [_with(str(path), trace, new) for path, trace in traces]


def _itself(path: str, trace: Trace) -> Report:
    found = replay(trace)
    if found is None:
        return Report(path, trace.call, "same")
    return Report(
        path,
        trace.call,
        "diverged",
        (
            f"first at event {found.seq}: {found.event!r}",
            f"journal: {found.expected}",
            f"now:     {found.got}",
            *(f"  now says {command!r}" for command in found.commands),
        ),
    )


def _with(path: str, trace: Trace, flow: Flow) -> Report:
    found = what_if(trace, flow)
    lines = [f"was: {_path(found.old)}"]
    if found.verdict != "same":
        lines.append(f"new: {_path(found.new)}{' ?' if found.verdict == 'unknown' else ''}")
    if found.why:
        lines.append(found.why)
    return Report(path, trace.call, found.verdict, tuple(lines))


def _path(steps: Sequence[Step]) -> str:
    return " > ".join(f"{step.state}:{step.outcome or '(call ended)'}" for step in steps) or "(nothing)"


def _flow(path: Path) -> Flow:
    try:
        return load(read_bytes(path))
    except Unreadable as error:
        fail(f"{path}: {error}")
    except Invalid as error:
        fail(f"{path}: {error}", PROBLEMS)
