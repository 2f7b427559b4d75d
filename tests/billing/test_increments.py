"""Minutes owed: the boundary to the microsecond, and what must hold for every rate and every length of a call."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowengine.billing.increments import (
    affordable,
    charge,
    charges_due,
    charges_to_go_on,
    paid_until,
    price_of_charges,
    settlement,
    started,
    total_due,
)
from flowengine.billing.rates import Rate
from flowengine.call.events import SECOND
from tests.billing.pricing import NOW, inbound, terms

MINUTE = 60 * SECOND
lengths = st.integers(0, 3_600 * SECOND) | st.integers(0, 600).map(lambda seconds: seconds * SECOND)


@pytest.mark.parametrize(
    ("lasted", "minutes"),
    [
        (-1, 0),
        (0, 0),
        (1, 1),
        (SECOND, 1),
        (59 * SECOND, 1),
        (MINUTE, 1),
        (MINUTE + 1, 2),
        (61 * SECOND, 2),
        (2 * MINUTE, 2),
        (121 * SECOND, 3),
    ],
)
def test_a_minute_has_started_when_the_call_is_still_up_after_its_first_instant(
    lasted: int, minutes: int
) -> None:
    rate = inbound(per_minute=5_000)
    assert started(NOW, NOW + lasted, rate) == minutes
    assert [each.amount for each in charges_due(NOW, NOW + lasted, rate)] == [5_000] * minutes


def test_the_first_increment_may_be_another_and_takes_the_connect_fee() -> None:
    rate = inbound(per_minute=60_000, connect_fee=7, first_s=30, following_s=6)
    due = charges_due(NOW, NOW + 37 * SECOND, rate)
    assert [(each.number, each.begins_at - NOW, each.ends_at - NOW, each.amount) for each in due] == [
        (0, 0, 30 * SECOND, 30_007),
        (1, 30 * SECOND, 36 * SECOND, 6_000),
        (2, 36 * SECOND, 42 * SECOND, 6_000),
    ]
    assert total_due(NOW, NOW + 37 * SECOND, rate) == 42_007


def test_every_increment_is_rounded_half_up_by_itself() -> None:
    by_the_second = inbound(per_minute=10_000, first_s=1, following_s=1)
    assert charge(0, NOW, by_the_second).amount == 167
    assert total_due(NOW, NOW + MINUTE, by_the_second) == 60 * 167
    assert inbound(per_minute=30).price_of(1) == 1
    assert inbound(per_minute=29).price_of(1) == 0


@given(terms, lengths, lengths)
def test_charges_of_an_earlier_instant_are_the_beginning_of_those_of_a_later_one(
    rate: Rate, one: int, other: int
) -> None:
    sooner, later = sorted((one, other))
    due, in_the_end = charges_due(NOW, NOW + sooner, rate), charges_due(NOW, NOW + later, rate)
    assert in_the_end[: len(due)] == due
    assert total_due(NOW, NOW + sooner, rate) <= total_due(NOW, NOW + later, rate)


@given(terms, st.lists(lengths, min_size=1, max_size=8))
def test_asking_often_and_asking_once_come_to_the_same(rate: Rate, asked: list[int]) -> None:
    taken: list[object] = []
    for lasted in sorted(asked):
        taken += charges_due(NOW, NOW + lasted, rate, already=len(taken))
    assert taken == charges_due(NOW, NOW + max(asked), rate)


@given(terms, lengths)
def test_charges_are_the_increments_that_began_before_the_end(rate: Rate, lasted: int) -> None:
    due = charges_due(NOW, NOW + lasted, rate)
    assert len(due) == started(NOW, NOW + lasted, rate)
    assert all(each.begins_at < NOW + lasted for each in due)
    assert charge(len(due), NOW, rate).begins_at >= NOW + lasted or lasted == 0
    assert [each.number for each in due] == list(range(len(due)))
    assert all(one.ends_at == other.begins_at for one, other in pairwise(due))
    assert all(each.amount >= 0 for each in due)
    assert sum(each.amount for each in due) == total_due(NOW, NOW + lasted, rate)
    assert due == [charge(number, NOW, rate) for number in range(len(due))]


@given(terms, lengths)
def test_the_total_is_the_formula(rate: Rate, lasted: int) -> None:
    following = -(-max(0, lasted - rate.first_s * SECOND) // (rate.following_s * SECOND))
    first = rate.connect_fee + (2 * rate.per_minute * rate.first_s + 60) // 120
    each = (2 * rate.per_minute * rate.following_s + 60) // 120
    assert total_due(NOW, NOW + lasted, rate) == (first + following * each if lasted else 0)


@given(terms, lengths)
def test_it_does_not_matter_when_the_call_was(rate: Rate, lasted: int) -> None:
    assert total_due(0, lasted, rate) == total_due(NOW, NOW + lasted, rate)


@given(terms, lengths)
def test_what_must_be_paid_to_go_on_is_what_is_due_an_instant_later(rate: Rate, lasted: int) -> None:
    needed = charges_to_go_on(NOW, NOW + lasted, rate)
    assert needed == charges_due(NOW, NOW + lasted + 1, rate)
    assert paid_until(NOW, len(needed), rate) > NOW + lasted
    assert charges_to_go_on(NOW, NOW + lasted, rate, already=len(needed)) == []


def test_the_first_increment_is_paid_at_the_answer() -> None:
    assert charges_to_go_on(NOW, NOW, inbound()) == [charge(0, NOW, inbound())]
    assert charges_due(NOW, NOW, inbound()) == []
    assert paid_until(NOW, 0, inbound()) == NOW


@given(terms, st.integers(0, 50))
def test_a_call_cut_where_its_money_ends_owes_what_was_paid(rate: Rate, debited: int) -> None:
    cut_at = paid_until(NOW, debited, rate)
    assert started(NOW, cut_at, rate) == debited
    assert started(NOW, cut_at + 1, rate) == debited + 1


@given(terms, st.integers(0, 10**10), st.integers(0, 5))
def test_a_balance_pays_for_as_many_charges_as_fit_and_not_one_more(
    rate: Rate, balance: int, already: int
) -> None:
    more = affordable(balance, rate, already=already)
    before = price_of_charges(already, rate)
    if more is None:
        assert price_of_charges(already + 1_000, rate) - before <= balance
    else:
        assert price_of_charges(already + more, rate) - before <= balance
        assert price_of_charges(already + more + 1, rate) - before > balance


def test_a_free_call_is_affordable_without_end_unless_its_first_increment_costs() -> None:
    assert affordable(0, inbound(per_minute=0)) is None
    assert affordable(4, inbound(per_minute=0, connect_fee=5)) == 0
    assert affordable(5, inbound(per_minute=0, connect_fee=5)) is None
    assert affordable(-1, inbound(per_minute=0), already=3) == 0


@given(terms, lengths, st.integers(0, 70))
def test_the_end_of_a_call_squares_up_whatever_was_debited(rate: Rate, lasted: int, debited: int) -> None:
    ended_at = NOW + lasted
    left = settlement(NOW, ended_at, rate, debited=debited)
    assert not (left.missing and left.to_give_back)
    taken = price_of_charges(debited, rate)
    taken += sum(each.amount for each in left.missing) - sum(each.amount for each in left.to_give_back)
    assert taken == total_due(NOW, ended_at, rate)
    assert all(each.begins_at < ended_at for each in left.missing)
    assert all(each.begins_at >= ended_at for each in left.to_give_back)


def test_a_minute_debited_ahead_is_given_back_and_a_started_one_never() -> None:
    rate = inbound()
    assert [each.number for each in settlement(NOW, NOW + MINUTE, rate, debited=2).to_give_back] == [1]
    assert settlement(NOW, NOW + MINUTE + 1, rate, debited=2).to_give_back == []
