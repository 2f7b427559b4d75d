"""docs/transfers.md is true: every row of its tables is run through a real desk and real calls."""

from itertools import combinations_with_replacement, permutations
from operator import methodcaller
from pathlib import Path

import pytest

from flowengine.call.causes import CALL_REJECTED, DESTINATION_OUT_OF_ORDER, USER_BUSY
from flowengine.call.commands import Dial
from flowengine.flow.document import GroupTransfer, UserTransfer
from tests.call.driving import flow
from tests.routing.office import Office

DOC = (Path(__file__).parents[2] / "docs" / "transfers.md").read_text()
NAMES = ("aki", "ben", "chie")


def table(*heads: str) -> list[list[str]]:
    """The rows of the table of the document with these column heads."""
    lines = DOC.splitlines()
    start = lines.index(f"| {' | '.join(heads)} |") + 2
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


CONDITIONS = [row[0] for row in table("condition", "what it is", "told by")]
ROWS = [
    (() if members == "nobody in the group" else tuple(members.split(", ")), exit)
    for members, exit in table("members", "exit")
]


def company(conditions: tuple[str, ...]) -> Office:
    """Members of the group in these conditions, in line order; whoever is on a call talks to somebody else."""
    office = Office(dict.fromkeys(NAMES, 1), {"sales": NAMES[: len(conditions)]})
    for name, condition in zip(NAMES, conditions, strict=False):
        if condition != "away":
            office.reachable(f"PJSIP/{name}", True)
        if condition == "on a call":
            talking = office.arrives(flow(ring=UserTransfer(user=name)))
            office.does(talking, methodcaller("picks_up", name))
    return office


def exit_of(office: Office, conditions: tuple[str, ...], node: GroupTransfer | UserTransfer) -> str:
    """Let the call run while every telephone behaves as its member's condition says."""
    name = office.arrives(flow(ring=node))
    call = office.calls.get(name) or office.finished[name]
    condition_of = dict(zip(NAMES, conditions, strict=False))
    seen = 0
    while not call.is_over():
        dialled = [each.endpoint.removeprefix("PJSIP/") for each in call.all_of(Dial)][seen:]
        seen += len(dialled)
        for phone in dialled:
            match condition_of[phone]:
                case "rings out":
                    office.does(name, methodcaller("rings", phone))
                case "engaged":
                    office.does(name, methodcaller("ends", phone, USER_BUSY))
                case "declines":
                    office.does(name, methodcaller("rings", phone))
                    office.does(name, methodcaller("ends", phone, CALL_REJECTED))
                case "dead line":
                    office.does(name, methodcaller("ends", phone, DESTINATION_OUT_OF_ORDER))
                case other:
                    raise AssertionError(f"{phone} was rung although {other}")
        if not dialled:
            office.waits(30)
    return call.path[0][1]


@pytest.mark.parametrize("ringing", ["parallel", "sequential"])
@pytest.mark.parametrize(("conditions", "exit"), ROWS)
def test_every_row_in_every_order(conditions: tuple[str, ...], exit: str, ringing: str) -> None:
    node = GroupTransfer.model_validate({"group": "sales", "ringing": ringing})
    for order in permutations(conditions):
        assert exit_of(company(order), order, node) == exit, order


@pytest.mark.parametrize(("conditions", "exit"), [row for row in ROWS if len(row[0]) == 1])
def test_a_user_transfer_ends_like_a_group_of_one(conditions: tuple[str, ...], exit: str) -> None:
    assert exit_of(company(conditions), conditions, UserTransfer(user="aki")) == exit


def test_the_table_has_every_pair_of_conditions() -> None:
    written = {tuple(sorted(conditions)) for conditions, _ in ROWS}
    for size in (0, 1, 2):
        for conditions in combinations_with_replacement(CONDITIONS, size):
            assert tuple(sorted(conditions)) in written


@pytest.mark.parametrize(("conditions", "exit"), ROWS)
def test_the_table_says_what_its_rule_says(conditions: tuple[str, ...], exit: str) -> None:
    if "rings out" in conditions:
        assert exit == "timeout"
    elif {"on a call", "engaged"} & set(conditions):
        assert exit == "busy"
    else:
        assert exit == "unavailable"


@pytest.mark.parametrize(("exit", "cause", "_words"), table("exit", "Q.850 cause", "the caller's network"))
def test_an_unconnected_exit_ends_with_its_cause(exit: str, cause: str, _words: str) -> None:
    condition = {"timeout": "rings out", "busy": "on a call", "unavailable": "away"}[exit]
    office = company((condition,))
    assert exit_of(office, (condition,), UserTransfer(user="aki")) == exit
    [call] = office.finished.values()
    assert call.ended_with == int(cause)
