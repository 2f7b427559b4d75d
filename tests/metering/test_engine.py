"""The engine with its meter, in virtual time: whole calls, many at once, and the journals as the proof."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from flowengine.billing.rates import Rate
from flowengine.call import causes
from flowengine.call.events import SECOND, CallKilled, LegAnswered
from flowengine.store.debits import UNPAID
from flowengine.store.tariffs import Terms, WhenRunningOut
from simulator.phones import Answered, Behaviour, HangUp, Wait, seconds
from tests.live_world import in_virtual_time
from tests.metering.telephone import Telephone, over
from tests.metering.world import CREDIT, rate


@pytest.mark.parametrize("policy", ["finish", "cut"])
@pytest.mark.parametrize("together", [True, False], ids=["at-once", "one-after-another"])
def test_a_hundred_calls_against_ten_minutes(policy: WhenRunningOut, together: bool) -> None:
    async def main() -> None:
        here = Telephone(100, terms=Terms(when_running_out=policy))
        here.buys(10 * CREDIT)
        async with here.open():
            callers = []
            for n in range(100):
                callers.append(here.talk(n, seconds(200)))
                if not together:
                    await asyncio.sleep(3)
            await over(here)
        paid, unpaid = here.prove()
        assert (paid, here.balance()) == (10, 0)
        assert here.refused.count("no_credit") == 100 - len(here.live.journal.records)
        assert (unpaid == 0) is (policy == "cut")
        assert here.balance(UNPAID) == -unpaid * CREDIT
        refused = [caller for caller in callers if caller.cause == causes.CALL_REJECTED]
        assert len(refused) == len(here.refused)

    in_virtual_time(main())


def test_a_cut_call_ends_where_its_money_does_and_its_caller_is_told_before() -> None:
    async def main() -> None:
        here = Telephone(1, terms=Terms(when_running_out="cut"))
        here.buys(3 * CREDIT)
        async with here.open():
            caller = here.talk(0, seconds(600))
            await over(here)
        assert here.prove() == (3, 0)
        events = here.live.journal.events("cal_1")
        answered = next(event.at for event in events if isinstance(event, LegAnswered))
        [killed] = [event for event in events if isinstance(event, CallKilled)]
        assert killed.at - answered <= 180 * SECOND + 2 * SECOND
        assert "builtin:minute-left:en-US" in caller.sounds
        assert here.live.journal.records["cal_1"].end_reason == "no_credit"

    in_virtual_time(main())


def test_both_legs_of_a_transfer_to_the_outside_are_charged() -> None:
    async def main() -> None:
        here = Telephone(1, frozenset({0}))
        here.buys(10 * CREDIT)
        async with here.open():
            here.talk(0, seconds(61))
            await over(here)
        assert here.prove() == (4, 0)

    in_virtual_time(main())


LENGTHS = st.builds(
    lambda minutes, more: max(0, minutes * 6_000_000 + more),
    st.integers(0, 30),
    st.one_of(st.integers(-2, 2), st.integers(0, 6_000_000)),
)
"""Microseconds; many of them just at the end of an increment."""
CALLS = st.lists(
    st.tuples(st.integers(0, 120), LENGTHS, st.sampled_from([False, False, False, True])),
    min_size=2,
    max_size=8,
)
"""When each arrives in seconds, how long it lasts, and whether the caller gives up while it rings."""
PURCHASES = st.lists(st.tuples(st.integers(0, 300), st.integers(1, 4 * CREDIT)), max_size=4)
FAULTS = st.lists(
    st.tuples(st.integers(0, 300), st.sampled_from(["is_away", "loses_answers"]), st.integers(1, 90)),
    max_size=3,
)
INBOUND = st.builds(rate, connect_fee=st.integers(0, CREDIT), first_s=st.sampled_from([6, 30, 60]))
OUTBOUND = st.builds(
    rate,
    st.just("outbound"),
    st.just("81"),
    per_minute=st.integers(0, 2 * CREDIT),
    following_s=st.sampled_from([1, 6, 60]),
)
TERMS = st.builds(Terms, st.booleans(), st.sampled_from(["finish", "cut"]))


@given(
    calls=CALLS,
    purchases=PURCHASES,
    faults=FAULTS,
    outside=st.frozensets(st.integers(0, 7)),
    terms=TERMS,
    rates=st.tuples(INBOUND, OUTBOUND),
    credit=st.integers(CREDIT, 12 * CREDIT),
    talks=st.sampled_from([None, 20, 90]),
    slow_s=st.sampled_from([0, 0, 0.3, 2]),
)
def test_whatever_happens_the_books_are_what_the_journals_say(
    calls: list[tuple[int, int, bool]],
    purchases: list[tuple[int, int]],
    faults: list[tuple[int, str, int]],
    outside: frozenset[int],
    terms: Terms,
    rates: tuple[Rate, Rate],
    credit: int,
    talks: int | None,
    slow_s: float,
) -> None:
    """Calls of any length, purchases, a slow journal, a database that is away or whose answers are lost: no increment
    is charged twice, forgotten, or left unseen, and the balance is never below 0."""

    async def main() -> None:
        does = Behaviour(answers_after_us=seconds(3), talks_us=seconds(talks) if talks else None)
        here = Telephone(len(calls), outside, terms=terms, rates=rates, does=does)
        here.live.journal.slow_s = slow_s
        here.buys(credit)
        loop = asyncio.get_running_loop()
        async with here.open():
            for n, (at, length, gives_up) in enumerate(calls):
                script = (Wait(length), HangUp()) if gives_up else (Answered(), Wait(length), HangUp())
                loop.call_later(at, here.call, n, *script)
            for at, amount in purchases:
                loop.call_later(at, here.buys, amount)
            for at, what, lasts in faults:
                loop.call_later(at, setattr, here.ledger, what, True)
                loop.call_later(at + lasts, setattr, here.ledger, what, False)
            await asyncio.sleep(121)
            await over(here)
            await asyncio.sleep(400)
        here.prove()

    with capture_logs():
        in_virtual_time(main())
