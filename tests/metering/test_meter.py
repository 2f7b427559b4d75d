"""The meter call by call, with its ledger in memory: what is debited when, refused, warned, cut and given back."""

from collections.abc import Awaitable, Callable, Sequence

import pytest
from structlog.testing import capture_logs

from flowengine.call.events import SECOND, CallKilled
from flowengine.metering.books import Perform
from flowengine.store.books import Operation, Result
from flowengine.store.debits import CALLS, CREDITS, UNPAID
from flowengine.store.tariffs import Tariffs, Terms
from tests.metering.world import (
    CREDIT,
    NUMBER,
    PRICE,
    T0,
    Caller,
    MemoryLedger,
    Metered,
    cutting,
    rate,
    tariffs,
)

ACCOUNT = "acc_1"


class Here(Metered):
    """With the books at hand."""

    def __init__(self, known: Tariffs | None = None, *, terms: Terms | None = None) -> None:
        self.memory = MemoryLedger()
        super().__init__(self.memory, ACCOUNT, known or tariffs(account=ACCOUNT, terms=terms))

    def balance(self, name: str = CREDITS) -> int:
        return self.memory.books.balances[ACCOUNT, name].balance

    @property
    def held(self) -> int:
        return self.memory.books.balances[ACCOUNT, CREDITS].held

    def minutes(self, kind: str = "minute") -> list[str]:
        entries = self.memory.books.entries.values()
        return [entry.key.removeprefix("minute:") for entry in entries if entry.kind == kind]


@pytest.mark.parametrize(
    ("seconds", "minutes"),
    [(0, 0), (0.000001, 1), (1, 1), (59, 1), (60, 1), (60.000001, 2), (61, 2), (120, 2), (121, 3)],
)
async def test_started_minutes_are_debited(seconds: float, minutes: int) -> None:
    here = Here()
    await here.buys(10 * CREDIT)
    await here.calls_for("cal_1", seconds)
    assert here.balance() == (10 - minutes) * CREDIT
    assert here.balance(CALLS) == minutes * CREDIT
    assert here.held == 0
    assert here.meter._calls == {}


async def test_each_minute_is_promised_before_it_begins_and_debited_when_it_does() -> None:
    here = Here()
    await here.buys(10 * CREDIT)
    await here.arrives("cal_1")
    assert (here.balance(), here.held) == (10 * CREDIT, PRICE)
    await here.after(20)
    here.answers("cal_1")
    await here.after(0.1)
    assert (here.balance(), here.held) == (9 * CREDIT, PRICE)
    await here.after(59.9)
    assert (here.balance(), here.held) == (9 * CREDIT, PRICE)
    await here.after(0.1)
    assert (here.balance(), here.held) == (8 * CREDIT, PRICE)


async def test_a_call_that_is_never_answered_costs_nothing() -> None:
    here = Here()
    await here.buys(CREDIT)
    assert await here.arrives("cal_1") is None
    await here.after(30)
    here.end("cal_1")
    await here.meter.tick(here.clock.at)
    assert (here.balance(), here.held) == (CREDIT, 0)


async def test_without_credit_a_call_is_refused_and_only_until_there_is_some() -> None:
    here = Here()
    assert await here.arrives("cal_1") == "no_credit"
    await here.buys(CREDIT - 1)
    assert await here.arrives("cal_2") == "no_credit"
    await here.buys(1)
    assert await here.arrives("cal_3") is None
    assert await here.arrives("cal_4") == "no_credit"


async def test_without_a_rate_a_call_is_refused_and_somebody_told() -> None:
    here = Here(tariffs(rate(key="US/local"), account=ACCOUNT))
    assert await here.arrives("cal_1") == "no_rate"
    assert "import a rate deck" in here.alarms.standing["no_rate"]
    here.known = tariffs(rate(per_minute=0), account=ACCOUNT)
    await here.meter.renew()
    assert here.alarms.standing == {}
    await here.calls_for("cal_2", 200)
    assert (here.balance(), here.minutes()) == (0, [])


async def test_an_account_may_take_calls_without_credit() -> None:
    here = Here(terms=Terms(refuse_when_empty=False))
    await here.calls_for("cal_1", 61)
    assert (here.balance(), here.balance(UNPAID)) == (0, -2 * CREDIT)
    assert here.minutes("unpaid") == ["cal_1:caller:0", "cal_1:caller:1"]


async def test_a_running_call_may_finish_and_what_it_owes_is_noted() -> None:
    here = Here()
    await here.buys(2 * CREDIT)
    await here.calls_for("cal_1", 200)
    assert (here.balance(), here.balance(UNPAID), here.balance(CALLS)) == (0, -2 * CREDIT, 4 * CREDIT)
    assert here.calls["cal_1"].warned == []
    assert here.held == 0


