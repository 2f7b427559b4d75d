"""Everything that is wrong with a flow, at once: the rules of connections (product rules, section 3).

The graph has the states as nodes and the connected exits as edges. Every rule is linear in states and exits,
whatever is drawn, because drafts come from people and from the network. What a single state may say is in
`content`, and whether callers are told that they are recorded in `consent`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from flowengine.flow.consent import consent_problems, untold
from flowengine.flow.content import Directory, content_problems, prompt_problems
from flowengine.flow.document import KEYS, Announcement, Flow, Ivr, State, Voicemail
from flowengine.flow.problems import Problem, pointer, problem

__all__ = ["MAX_INCOMING", "Directory", "Edges", "Loop", "connected", "loops", "problems", "reachable"]

MAX_INCOMING: Final = 10
SMALL_KNOT: Final = 18
"""Up to so many edges all elementary loops are named: 3^(18/3) = 729 of them at the very most."""
HEAD, TAIL = 8, 3  # of a longer loop only so many states are named, at its beginning and at its end

Edges = Mapping[str, Sequence[tuple[str, str]]]
"""For each state its connected exits as (exit, target): existing targets only, in the order of `exits()`."""


class Loop(NamedTuple):
    """A loop: its states in order, the one nearest to the start first, and the exit which closes it.

    Of a long loop, `skipped` states between the first `HEAD` and the last `TAIL` are left out.
    """

    states: tuple[str, ...]
    skipped: int
    exit: str

    @property
    def length(self) -> int:
        """How many states the loop has."""
        return len(self.states) + self.skipped


def problems(
    flow: Flow, directory: Directory | None = None, *, numbers_taken: Mapping[str, str] | None = None
) -> list[Problem]:
    """Name every problem of the flow, errors and warnings, in document order and loops last.

    Without a `directory` the users, groups and audio are not looked up. `numbers_taken` are those numbers
    (E.164) of this flow which are attached to another one already, each with the name of that flow.
    """
    edges = connected(flow)
    reached = reachable(edges, flow.start)
    incoming: dict[str, int] = dict.fromkeys(flow.states, 0)
    for exits in edges.values():
        for _, target in exits:
            incoming[target] += 1

    by_surprise = untold(flow, edges)
    found = list(_whole(flow, directory, numbers_taken or {}))
    for name, state in flow.states.items():
        found += _place(name, reached, incoming[name])
        found += content_problems(flow, name, state, directory)
        found += _connections(flow, name, state)
        if name in reached:
            found += _open_exits(flow, name, state)
        if name in by_surprise:
            found += consent_problems(name, by_surprise[name])
    found += _loop_problems(edges, flow.start)
    return found


def connected(flow: Flow) -> Edges:
    """Give the edges of the flow; exits which the state does not have lead nowhere."""
    return {
        name: [
            (exit_, target)
            for exit_ in state.exits()
            if (target := state.connections.get(exit_)) is not None and target in flow.states
        ]
        for name, state in flow.states.items()
    }


def reachable(edges: Edges, start: str | None) -> set[str]:
    """Give the states a call can come to from `start`; none when the start is not a state."""
    if start is None or start not in edges:
        return set()
    reached, todo = {start}, [start]
    while todo:
        for _, target in edges[todo.pop()]:
            if target not in reached:
                reached.add(target)
                todo.append(target)
    return reached


def _whole(flow: Flow, directory: Directory | None, numbers_taken: Mapping[str, str]) -> Iterator[Problem]:
    """Problems of the flow as a whole: name, numbers, start."""
    if not flow.name.strip():
        yield problem("empty_name", "the flow has no name: give it one", pointer="/name")
    for number, other in numbers_taken.items():
        message = f'the number {number} is attached to the flow "{other}": detach it there first'
        yield problem("number_taken", message, pointer="")
    if flow.goodbye is not None:
        yield from prompt_problems(
            flow, flow.goodbye, directory, where="the goodbye", at="/goodbye", state=None
        )
    if not flow.states:
        message = "the flow has no states: add one and connect the start to it"
        yield problem("no_states", message, pointer="/states")
    elif flow.start is None:
        message = "no state is connected to the start: connect the state where calls begin"
        yield problem("start_missing", message, pointer="/start")
    elif flow.start not in flow.states:
        message = f'the start leads to "{flow.start}", which is no state of this flow: choose one that is'
        yield problem("start_unknown", message, pointer="/start")


def _place(name: str, reached: set[str], incoming: int) -> Iterator[Problem]:
    """Problems of where a state stands. Without a start nothing is reached, and the start is the problem."""
    if reached and name not in reached:
        message = f'state "{name}": no way from the start leads to it: connect an exit to it, or remove it'
        yield problem("unreachable_state", message, state=name, pointer=pointer("states", name))
    if incoming > MAX_INCOMING:
        message = (
            f'state "{name}": {incoming} connections lead into it, and at most {MAX_INCOMING} may: connect'
            " some of them to a copy of it"
        )
        yield problem("too_many_incoming", message, state=name, pointer=pointer("states", name))


def _connections(flow: Flow, name: str, state: State) -> Iterator[Problem]:
    """Problems of the connections that leave a state."""
    offered = state.exits()
    for exit_, target in state.connections.items():
        at = pointer("states", name, "exits", exit_)
        if exit_ not in offered:
            message = (
                f'state "{name}", exit "{exit_}": a state of type {state.type} has no such exit, only'
                f" {', '.join(offered)}: remove it"
            )
            yield problem("unknown_exit", message, state=name, exit=exit_, pointer=at)
        if target is not None and target not in flow.states:
            message = (
                f'state "{name}", exit "{exit_}": leads to "{target}", which is no state of this flow:'
                " connect it to one that is, or leave it open"
            )
            yield problem("unknown_target", message, state=name, exit=exit_, pointer=at)
    if isinstance(state, Ivr):
        keys = sum(1 for exit_ in state.connections if exit_ not in ("timeout", "invalid"))
        if keys > len(KEYS):
            message = f'state "{name}": the menu has {keys} keys, and at most {len(KEYS)} (0-9 and *) work'
            yield problem("too_many_keys", message, state=name, pointer=pointer("states", name, "exits"))


def _open_exits(flow: Flow, name: str, state: State) -> Iterator[Problem]:
    """Warn where a call ends without a word of the flow. An announcement and a voicemail have said theirs.

    A menu without a connected `invalid` sends wrong keys to `timeout`, so only that one counts there.
    """
    if flow.goodbye is not None or isinstance(state, Announcement | Voicemail):
        return
    ends = ("timeout",) if isinstance(state, Ivr) else state.exits()
    for exit_ in ends:
        if state.connections.get(exit_) is None:
            message = (
                f'state "{name}", exit "{exit_}": calls end here, and the flow has no goodbye of its own: connect'
                " it, or write a goodbye"
            )
            at = pointer("states", name, "exits", exit_)
            yield problem("dead_end", message, state=name, exit=exit_, pointer=at)


def _loop_problems(edges: Edges, start: str | None) -> Iterator[Problem]:
    for loop in loops(edges, start):
        first, last = loop.states[0], loop.states[-1]
        names = [*loop.states, first]
        if loop.skipped:
            names.insert(HEAD, f"({loop.skipped} more)")
        message = (
            f'state "{last}", exit "{loop.exit}": leads back to "{first}" and closes the loop'
            f" {' -> '.join(names)}: connect it elsewhere, or leave it open"
        )
        at = pointer("states", last, "exits", loop.exit)
        yield problem("loop", message, state=last, exit=loop.exit, pointer=at)


def loops(edges: Edges, start: str | None) -> list[Loop]:
    """Find loops, sorted by where they begin and then by length.

    There is at least one loop for every exit which has to go for the flow to be free of loops. In a small
    knot of states (`SMALL_KNOT` edges) it is every elementary loop; in a larger one there can be more of
    them than atoms, so only one for each closing exit is named.
    """
    order: dict[str, int] = {}
    found = list(_closing(edges, start, order))
    if not found:
        return []
    named = {loop.states for loop in found}
    for states in _elementary(edges, order):
        if _shortened(states, "").states not in named:
            found += [_shortened(states, exit_) for exit_, target in edges[states[-1]] if target == states[0]]
    return sorted(
        found, key=lambda loop: (order[loop.states[0]], loop.length, [order[name] for name in loop.states])
    )


def _shortened(states: Sequence[str], exit_: str) -> Loop:
    if len(states) <= HEAD + TAIL:
        return Loop(tuple(states), 0, exit_)
    return Loop((*states[:HEAD], *states[-TAIL:]), len(states) - HEAD - TAIL, exit_)


def _closing(edges: Edges, start: str | None, order: dict[str, int]) -> Iterator[Loop]:
    """Walk depth first, without recursion: an exit into a state of the way walked so far closes a loop.

    `order` is filled with when each state was first met.
    """
    roots = [start, *edges] if start is not None and start in edges else list(edges)
    for root in roots:
        if root in order:
            continue
        way: list[str] = [root]
        depth = {root: 0}
        order[root] = len(order)
        todo = [iter(edges[root])]
        while todo:
            exit_, target = next(todo[-1], ("", None))
            if target is None:
                todo.pop()
                del depth[way.pop()]
            elif target in depth:
                at = depth[target]
                long = len(way) - at > HEAD + TAIL  # never copy a long way: there may be thousands of loops
                ends = [*way[at : at + HEAD], *way[-TAIL:]] if long else way[at:]
                yield Loop(tuple(ends), len(way) - at - len(ends), exit_)
            elif target not in order:
                order[target] = len(order)
                depth[target] = len(way)
                way.append(target)
                todo.append(iter(edges[target]))


def _elementary(edges: Edges, order: Mapping[str, int]) -> Iterator[list[str]]:
    """Give all elementary loops of the small knots, each from the state that was met first."""
    import networkx as nx  # half a second to import, and only drafts with a loop need it

    graph: nx.DiGraph[str] = nx.DiGraph(
        [(name, target) for name, exits in edges.items() for _, target in exits]
    )
    for knot in nx.strongly_connected_components(graph):
        inside = graph.subgraph(knot)
        if inside.number_of_edges() <= SMALL_KNOT:
            for loop in nx.simple_cycles(inside):
                first = min(range(len(loop)), key=lambda at: order[loop[at]])
                yield loop[first:] + loop[:first]
