"""A month of calls in virtual time, booked as a meter books them, and reckoned a second time from the calls alone.

It has what makes months hard: a price that changes in the middle, clocks that change, a number bought on 31 January, a
plan changed on the way, calls that begin in one month and end in the next, increments that are given back, and
increments that could not be paid in time. The second reckoning knows nothing of `flowengine.billing`: it counts with
dates and fractions.
"""

import argparse
import asyncio
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import islice
from math import ceil
from random import Random
from typing import NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import insert

from flowengine.billing.exchange import exchange_rates
from flowengine.billing.increments import charges_due
from flowengine.billing.money import CREDIT
from flowengine.billing.periods import instant
from flowengine.billing.rates import Deck, Direction, Rate
from flowengine.billing.spans import days_span
from flowengine.billing.statements import Statement
from flowengine.call.events import SECOND
from flowengine.shop.checkout import Checkout
from flowengine.store import credit_reports, ledger, plan_sales, tables
from flowengine.store.books import Operation, Posted
from flowengine.store.credit_reports import Day, Share, Used
from flowengine.store.database import Database, open_database
from flowengine.store.debits import BilledTo, given_back, minute, unpaid
from flowengine.store.statements import statement
from tests.shop.cards import FakeCard
from tests.shop.world import Shop
from tests.store.seed import Seed, seed

ZONE = ZoneInfo("Europe/Berlin")
"""Its clocks go forward on 28 March 2027."""
CHANGE = datetime(2027, 3, 16, 12, 0, tzinfo=ZONE)
NUMBERS = ("+4930123456", "+49301234567", "+498001234567")
USERS = ("hanako", "taro", "jiro")
PRICES = {"DE/local": (10_000, 15_500), "DE/toll_free": (25_000, 31_333), "49171": (80_000, 79_999)}
"""Micro-credits a minute, before and from `CHANGE` on."""
CONNECT = {"DE/local": 0, "DE/toll_free": 0, "49171": 12_345}
FEE, PLAN_FEE = 2 * CREDIT, 25 * CREDIT
BOUGHT_AT = datetime(2027, 1, 31, 10, 0, tzinfo=ZONE)
PLAN_AT = datetime(2027, 3, 10, 9, 0, tzinfo=ZONE)
BATCH = 1_000

T = TypeVar("T")


class Leg(NamedTuple):
    """A leg that was answered; the first of a call is the caller's. Seconds may be a fraction."""

    call: str
    leg: str
    number: str
    key: str
    user: str
    answered_at: datetime
    us: int
    fate: str
    """paid, unpaid, or back: one increment too many was debited and given back."""


class Minute(NamedTuple):
    """What the second reckoning says of an increment."""

    at: datetime
    key: str
    amount: int
    fate: str
    call: str
    number: str
    user: str


def legs(calls: int) -> Iterator[Leg]:
    """The same calls each time, from the last day of February to the first of April."""
    chance = Random(calls)
    begin = datetime(2027, 2, 28, 12, 0, tzinfo=ZONE)
    seconds = int((datetime(2027, 4, 1, 12, 0, tzinfo=ZONE) - begin).total_seconds())
    for n in range(calls):
        call, number = f"cal_{n:026d}", NUMBERS[n % 3]
        # Aware arithmetic within one zone would follow the clocks; what passes is time.
        at = (begin.astimezone(UTC) + timedelta(microseconds=chance.randrange(seconds * 10**6))).astimezone(
            ZONE
        )
        us = chance.choice([0, 1, 59_999_999, 60_000_000, 60_000_001, chance.randrange(400_000_000)])
        unpaid = "unpaid" if at < PLAN_AT - timedelta(hours=1) else "paid"
        fate = chance.choice(["paid"] * 30 + [unpaid, "back"])
        key = "DE/toll_free" if number == NUMBERS[2] else "DE/local"
        user = USERS[n % len(USERS)]
        yield Leg(call, "caller", number, key, user, at, us, fate)
        if n % 10 == 0:
            yield Leg(
                call, "leg-1", "+491711234567", "49171", user, at + timedelta(seconds=1), us // 2, "paid"
            )


def reckoned(leg: Leg, number: str) -> Iterator[Minute]:
    """The increments of a leg by the rule of the documents: a minute is started when the call is still up after it."""
    changed = leg.answered_at >= CHANGE
    price = PRICES[leg.key][changed]
    started = ceil(Fraction(leg.us, 60_000_000))
    for n in range(started):
        at = (leg.answered_at.astimezone(UTC) + timedelta(minutes=n)).astimezone(ZONE)
        amount = price + (CONNECT[leg.key] if n == 0 else 0)
        yield Minute(at, leg.key, amount, leg.fate, leg.call, number, leg.user)