async def test_a_running_call_is_warned_a_minute_before_it_is_cut_at_the_paid_minute() -> None:
    here = Here(terms=cutting())
    await here.buys(3 * CREDIT)
    assert await here.arrives("cal_1") is None
    here.answers("cal_1")
    await here.after(119)
    assert here.calls["cal_1"].warned == []
    await here.after(2)
    assert here.calls["cal_1"].warned == [60]
    await here.after(300)
    assert here.calls["cal_1"].is_over
    [killed] = [event for event, _ in here.calls["cal_1"].events if isinstance(event, CallKilled)]
    assert killed == CallKilled(T0 + 180 * SECOND, "no_credit")
    assert (here.balance(), here.balance(CALLS), here.balance(UNPAID)) == (0, 3 * CREDIT, 0)


async def test_credit_that_comes_in_time_calls_the_cut_off() -> None:
    here = Here(terms=cutting())
    await here.buys(CREDIT)
    await here.arrives("cal_1")
    here.answers("cal_1")
    await here.after(58)
    assert here.calls["cal_1"].warned == [60]
    await here.buys(CREDIT)
    await here.after(60)
    assert (here.calls["cal_1"].is_over, here.calls["cal_1"].warned) == (False, [60, 60])
    await here.after(3)
    assert here.calls["cal_1"].is_over
    assert (here.balance(), here.balance(CALLS)) == (0, 2 * CREDIT)


async def test_short_increments_are_warned_of_a_minute_before_too() -> None:
    known = tariffs(rate(first_s=6, following_s=6), account=ACCOUNT, terms=cutting())
    here = Here(known)
    await here.buys(2 * CREDIT)
    await here.arrives("cal_1")
    here.answers("cal_1")
    await here.after(400)
    assert here.calls["cal_1"].warned == [60]
    assert (here.balance(), here.balance(CALLS)) == (0, 2 * CREDIT)
    [killed] = [event for event, _ in here.calls["cal_1"].events if isinstance(event, CallKilled)]
    assert killed.at == T0 + 120 * SECOND


async def test_long_increments_are_promised_a_minute_before_they_begin() -> None:
    known = tariffs(rate(first_s=600, following_s=600), account=ACCOUNT, terms=cutting())
    here = Here(known)
    await here.buys(15 * CREDIT)
    await here.arrives("cal_1")
    here.answers("cal_1")
    await here.after(530)
    assert (here.balance(), here.held) == (5 * CREDIT, 0)
    await here.after(11)
    assert here.calls["cal_1"].warned == [60]
    await here.after(60)
    assert here.calls["cal_1"].is_over
    assert here.balance() == 5 * CREDIT


async def test_an_outside_leg_is_charged_beside_the_callers() -> None:
    here = Here()
    await here.buys(10 * CREDIT)
    await here.arrives("cal_1")
    here.answers("cal_1")
    await here.after(30)
    here.dials("cal_1")
    await here.after(10)
    assert (here.balance(), here.held) == (9 * CREDIT, 2 * CREDIT)
    here.answers("cal_1", "leg-1")
    await here.after(61)
    here.hangs_up("cal_1", "leg-1")
    await here.after(1)
    assert sorted(here.minutes()) == [
        "cal_1:caller:0",
        "cal_1:caller:1",
        "cal_1:leg-1:0",
        "cal_1:leg-1:1",
    ]
    assert here.held == CREDIT
    here.end("cal_1")
    await here.meter.tick(here.clock.at)
    assert here.held == 0


async def test_an_outside_leg_that_cannot_be_paid_ends_the_call_before_it_costs() -> None:
    here = Here(terms=cutting())
    await here.buys(2 * CREDIT)
    await here.arrives("cal_1")
    here.answers("cal_1")
    await here.after(30)
    here.dials("cal_1")
    await here.after(10)
    here.answers("cal_1", "leg-1")
    await here.after(0.1)
    assert here.calls["cal_1"].is_over
    assert (here.balance(), here.held, here.minutes()) == (CREDIT, 0, ["cal_1:caller:0"])
    assert here.minutes("unpaid") == []


async def test_a_number_that_is_rung_in_vain_costs_nothing() -> None:
    here = Here()
    await here.buys(3 * CREDIT)
    await here.arrives("cal_1")
    here.answers("cal_1")
    here.dials("cal_1")
    await here.after(1)
    assert here.held == 2 * CREDIT
    here.hangs_up("cal_1", "leg-1")
    await here.after(1)
    assert here.held == CREDIT


