"""How fast the price of a call is found, a deck of 100,000 rates is read, and what a running call owes is reckoned.

The baseline of a lookup is one look into a dictionary of as many prefixes when the right prefix is known; the deck must
find out which of its prefixes it is. The baseline of reading is the bare CSV reader over the same text.
"""

import csv
import io
from random import Random
from zoneinfo import ZoneInfo

from bench import Result, median_rate
from flowengine.billing.decks import read_deck
from flowengine.billing.increments import charges_to_go_on
from flowengine.billing.rates import Deck, Rate
from flowengine.call.events import SECOND

RATES = 100_000
LOOKUPS = 100_000
CHARGES = 100_000
LENGTHS = {1: 1, 2: 5, 3: 20, 4: 200, 5: 800, 6: 2_000, 7: 3_000, 8: 3_000, 9: 1_000}
"""How many prefixes of how many digits, relatively, as in the decks of wholesale carriers."""
AT = 1_780_000_000 * SECOND
UTC = ZoneInfo("UTC")


def measure() -> list[Result]:
    """Lookups, reading, charges."""
    chance = Random(5)
    text = deck_text(chance)
    rates = read_deck(io.StringIO(text, newline=""), UTC)
    return [lookups(rates, chance), reading(text), charges(rates[0])]


def deck_text(chance: Random) -> str:
    """An outbound deck of random prefixes."""
    prefixes: dict[str, None] = {}
    lengths = chance.choices(list(LENGTHS), list(LENGTHS.values()), k=2 * RATES)
    for length in lengths:
        prefixes[str(chance.randrange(10 ** (length - 1), 10**length))] = None
        if len(prefixes) == RATES:
            break
    rows = [f"{prefix},Somewhere,{chance.randrange(1, 5_000) / 10_000},2026-01-01\n" for prefix in prefixes]
    return "prefix,name,per_minute,valid_from\n" + "".join(rows)


def lookups(rates: list[Rate], chance: Random) -> Result:
    """Numbers of twelve digits, each of which has a rate."""
    deck = Deck(rates)
    numbers = [
        f"+{rate.key}{chance.randrange(10**11, 10**12)}"[:13] for rate in chance.choices(rates, k=LOOKUPS)
    ]
    found = [deck.outbound(number, AT) for number in numbers]
    assert all(isinstance(rate, Rate) for rate in found)
    by_prefix = {rate.key: rate for rate in rates}
    known = [rate.key for rate in found if isinstance(rate, Rate)]

    def in_deck() -> int:
        for number in numbers:
            deck.outbound(number, AT)
        return LOOKUPS

    def in_dictionary() -> int:
        for prefix in known:
            by_prefix[prefix]
        return LOOKUPS

    speed, bare = median_rate(in_deck), median_rate(in_dictionary)
    return Result(
        f"rate of an outbound call, deck of {RATES:,}",
        speed,
        "lookups/s",
        "a dictionary with the prefix known",
        speed / bare,
        f"{1_000_000 / speed:.2f} us each",
    )


def reading(text: str) -> Result:
    """The whole deck from its text."""

    def as_deck() -> int:
        return len(read_deck(io.StringIO(text, newline=""), UTC))

    def as_csv() -> int:
        return sum(1 for _ in csv.reader(io.StringIO(text, newline="")))

    speed, bare = median_rate(as_deck, 3), median_rate(as_csv, 3)
    note = f"{RATES / speed:.2f} s for all"
    return Result(
        "rates read from CSV and checked", speed, "rows/s", "the bare CSV reader", speed / bare, note
    )


def charges(rate: Rate) -> Result:
    """What a meter asks at each minute of a running call."""

    def asked() -> int:
        for minute in range(CHARGES):
            charges_to_go_on(AT, AT + minute * 60 * SECOND, rate, already=minute)
        return CHARGES

    def bare() -> int:
        for minute in range(CHARGES):
            rate.price_of(minute)
        return CHARGES

    speed, one_price = median_rate(asked), median_rate(bare)
    return Result(
        "next charge of a running call", speed, "charges/s", "one price alone", speed / one_price, ""
    )
