"""The arithmetic of waiting lines: by hand, against brute force, and against theory over very many callers."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from simulator.chance import FOREVER, Exponential
from simulator.confidence import batches, interval
from simulator.erlang import ErlangA, ErlangC
from simulator.traffic import Poisson
from simulator.waiting import Need, waits


def test_by_hand() -> None:
    callers = [
        Need(0, FOREVER, 10),  # talks from 0 to 10
        Need(2, FOREVER, 5),  # second agent, from 2 to 7
        Need(4, FOREVER, 20),  # waits for the second, from 7
        Need(5, 4, 99),  # would have to wait until 10, and does not
        Need(6, 4, 1),  # is ready to wait until 10, and talks from 10 to 11
        Need(30, 0, 1),
    ]
    assert waits(2, callers) == [0, 0, 3, None, 4, 0]


NEEDS = st.lists(
    st.tuples(st.integers(0, 20), st.one_of(st.just(FOREVER), st.integers(0, 30)), st.integers(1, 30)),
    max_size=40,
)


@given(st.integers(1, 4), NEEDS)
def test_against_a_clock_that_ticks(agents: int, needs: list[tuple[int, int, int]]) -> None:
    at, callers = 0, []
    for gap, patience, keeps in needs:
        at += gap
        callers.append(Need(at, patience, keeps))
    assert waits(agents, callers) == ticked(agents, callers)


def ticked(agents: int, callers: list[Need]) -> list[int | None]:
    """The same by letting time pass, tick by tick, with a line from which the first is taken."""
    found: list[int | None] = [None] * len(callers)
    line: list[int] = []
    busy_until: list[int] = []
    coming = list(range(len(callers)))
    now = 0
    while coming or line:
        busy_until = [until for until in busy_until if until > now]
        while coming and callers[coming[0]].at <= now:
            line.append(coming.pop(0))
        line = [each for each in line if now - callers[each].at <= callers[each].patience]
        while line and len(busy_until) < agents:
            first = line.pop(0)
            found[first] = now - callers[first].at
            busy_until.append(now + callers[first].keeps)
        now += 1
    return found


def test_long_runs_agree_with_erlang() -> None:
    """So many callers as the engine could not be asked for; the engine in turn agrees with this, call by call."""
    for agents, load in ((1, 0.8), (5, 0.8), (20, 0.95)):
        per_hour = load * agents * 20
        patient, impatient = ErlangC(agents, per_hour, 180), ErlangA(agents, per_hour, 180, 120)
        random = Random(20)
        arrivals = Poisson(per_hour).instants(random)
        talk, patience = Exponential(180).source(random), Exponential(120).source(random)
        callers = [Need(next(arrivals), patience(), talk()) for _ in range(100_000)]
        waited = waits(agents, [each._replace(patience=FOREVER) for each in callers])
        means = [sum(each or 0 for each in part) / len(part) / 1e6 for part in batches(waited[10_000:], 12)]
        assert interval(means, 0.99).contains(patient.mean_wait_s), (agents, load)
        for figure, value in (
            (lambda each: each is None, impatient.abandons),
            (lambda each: each is not None and each <= 20_000_000, impatient.answered_within(20)),
        ):
            found = [
                sum(map(figure, part)) / len(part) for part in batches(waits(agents, callers)[10_000:], 12)
            ]
            assert interval(found, 0.99).contains(value), (agents, load, value)