async def test_a_hang_up_that_is_heard_late_gives_the_minute_back() -> None:
    here = Here()
    await here.buys(5 * CREDIT)
    await here.arrives("cal_1")
    here.answers("cal_1")
    await here.after(60.01)
    assert here.balance() == 3 * CREDIT
    here.clock.at = T0 + 60 * SECOND
    here.end("cal_1")
    here.clock.at = T0 + 61 * SECOND
    await here.meter.tick(here.clock.at)
    assert (here.balance(), here.held, here.balance(CALLS)) == (4 * CREDIT, 0, CREDIT)


async def test_while_the_database_is_away_calls_go_on_and_new_ones_are_refused() -> None:
    here = Here(terms=cutting())
    await here.buys(10 * CREDIT)
    await here.arrives("cal_1")
    here.answers("cal_1")
    await here.after(1)
    here.ledger.is_away = True
    for _ in range(4):
        here.clock.at += 60 * SECOND
        await here.meter.tick(here.clock.at)
    assert "metering" in here.alarms.standing
    assert await here.arrives("cal_2") == "meter_unavailable"
    here.ledger.is_away = False
    await here.after(0)
    assert here.alarms.standing == {}
    assert not here.calls["cal_1"].is_over
    assert here.balance(CALLS) == 5 * CREDIT


async def test_an_answer_of_the_database_that_is_lost_changes_nothing() -> None:
    here = Here()
    await here.buys(10 * CREDIT)
    here.ledger.loses_answers = True
    assert await here.arrives("cal_1") == "meter_unavailable"
    here.ledger.loses_answers = False
    await here.meter.tick(here.clock.at)
    assert here.held == 0
    await here.arrives("cal_2")
    here.answers("cal_2")
    here.ledger.loses_answers = True
    await here.meter.tick(here.clock.at + SECOND)
    here.ledger.loses_answers = False
    await here.after(61)
    here.end("cal_2")
    await here.meter.tick(here.clock.at)
    assert (here.balance(), here.held) == (8 * CREDIT, 0)


async def test_a_call_that_goes_on_in_another_life_of_the_engine_is_charged_once() -> None:
    here = Here()
    await here.buys(10 * CREDIT)
    await here.arrives("cal_1")
    here.answers("cal_1")
    await here.after(100)
    assert (here.balance(), here.held) == (8 * CREDIT, PRICE)
    later = Here()
    later.memory.books = here.memory.books
    later.clock.at = T0 + 200 * SECOND
    later.calls["cal_1"] = Caller("cal_1")
    for event, said in here.calls["cal_1"].events:
        later.step("cal_1", event, *said)
    await later.after(1)
    assert (later.balance(), later.held) == (6 * CREDIT, PRICE)
    later.end("cal_1")
    await later.after(1)
    assert (later.balance(), later.held) == (6 * CREDIT, 0)
    assert later.minutes() == [f"cal_1:caller:{n}" for n in range(4)]


async def test_a_leg_that_cannot_be_charged_harms_no_other() -> None:
    here = Here()
    await here.buys(10 * CREDIT)
    for id in ("cal_1", "cal_2", "cal_3"):
        await here.arrives(id)
        here.answers(id)
    transact = here.memory.transact

    async def refuses(accounts: Sequence[str], work: Callable[[Perform], Awaitable[object]]) -> object:
        async def checked(perform: Perform) -> object:
            async def perform_unless(operations: Sequence[Operation]) -> list[Result]:
                if any("cal_2" in str(operation) for operation in operations):
                    raise ValueError("no such thing")
                return await perform(operations)

            return await work(perform_unless)

        return await transact(accounts, checked)

    here.memory.transact = refuses  # type: ignore[method-assign,assignment]
    with capture_logs() as logs:
        await here.after(61)
    assert {entry["call"] for entry in logs if entry["event"] == "a leg cannot be charged"} == {"cal_2"}
    assert here.minutes() == ["cal_1:caller:0", "cal_3:caller:0", "cal_1:caller:1", "cal_3:caller:1"]
    here.memory.transact = transact  # type: ignore[method-assign]
    await here.after(61)
    for id in here.calls:
        here.end(id)
    await here.after(1)
    assert (here.balance(), here.held) == (CREDIT, 0)


async def test_whose_credits_became_less_is_told() -> None:
    here = Here()
    told: list[str] = []
    here.meter.on_spent = told.extend
    await here.buys(10 * CREDIT)
    await here.arrives("cal_1")
    assert told == []
    here.answers("cal_1")
    await here.after(61)
    assert told == [ACCOUNT, ACCOUNT]


async def test_an_unknown_account_is_an_error_and_no_free_call() -> None:
    here = Here()
    here.account = "acc_2"
    with pytest.raises(Exception, match="there is no account acc_2"):
        await here.meter.admit("acc_2", "cal_1", NUMBER, T0)
