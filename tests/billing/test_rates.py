"""The deck finds one rate, the same every time, or says why there is none."""

from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowengine.billing.money import CREDIT
from flowengine.billing.rates import DEAREST, BadRate, Deck, NoRate, Rate, inbound_key
from flowengine.billing.validity import Contradiction, holding_at
from tests.billing.pricing import DAY, NOW, inbound, outbound, terms


def test_an_inbound_call_costs_by_country_and_type() -> None:
    local, free = inbound("JP/local"), inbound(inbound_key("JP", "toll_free"), 90_000)
    deck = Deck([local, free])
    assert deck.inbound("JP", "local", NOW) == local
    assert deck.inbound("JP", "toll_free", NOW) == free
    assert len(deck) == 2


def test_the_longest_prefix_wins() -> None:
    japan, mobile, tokyo = outbound("81"), outbound("8190"), outbound("813")
    deck = Deck([mobile, japan, tokyo])
    assert deck.outbound("+819012345678", NOW) == mobile
    assert deck.outbound("+81312345678", NOW) == tokyo
    assert deck.outbound("+81612345678", NOW) == japan
    assert deck.outbound("+81", NOW) == japan
    assert deck.outbound("+8190", NOW) == mobile


def test_a_longer_prefix_that_is_not_valid_leaves_the_call_to_a_shorter_one() -> None:
    japan, mobile = outbound("81"), outbound("8190", valid_from=NOW, valid_until=NOW + DAY)
    deck = Deck([japan, mobile])
    assert deck.outbound("+8190", NOW - 1) == japan
    assert deck.outbound("+8190", NOW) == mobile
    assert deck.outbound("+8190", NOW + DAY - 1) == mobile
    assert deck.outbound("+8190", NOW + DAY) == japan


def test_the_rate_that_begins_later_wins_and_gives_way_when_it_ends() -> None:
    lasting = inbound(valid_from=NOW)
    promotion = inbound(per_minute=0, valid_from=NOW + DAY, valid_until=NOW + 2 * DAY)
    new = inbound(per_minute=6_000, valid_from=NOW + 3 * DAY)
    deck = Deck([new, lasting, promotion])
    found = [deck.inbound("JP", "local", NOW + days * DAY) for days in range(4)]
    assert found == [lasting, promotion, lasting, new]


def test_no_call_is_free_by_accident() -> None:
    deck = Deck([outbound("81", valid_from=NOW), inbound(valid_from=NOW)])
    for answer, says in [
        (deck.outbound("+4930123456", NOW), r"no rate for outbound calls to \+4930\.\.\.: import"),
        (deck.outbound("+819012345678", NOW - 1), r"to \+8190\.\.\. is valid at that time"),
        (deck.outbound("117", NOW), "not a number in E.164 form"),
        (deck.outbound("", NOW), "not a number in E.164 form"),
        (deck.outbound("+", NOW), "not a number in E.164 form"),
        (deck.outbound("+81９", NOW), "not a number in E.164 form"),
        (deck.outbound("+8112345678901234", NOW), "not a number in E.164 form"),
        (deck.inbound("JP", "mobile", NOW), "no rate for inbound calls on JP/mobile: import"),
        (deck.inbound("JP", "local", NOW - 1), "on JP/local is valid at that time"),
    ]:
        assert isinstance(answer, NoRate)
        with pytest.raises(AssertionError, match=says):
            raise AssertionError(str(answer))
    assert isinstance(Deck([]).outbound("+81", NOW), NoRate)


def test_an_answer_without_a_rate_does_not_repeat_the_number() -> None:
    answer = Deck([]).outbound("+819012345678", NOW)
    assert "12345678" not in repr(answer)


def test_a_price_of_zero_is_a_price() -> None:
    free = outbound("81", 0)
    assert Deck([free]).outbound("+81", NOW) == free


def test_a_rate_given_twice_counts_once_even_under_another_name() -> None:
    deck = Deck([outbound("81", name="Japan"), outbound("81", name="Nippon"), outbound("81")])
    assert len(deck) == 1


