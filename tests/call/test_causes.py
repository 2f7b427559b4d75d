"""Q.850 causes and what they say about a person."""

from itertools import permutations

import pytest

from flowengine.call.causes import Outcome, exit_after, outcome, strongest


@pytest.mark.parametrize(
    ("cause", "rang", "said"),
    [
        (17, True, "busy"),
        (17, False, "busy"),
        (21, True, "rejected"),
        (21, False, "rejected"),
        (18, True, "no_answer"),
        (19, True, "no_answer"),
        (18, False, "unreachable"),
        (19, False, "unreachable"),
        (26, True, "cancelled"),
        (26, False, "cancelled"),
        (16, True, "no_answer"),
        (16, False, "unreachable"),
        (20, True, "unreachable"),
        (27, True, "unreachable"),
        (0, True, "unreachable"),
        (999, False, "unreachable"),
    ],
)
def test_what_a_cause_says(cause: int, rang: bool, said: Outcome) -> None:
    assert outcome(cause, rang=rang) == said


def test_the_strongest_outcome_speaks_for_a_person_with_several_devices() -> None:
    order: list[Outcome] = ["answered", "no_answer", "rejected", "busy", "cancelled", "unreachable"]
    for at in range(len(order)):
        for several in permutations(order[at:][:4]):
            assert strongest(list(several)) == order[at]
    assert strongest([]) == "unreachable"


@pytest.mark.parametrize(
    ("outcomes", "busy", "exit"),
    [
        ([], 0, "unavailable"),
        ([], 1, "busy"),
        (["no_answer"], 1, "timeout"),
        (["busy", "no_answer", "rejected"], 0, "timeout"),
        (["busy", "unreachable"], 0, "busy"),
        (["rejected"], 2, "busy"),
        (["rejected", "unreachable", "cancelled"], 0, "unavailable"),
    ],
)
def test_the_exit_of_a_transfer(outcomes: list[Outcome], busy: int, exit: str) -> None:
    assert exit_after(outcomes, busy=busy) == exit
