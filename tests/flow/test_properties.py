"""What is true of every flow, tried on random ones."""

import json
import random
from contextlib import suppress
from itertools import pairwise
from typing import Any

import jsonschema
import networkx as nx
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from flowengine.flow.diff import diff
from flowengine.flow.document import Flow, Invalid, Unreadable, load, parse
from flowengine.flow.graph import connected, loops, problems
from flowengine.flow.paths import count_paths, longest_time, possible_outcomes, some_paths
from flowengine.flow.problems import CODES, Problem
from flowengine.flow.schema import flow_schema
from tests.flow.strategies import Account, any_flows, json_values, mangled_documents, valid_flows

SCHEMA = jsonschema.Draft202012Validator(flow_schema())
SLOW = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)


def errors(found: list[Problem]) -> list[Problem]:
    return [problem for problem in found if problem.severity == "error"]


def refusal(document: Any) -> list[Problem] | None:
    """Give the problems of shape, or None if the document is a flow."""
    try:
        parse(document)
    except Invalid as refused:
        return refused.problems
    return None


def graph_of(drawn: Flow) -> Any:
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    graph.add_nodes_from(drawn.states)
    for name, exits in connected(drawn).items():
        graph.add_edges_from((name, target) for _, target in exits)
    return graph


@SLOW
@given(valid_flows())
def test_valid_flows_are_publishable(drawn: Flow) -> None:
    for state in drawn.states.values():
        event(state.type)
    assert errors(problems(drawn, Account())) == []


@SLOW
@given(any_flows() | valid_flows())
def test_a_flow_without_errors_keeps_every_rule(drawn: Flow) -> None:
    """Says the rules a second time, with another library's algorithms."""
    broken = {problem.code for problem in errors(problems(drawn, Account()))}
    graph = graph_of(drawn)
    assert ("loop" in broken) == (not nx.is_directed_acyclic_graph(graph))
    assert ("too_many_incoming" in broken) == any(degree > 10 for _, degree in graph.in_degree())
    if drawn.start in drawn.states:
        unreached = set(drawn.states) - {drawn.start} - nx.descendants(graph, drawn.start)
        assert ("unreachable_state" in broken) == bool(unreached)
        assert not broken & {"start_missing", "start_unknown", "no_states"}
    else:
        assert broken & {"start_missing", "start_unknown", "no_states"}
    if not broken:
        assert drawn.name.strip()
        for state in drawn.states.values():
            assert set(state.connections) <= set(state.exits())
            assert all(target is None or target in drawn.states for target in state.connections.values())


@SLOW
@given(any_flows())
def test_problems_are_the_same_each_time_and_can_be_shown(drawn: Flow) -> None:
    found = problems(drawn, Account(groups={"g1": ()}))
    assert found == problems(drawn, Account(groups={"g1": ()}))
    assert len({(p.code, p.pointer, p.message) for p in found}) == len(found)
    for problem in found:
        assert problem.code in CODES
        json.dumps(problem.as_json()).encode()


@SLOW
@given(any_flows())
def test_each_loop_that_is_named_exists_and_mending_them_all_is_enough(drawn: Flow) -> None:
    edges = connected(drawn)
    found = loops(edges, drawn.start)
    for loop in found:
        ring = [*loop.states, loop.states[0]]
        for at, here in enumerate(loop.states):
            assert ring[at + 1] in [target for _, target in edges[here]]
        assert (loop.exit, loop.states[0]) in edges[loop.states[-1]]
    closing = {(loop.states[-1], loop.exit) for loop in found}
    mended = {
        name: [(exit_, target) for exit_, target in exits if (name, exit_) not in closing]
        for name, exits in edges.items()
    }
    assert loops(mended, drawn.start) == []


@SLOW
@given(any_flows(), st.randoms(use_true_random=False))
def test_the_digest_does_not_depend_on_order_or_layout(drawn: Flow, chance: random.Random) -> None:
    def shuffled(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        items = [(key, shuffled(inner)) for key, inner in value.items()]
        chance.shuffle(items)
        return dict(items)

    document = drawn.model_dump(mode="json", by_alias=True)
    again = parse(shuffled(document) | {"layout": {"x": [1, 2]}})
    assert again.canonical() == drawn.canonical()
    assert again.sha256() == drawn.sha256()


@SLOW
@given(any_flows())
def test_a_flow_can_be_written_and_read_in_each_form(drawn: Flow) -> None:
    assert load(drawn.pretty().encode()) == drawn
    assert load(load(drawn.pretty().encode()).pretty().encode()).pretty() == drawn.pretty()
    canonical = load(drawn.canonical())
    assert canonical.canonical() == drawn.canonical()
    assert not diff(drawn, canonical).routing_changed


@SLOW
@given(any_flows(max_states=4), any_flows(max_states=4))
def test_flows_that_differ_in_calls_have_another_digest(one: Flow, other: Flow) -> None:
    if diff(one, other).routing_changed:
        assert one.sha256() != other.sha256()
    if one.sha256() == other.sha256():
        assert not diff(one, other).routing_changed


@SLOW
@given(any_flows())
def test_paths_agree_with_their_number_and_stay_in_the_flow(drawn: Flow) -> None:
    paths, all_of_them = some_paths(drawn, limit=200)
    number = count_paths(drawn)
    if number is not None and all_of_them:
        assert number == len(paths)
    assert (number is None) == (longest_time(drawn) is None)
    assert len(set(paths)) == len(paths)
    for path in paths:
        assert len({state for state, _ in path}) == len(path)
        assert path[0].state == drawn.start
        for (state, outcome), following in pairwise(path):
            assert drawn.states[state].connections[outcome] == following.state
        assert all(outcome in possible_outcomes(drawn.states[state]) for state, outcome in path)


@SLOW
@given(valid_flows())
def test_the_longest_time_of_a_valid_flow_is_bounded_and_runs_through_it(drawn: Flow) -> None:
    longest = longest_time(drawn)
    assert longest is not None
    assert longest.seconds > 0
    assert longest.states[0] == drawn.start
    for here, following in pairwise(longest.states):
        assert following in drawn.states[here].connections.values()


@SLOW
@given(mangled_documents() | json_values())
def test_whatever_is_parsed_gives_a_flow_or_problems(document: Any) -> None:
    found = refusal(document)
    event("parsed" if found is None else "refused")
    assert found is None or found
    if found is None:
        found = problems(parse(document), Account())
    for problem in found:
        assert problem.code in CODES
        json.dumps(problem.as_json(), ensure_ascii=False).encode()


@SLOW
@given(mangled_documents())
def test_what_the_reader_takes_the_schema_takes(document: Any) -> None:
    if refusal(document) is None:
        SCHEMA.validate(json.loads(json.dumps(document)))


@SLOW
@given(st.binary(max_size=200) | json_values().map(lambda value: json.dumps(value).encode()))
def test_whatever_bytes_are_loaded_nothing_else_is_raised(data: bytes) -> None:
    with suppress(Unreadable, Invalid):
        assert load(data).states is not None