class Reckoning:
    """The month by the second reckoning."""

    def __init__(self, calls: int) -> None:
        self.minutes: list[Minute] = []
        number = ""
        for leg in legs(calls):
            number = leg.number if leg.leg == "caller" else number
            self.minutes += reckoned(leg, number)

    def march(self) -> list[Minute]:
        return [each for each in self.minutes if (each.at.year, each.at.month) == (2027, 3)]

    def by_key(self) -> dict[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
        for each in self.march():
            many, amount = found[each.key]
            found[each.key] = many + 1, amount - each.amount
        return dict(found)

    def paid(self, minutes: list[Minute]) -> int:
        return sum(each.amount for each in minutes if each.fate != "unpaid")

    def used_by(self, what: str) -> Counter[str]:
        found: Counter[str] = Counter()
        for each in self.march():
            found[getattr(each, what)] += each.amount
        return found

    def by_day(self) -> Counter[date]:
        found: Counter[date] = Counter()
        for each in self.march():
            found[each.at.date()] += each.amount
        return found


def deck() -> Deck:
    """The rates of the month, with the change in the middle."""
    change = instant(CHANGE)
    rates: list[Rate] = []
    for key, (before, after) in PRICES.items():
        direction: Direction = "inbound" if "/" in key else "outbound"
        for price, since, until in ((before, 0, change), (after, change, None)):
            rates.append(
                Rate(
                    direction=direction,
                    key=key,
                    connect_fee=CONNECT[key],
                    per_minute=price,
                    valid_from=since,
                    valid_until=until,
                )
            )
    return Deck(rates)


def operations(account: str, calls: int) -> Iterator[Operation]:
    """What a meter books for the calls."""
    rates = deck()
    for leg in legs(calls):
        answered_at = instant(leg.answered_at)
        if leg.leg == "caller":
            kind = "toll_free" if leg.key.endswith("toll_free") else "local"
            rate = rates.inbound("DE", kind, answered_at)  # type: ignore[arg-type]
        else:
            rate = rates.outbound(leg.number, answered_at)
        assert isinstance(rate, Rate)
        of = BilledTo(account, leg.call, leg.leg, leg.number, leg.user if leg.leg != "caller" else "")
        book = unpaid if leg.fate == "unpaid" else minute
        for charge in charges_due(answered_at, answered_at + leg.us, rate):
            yield book(of, rate, charge)
        if leg.fate == "back":
            for charge in charges_due(answered_at, answered_at + leg.us + 60 * SECOND, rate)[-1:]:
                yield minute(of, rate, charge)
                yield given_back(of, rate, charge, charge.begins_at, was_unpaid=False)


class Month(NamedTuple):
    """What the product says of March 2027."""

    statement: Statement
    used: Used
    days: list[Day]
    numbers: list[Share]
    users: list[Share]
    flows: list[Share]
    balance: int
    entries: int
    seconds: float
    reading_s: float


async def simulate(database: Database, calls: int) -> tuple[Month, Shop]:
    """Let the month pass on a migrated database without accounts, and read what it says."""
    of = await seed(database)
    shop = Shop(database, of.account, FakeCard())
    shop.checkout = Checkout(database, shop.card, shop.clock, exchange_rates("EUR=0.92"))
    await shop.set_account(time_zone=ZONE.key, currency="EUR", country="DE", created_at=BOUGHT_AT)
    shop.clock.time = instant(BOUGHT_AT)
    await shop.offer("+4930999999")
    await shop.checkout.buy(of.account, 100_000 * CREDIT, 9_200_000, "first", "hanako")
    _, price = await shop.numbers.quote("+4930999999")
    await shop.numbers.buy(of.account, "+4930999999", price, "k1")
    began = time.perf_counter()
    entries = await _book(database, of, calls)
    seconds = time.perf_counter() - began
    await _tick_on(shop, datetime(2027, 2, 28, 10, tzinfo=ZONE), charges=1)
    await _tick_on(shop, PLAN_AT, charges=0)
    async with database.writing() as session:
        quote = await plan_sales.quote_plan(session, of.account, "50k", shop.clock.time)
        await plan_sales.choose_plan(session, of.account, "50k", quote.to_pay, "taro", shop.clock.time)
    await shop.checkout.buy(of.account, 50 * CREDIT, 4_600, "march", "hanako")
    await _tick_on(shop, datetime(2027, 3, 31, 9, 59, 59, 999_999, tzinfo=ZONE), charges=0)
    await _tick_on(shop, datetime(2027, 3, 31, 10, 0, 0, tzinfo=ZONE), charges=1)
    shop.clock.time = instant(datetime(2027, 4, 3, tzinfo=ZONE))
    return await _read(shop, entries, seconds), shop


async def _tick_on(shop: Shop, moment: datetime, charges: int) -> None:
    shop.clock.time = instant(moment)
    assert await shop.fees.tick() == charges


async def _book(database: Database, of: Seed, calls: int) -> int:
    chance = legs(calls)
    rows = (
        {
            "id": leg.call,
            "account_id": of.account,
            "flow_id": of.flow,
            "version": of.version,
            "number": leg.number,
            "caller": "",
            "arrived_at": instant(leg.answered_at),
            "record": {"agents": [leg.user]},
        }
        for leg in chance
        if leg.leg == "caller"
    )
    for some in _batches(rows):
        async with database.writing() as session:
            await (await session.connection()).execute(insert(tables.Call), some)
    entries = 0
    for batch in _batches(operations(of.account, calls)):
        async with database.writing() as session:
            done = await ledger.perform(session, batch)
        assert all(isinstance(each, Posted) and each.new for each in done)
        entries += len(done)
    return entries


def _batches(items: Iterator[T]) -> Iterator[list[T]]:
    while some := list(islice(items, BATCH)):
        yield some


async def _read(shop: Shop, entries: int, seconds: float) -> Month:
    first, last = date(2027, 3, 1), date(2027, 3, 31)
    span = days_span(first, last, ZONE)
    began = time.perf_counter()
    async with shop.database.reading() as session:
        found = await statement(session, shop.account, 2027, 3, shop.clock.time)
        used = await credit_reports.used(session, shop.account, span)
        days = await credit_reports.used_by_day(session, shop.account, first, last, ZONE)
        numbers, users, flows = [
            await credit_reports.used_by(session, shop.account, span, by) for by in ("number", "user", "flow")
        ]
    reading_s = time.perf_counter() - began
    balance = await shop.balance()
    return Month(found, used, days, numbers, users, flows, balance, entries, seconds, reading_s)


def compare(month: Month, calls: int) -> None:
    """Hold what the product says against the second reckoning."""
    second = Reckoning(calls)
    march, lines = second.march(), {line.kind: line for line in month.statement.lines}
    plan = _plan_share()
    before = [each for each in second.minutes if each.at < datetime(2027, 3, 1, tzinfo=ZONE)]
    assert month.statement.opening == 100_000 * CREDIT - CREDIT - 2 * FEE - second.paid(before)
    assert -lines["minute"].amount + -lines["minute_back"].amount == second.paid(march), (
        "calls that were paid"
    )
    assert lines["number_fee"].amount == -FEE, "31 March, 10:00 in summer time"
    assert -lines["plan_fee"].amount == plan + PLAN_FEE
    assert lines["purchase"] == ("purchase", 1, 50 * CREDIT)
    owed = sum(each.amount for each in second.minutes if each.fate == "unpaid")
    assert lines["arrears"] == ("arrears", 1, -owed), "credits that came in paid them first"
    total = 50 * CREDIT - FEE - plan - PLAN_FEE - second.paid(march) - owed
    assert month.statement.closing == month.statement.opening + total
    april = datetime(2027, 4, 1, tzinfo=ZONE)
    after = [each for each in second.minutes if each.at >= april]
    assert month.balance == month.statement.closing - second.paid(after)
    assert month.statement.owed == 0
    assert {each.key: (each.many, each.amount) for each in month.statement.calls} == second.by_key()
    calls_cost = sum(each.amount for each in march)
    fees = FEE + plan + PLAN_FEE
    assert (month.used.bought, month.used.used, month.used.calls) == (
        50 * CREDIT,
        calls_cost + fees,
        calls_cost,
    )
    by_day = second.by_day()
    by_day[PLAN_AT.date()] += plan
    by_day[date(2027, 3, 31)] += FEE + PLAN_FEE
    assert [(day.day, day.used) for day in month.days] == [
        (date(2027, 3, n), by_day[date(2027, 3, n)]) for n in range(1, 32)
    ]
    numbers = second.used_by("number") + Counter({"+4930999999": FEE, "": plan + PLAN_FEE})
    assert {each.key: each.used for each in month.numbers} == numbers
    assert {each.key: each.used for each in month.users} == second.used_by("user")
    assert [each.used for each in month.flows] == [calls_cost]
    assert month.statement.is_final


def _plan_share() -> int:
    """What is left of the month from 28 February to 31 March, 10:00 each, on 10 March, 9:00: in hours."""
    begin, end = (datetime(2027, *day, 10, tzinfo=ZONE).astimezone(UTC) for day in ((2, 28), (3, 31)))
    left, whole = end - PLAN_AT.astimezone(UTC), end - begin
    return int(PLAN_FEE * Fraction(left // timedelta(seconds=1), whole // timedelta(seconds=1)))


async def _main(url: str, calls: int) -> None:
    async with open_database(url) as database:
        month, _ = await simulate(database, calls)
    compare(month, calls)
    sys.stdout.write(
        f"{calls} calls, {month.entries} entries, differences: 0\n"
        f"booked in {month.seconds:.1f} s ({month.entries / month.seconds:,.0f} entries/s), "
        f"statement and reports in {month.reading_s:.2f} s\n"
        f"opening {month.statement.opening}, closing {month.statement.closing} micro-credits\n"
    )


def main() -> None:
    """Let a month pass on a migrated database without accounts."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("url")
    arguments.add_argument("--calls", type=int, default=100_000)
    given = arguments.parse_args()
    asyncio.run(_main(given.url, given.calls))


if __name__ == "__main__":
    main()