def test_two_prices_that_begin_together_are_refused() -> None:
    one, other = outbound("81", 1), outbound("81", 2)
    with pytest.raises(Contradiction, match="two prices of 81 begin at the same time") as refusal:
        Deck([one, outbound("82"), other])
    assert one.id in str(refusal.value)
    assert other.id in str(refusal.value)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"per_minute": -1}, "per_minute of -0.000001 credits: give 0 to 1000.00"),
        ({"per_minute": DEAREST + 1}, "per_minute of 1000.000001"),
        ({"connect_fee": -CREDIT}, "connect_fee of -1.00"),
        ({"first_s": 0}, "first_s of 0 s: give 1 to 3600"),
        ({"following_s": 3_601}, "following_s of 3601 s"),
        ({"valid_from": NOW, "valid_until": NOW}, "valid_until is not after valid_from"),
        ({"key": "081"}, "1 to 15 digits, the first not 0"),
        ({"key": "81 90"}, "1 to 15 digits"),
        ({"key": "8" * 16}, "1 to 15 digits"),
        ({"direction": "inbound"}, "such as JP/toll_free"),
        ({"direction": "inbound", "key": "jp/local"}, "such as JP/toll_free"),
    ],
)
def test_a_rate_that_cannot_be_is_refused(wrong: dict[str, Any], says: str) -> None:
    said: dict[str, Any] = {"direction": "outbound", "key": "81", "per_minute": 1, "valid_from": 0, **wrong}
    with pytest.raises(BadRate, match=says):
        Rate(**said)


@given(terms, terms)
def test_the_id_of_a_rate_is_what_it_says(rate: Rate, other: Rate) -> None:
    assert rate.id == msgspec.structs.replace(rate, name="renamed").id
    assert (rate.id == other.id) == (rate == other)
    assert msgspec.json.decode(msgspec.json.encode(rate), type=Rate) == rate
    dearer_or_cheaper = {"per_minute": rate.per_minute + (1 if rate.per_minute < DEAREST else -1)}
    for change in (dearer_or_cheaper, {"valid_from": 1}, {"valid_until": NOW}):
        assert msgspec.structs.replace(rate, **change).id != rate.id


def test_the_id_of_a_rate_stays_the_same_for_ever() -> None:
    """Ledgers keep it: whoever changes how it is made breaks the proof of every debit made before."""
    assert outbound("8190", 12_000, connect_fee=1, valid_until=NOW).id == "rat_e54ebbaa8852aa6bbc14b60e"


def test_a_stored_rate_that_cannot_be_is_refused_too() -> None:
    broken = msgspec.json.encode(inbound()).replace(b'"first_s":60', b'"first_s":0')
    with pytest.raises(msgspec.ValidationError, match="first_s of 0 s"):
        msgspec.json.decode(broken, type=Rate)


digits = st.text("0129", min_size=0, max_size=6).map(lambda text: f"8{text}")
spans = st.tuples(st.integers(0, 9), st.none() | st.integers(1, 10)).map(
    lambda span: (span[0], None if span[1] is None else span[0] + span[1])
)


@given(
    st.lists(st.tuples(digits, spans), max_size=30, unique_by=lambda row: (row[0], row[1][0])),
    st.lists(st.tuples(digits, st.integers(0, 20)), min_size=1, max_size=10),
    st.randoms(use_true_random=False),
)
def test_the_deck_agrees_with_looking_at_every_rate(
    rows: list[tuple[str, tuple[int, int | None]]], asked: list[tuple[str, int]], chance: Random
) -> None:
    rates = [outbound(prefix, valid_from=begin, valid_until=end) for prefix, (begin, end) in rows]
    shuffled = list(rates)
    chance.shuffle(shuffled)
    deck = Deck(shuffled)
    assert len(deck) == len(rates)
    for number, at in asked:
        fits = [rate for rate in rates if number.startswith(rate.key) and holding_at([rate], at)]
        best = max(fits, key=lambda rate: (len(rate.key), rate.valid_from), default=None)
        found = deck.outbound(f"+{number}", at)
        assert (None if isinstance(found, NoRate) else found) == best
