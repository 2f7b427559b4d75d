"""The live picture as tables for a terminal. What others have named (flows, callers) is shown, and never obeyed."""

from collections.abc import Iterable, Sequence
from typing import Final, get_args

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from flowengine.call.events import SECOND, Instant
from flowengine.live.views import AgentView, CallView, LineView, Snapshot
from flowengine.routing.agents import WORKING
from flowengine.routing.lines import Left

LEFT: Final[tuple[Left, ...]] = get_args(Left)
REASONS: Final = {
    "": "",
    "by_hand": "by hand",
    "missed": "did not answer",
    "signed_out": "signed out",
    "out_of_reach": "no device in reach",
}
DOING: Final = {"wrap_up": "wrapping up"}
"""States of an agent that need other words than their name."""
SHORT: Final = 6
"""Characters at the end of a call's id that are enough to tell it from the others."""
AFTERWARDS: Final = {"work": "", "pause": "pauses afterwards", "leave": "leaves afterwards"}
_COLOURS: Final = {
    "available": "green",
    "talking": "cyan",
    "ringing": "yellow",
    "reserved": "yellow",
    "wrap_up": "yellow",
    "paused": "red",
    "offline": "dim",
}


def shown(snapshot: Snapshot, most_calls: int | None = None) -> RenderableType:
    """Calls, agents, lines and totals; of the calls the `most_calls` that have lasted longest."""
    accounts = {call.account for call in snapshot.calls} | {agent.account for agent in snapshot.agents}
    several = len(accounts) > 1
    hidden = 0 if most_calls is None else max(0, len(snapshot.calls) - most_calls)
    calls = snapshot.calls[: len(snapshot.calls) - hidden]
    parts: list[RenderableType] = [Text(_totals(snapshot), style="bold")]
    parts += [Text(f"ALARM {_printable(text)}", style="bold red") for text in snapshot.alarms.values()]
    parts.append(Text())
    parts.append(_calls(calls, snapshot.agents, snapshot.at, several))
    if hidden:
        parts.append(Text(f"and {hidden} more", style="dim"))
    parts += [Text(), _agents(snapshot.agents, snapshot.at, several)]
    if snapshot.lines:
        parts += [Text(), _lines(snapshot.lines, snapshot.at, several)]
    return Group(*parts)


def told(agent: AgentView) -> str:
    """An agent in a sentence."""
    more = _why(agent)
    return f"{agent.user} is {DOING.get(agent.state, agent.state)}" + (f" ({more})" if more else "")


def _why(agent: AgentView) -> str:
    """Why they take no calls, or will take none when their work is over."""
    return AFTERWARDS[agent.wish] if agent.state in WORKING else REASONS[agent.reason]


def _totals(snapshot: Snapshot) -> str:
    totals = snapshot.totals
    over = [f"{number} {_words(how)}" for how, number in sorted(totals.over.items())]
    refused = sum(totals.refused.values())
    calls = len(snapshot.calls)
    parts = [f"{calls} call{'' if calls == 1 else 's'} running", f"{totals.taken} taken", *over]
    parts += [f"{refused} refused"] if refused else []
    return f"{', '.join(parts)} in {_lasting(snapshot.started_at, snapshot.at)}"


def _calls(calls: Sequence[CallView], agents: Iterable[AgentView], at: Instant, several: bool) -> Table:
    rung: dict[str, list[str]] = {}
    for agent in agents:
        if agent.state == "ringing":
            rung.setdefault(agent.call, []).append(agent.user)
    table = _table("call", several, "flow", "from", "to", "state", "for", "with", "id")
    for call in calls:
        state = f"{call.state} ({_words(call.kind)})" if call.state else "arriving"
        company = _company(call, rung.get(call.call, []))
        lasting = _lasting(call.since, at)
        cells = (call.flow_name, call.caller, call.number, state, lasting, company, call.call[-SHORT:])
        _row(table, several, call.account, _lasting(call.began_at, at), cells)
    return table


def _company(call: CallView, rung: Sequence[str]) -> str:
    """Whom the caller talks to, or waits for."""
    if call.talking_to:
        return f"{call.talking_to}, recording paused" if call.paused else call.talking_to
    place = call.place
    if place is None:
        return f"ringing {', '.join(rung)}" if rung else ""
    wait = "" if place.wait_s is None else f", about {_clock(place.wait_s)} to go"
    return f"number {place.position} waiting for {place.name}{wait}"


def _agents(agents: Iterable[AgentView], at: Instant, several: bool) -> Table:
    table = _table("agent", several, "state", "for", "why", "call")
    for agent in agents:
        cells = (DOING.get(agent.state, agent.state), _lasting(agent.since, at), _why(agent), agent.call)
        _row(table, several, agent.account, agent.user, cells, _COLOURS[agent.state])
    return table


def _lines(lines: Iterable[LineView], at: Instant, several: bool) -> Table:
    table = _table("line", several, "waiting", "longest", *map(_words, LEFT))
    for line in lines:
        longest = "" if line.waiting_since is None else _lasting(line.waiting_since, at)
        left = [str(line.left.get(reason, 0)) for reason in LEFT]
        _row(table, several, line.account, line.name, (str(line.waiting), longest, *left))
    return table


def _table(first: str, several: bool, *columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in (first, *(("account",) if several else ()), *columns):
        table.add_column(column, overflow="fold")
    return table


def _row(
    table: Table, several: bool, account: str, first: str, cells: Iterable[str], colour: str = ""
) -> None:
    """A row of plain text: no mark-up and no control character of a name reaches the terminal."""
    all_cells = (first, *((account,) if several else ()), *cells)
    table.add_row(*(Text(_printable(cell)) for cell in all_cells), style=colour)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _lasting(since: Instant, at: Instant) -> str:
    return _clock((at - since) / SECOND)


def _clock(seconds: float) -> str:
    """Seconds as 0:07, 12:30 or 1:02:03."""
    minutes, left = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"
