"""Changing plans: nothing is paid twice, nothing is earned by it, every rounding is the customer's."""

from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowengine.billing.money import CREDIT
from flowengine.billing.periods import Period, period
from flowengine.billing.plans import (
    FREE,
    STORAGE_PLANS,
    BadPlan,
    Downgrade,
    Upgrade,
    change_of_plan,
    prorated_change,
    storage_plan,
)
from flowengine.call.events import SECOND
from tests.billing.pricing import DAY, NOW

MONTH = Period(0, NOW, NOW + 30 * DAY)
fees = st.integers(0, 100 * CREDIT) | st.integers(0, 10)
within = st.integers(0, 30 * DAY - 1)


def test_the_plans_are_those_of_the_product() -> None:
    assert [(plan.name, plan.minutes, plan.fee) for plan in STORAGE_PLANS.values()] == [
        ("free", 1_000, 0),
        ("50k", 50_000, 25_000_000),
        ("200k", 200_000, 50_000_000),
        ("1m", 1_000_000, 75_000_000),
    ]
    assert storage_plan("50k").room_ms == 3_000_000_000
    assert storage_plan("free") == FREE


def test_a_plan_that_is_not_there_is_refused() -> None:
    with pytest.raises(BadPlan, match="'gold' is no storage plan: choose from free, 50k, 200k, 1m"):
        storage_plan("gold")


def test_an_upgrade_holds_at_once_and_costs_the_rest_of_the_month() -> None:
    change = change_of_plan(storage_plan("50k"), storage_plan("200k"), MONTH, NOW + 20 * DAY)
    assert change == Upgrade(storage_plan("200k"), NOW + 20 * DAY, credit=8_333_334, charge=16_666_667)
    assert isinstance(change, Upgrade)
    assert change.to_pay == 8_333_333


def test_an_upgrade_in_the_first_instant_costs_the_whole_difference_and_in_the_last_nothing() -> None:
    first = change_of_plan(FREE, storage_plan("1m"), MONTH, NOW)
    last = change_of_plan(FREE, storage_plan("1m"), MONTH, MONTH.ends_at - 1)
    assert isinstance(first, Upgrade)
    assert isinstance(last, Upgrade)
    assert first.to_pay == 75 * CREDIT
    assert last.to_pay == 0


def test_a_downgrade_waits_for_the_anniversary() -> None:
    change = change_of_plan(storage_plan("1m"), FREE, MONTH, NOW + 1)
    assert change == Downgrade(FREE, MONTH.ends_at)


def test_another_plan_at_the_same_fee_holds_at_once_and_costs_nothing() -> None:
    roomier = storage_plan("50k")._replace(name="50k-plus", minutes=60_000)
    change = change_of_plan(storage_plan("50k"), roomier, MONTH, NOW + 1)
    assert isinstance(change, Upgrade)
    assert (change.holds_from, change.to_pay) == (NOW + 1, 0)


def test_what_is_no_change_is_refused() -> None:
    with pytest.raises(BadPlan, match="the plan is free already"):
        change_of_plan(FREE, FREE, MONTH, NOW)
    for outside in (NOW - 1, MONTH.ends_at):
        with pytest.raises(ValueError, match="within the month"):
            change_of_plan(FREE, storage_plan("1m"), MONTH, outside)


@given(fees, fees, within)
def test_roundings_are_the_customers_and_less_than_a_micro_credit(one: int, other: int, later: int) -> None:
    old, new = sorted((one, other))
    credit, charge = prorated_change(old, new, MONTH, NOW + later)
    left = Fraction((30 * DAY - later) // SECOND * SECOND, 30 * DAY)
    assert 0 <= credit - old * left < 1
    assert 0 <= (new - old) * left - (charge - credit) < 1
    assert 0 <= credit <= charge <= new


@given(st.lists(st.tuples(fees, within), max_size=6), fees)
def test_all_upgrades_of_a_month_cost_no_more_than_the_largest_plan(
    steps: list[tuple[int, int]], first: int
) -> None:
    """Fees rise, time goes on; what is paid is what each plan costs for its share of the month."""
    rising = sorted({first, *(fee for fee, _ in steps)})
    times = sorted(later for _, later in steps)
    paid, fee, exact = rising[0], rising[0], Fraction(rising[0])
    for new, later in zip(rising[1:], times, strict=False):
        credit, charge = prorated_change(fee, new, MONTH, NOW + later)
        paid += charge - credit
        exact += (new - fee) * Fraction((30 * DAY - later) // SECOND * SECOND, 30 * DAY)
        fee = new
    assert rising[0] <= paid <= fee
    assert exact - len(steps) <= paid <= exact


@given(fees, fees, within, within)
def test_an_upgrade_later_costs_no_more_than_one_sooner(
    one: int, other: int, sooner: int, later: int
) -> None:
    old, new = sorted((one, other))
    sooner, later = sorted((sooner, later))
    costs = []
    for when in (sooner, later):
        credit, charge = prorated_change(old, new, MONTH, NOW + when)
        costs.append(charge - credit)
    assert costs[1] <= costs[0]


def test_a_month_with_a_change_of_clocks_is_as_long_as_it_is() -> None:
    zone = ZoneInfo("America/New_York")
    march = period(1_803_000_000 * SECOND, 0, zone)
    assert (march.ends_at - march.begins_at) // SECOND == 28 * 86_400 - 3_600
    halfway = (march.begins_at + march.ends_at) // 2
    assert prorated_change(0, 50 * CREDIT, march, halfway) == (0, 25 * CREDIT)
