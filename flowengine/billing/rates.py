"""What a minute costs: rates with validity, and the deck that finds the one for a call.

Inbound calls cost by the called number's country and type, outbound calls by the longest prefix of the destination
(product rules, section 1). A number without a rate is an answer of its own, `NoRate`, so that no call is free by
accident; a rate of 0 is a price like any other.
"""

import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Final, Literal, NamedTuple, get_args

import msgspec

from flowengine.billing.money import CREDIT, MicroCredits, format_credits, half_up
from flowengine.billing.validity import by_key, holding_at
from flowengine.call.events import Instant

Direction = Literal["inbound", "outbound"]
NumberType = Literal["local", "mobile", "toll_free"]
NUMBER_TYPES: Final[tuple[NumberType, ...]] = get_args(NumberType)

LONGEST_PREFIX: Final = 15
"""Digits of an E.164 number at most (ITU-T E.164, section 6)."""
DEAREST: Final[MicroCredits] = 1_000 * CREDIT
"""The highest price of a minute or of a connection: above it, somebody has slipped with the decimal point."""
LONGEST_INCREMENT_S: Final = 3_600
_E164: Final = re.compile(rf"\+[0-9]{{1,{LONGEST_PREFIX}}}")
_KEYS: Final[Mapping[Direction, re.Pattern[str]]] = {
    "inbound": re.compile(rf"(?:[A-Z]{{2}}|001)/(?:{'|'.join(NUMBER_TYPES)})"),
    "outbound": re.compile(rf"[1-9][0-9]{{0,{LONGEST_PREFIX - 1}}}"),
}


class BadRate(ValueError):
    """A rate that cannot be; the message names the field and the mend."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field
        """The field of the rate that is wrong."""


class Rate(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One price, for one destination or kind of number, in one span of time. Never changed, only followed by another.

    `key` is `inbound_key(...)` for inbound calls, and the digits of an E.164 prefix without + for outbound ones.
    Prices are micro-credits, increments whole seconds. `valid_until` is the first instant it does not hold any more.
    """

    direction: Direction
    key: str
    per_minute: MicroCredits
    connect_fee: MicroCredits = 0
    first_s: int = 60
    following_s: int = 60
    valid_from: Instant
    valid_until: Instant | None = None
    name: str = ""
    """For people: "Japan mobile". Not part of the `id`."""

    def __post_init__(self) -> None:
        if _KEYS[self.direction].fullmatch(self.key) is None:
            form = (
                "such as JP/toll_free" if self.direction == "inbound" else "1 to 15 digits, the first not 0"
            )
            raise BadRate(f"{self.direction} rate for {self.key!r}: the key must be {form}", "key")
        for field, price in (("per_minute", self.per_minute), ("connect_fee", self.connect_fee)):
            if not 0 <= price <= DEAREST:
                raise BadRate(
                    f"{field} of {format_credits(price)} credits: give 0 to {format_credits(DEAREST)} credits",
                    field,
                )
        for field, seconds in (("first_s", self.first_s), ("following_s", self.following_s)):
            if not 1 <= seconds <= LONGEST_INCREMENT_S:
                raise BadRate(f"{field} of {seconds} s: give 1 to {LONGEST_INCREMENT_S} seconds", field)
        if self.valid_until is not None and self.valid_until <= self.valid_from:
            raise BadRate("valid_until is not after valid_from: the rate would never hold", "valid_until")

    @property
    def id(self) -> str:
        """ "rat_" and a hash of all that decides a price: whoever keeps the id of a rate can prove the rate."""
        until = "" if self.valid_until is None else self.valid_until
        said = (
            f"{self.direction}|{self.key}|{self.per_minute}|{self.connect_fee}|{self.first_s}|{self.following_s}"
            f"|{self.valid_from}|{until}"
        )
        return f"rat_{sha256(said.encode()).hexdigest()[:24]}"

    def price_of(self, seconds: int) -> MicroCredits:
        """The price of an increment of so many seconds, rounded half up to a micro-credit."""
        return half_up(self.per_minute * seconds, 60)


class NoRate(NamedTuple):
    """There is no price for this call, and why."""

    direction: Direction
    asked: str
    """The key asked for; of an outbound number the beginning only, fit for logs."""
    reason: Literal["no_row", "not_valid_then", "not_e164"]

    def __str__(self) -> str:
        what = f"{self.direction} calls {'to' if self.direction == 'outbound' else 'on'} {self.asked}"
        match self.reason:
            case "no_row":
                return (
                    f"no rate for {what}: import a rate deck that covers them (a price of 0 makes them free)"
                )
            case "not_valid_then":
                return f"no rate for {what} is valid at that time: import a rate deck for the time"
            case "not_e164":
                return f"no rate for {what}: not a number in E.164 form, such as +815055550100"


def inbound_key(country: str, number_type: NumberType) -> str:
    """The key of an inbound rate, as in "JP/toll_free": ISO 3166 country or 001 for none, and type of number."""
    return f"{country}/{number_type}"


class Deck:
    """All rates of an account or of everybody; immutable.

    Where two rates of one key hold at once, the one that begins later wins, and when it ends the other is back: a
    promotion lies on top of a lasting price. Two rates of one key that begin together are refused.

    One dictionary by prefix is asked once for each length that occurs. A trie and a search in the sorted
    prefixes were slower in Python.
    """

    __slots__ = ("_inbound", "_lengths", "_outbound", "_size")

    def __init__(self, rates: Iterable[Rate]) -> None:
        """Put rates in order; a rate given twice counts once.

        Raises:
            Contradiction: two different rates of one key begin at the same instant.
        """
        inbound: list[Rate] = []
        outbound: list[Rate] = []
        for rate in rates:
            (outbound if rate.direction == "outbound" else inbound).append(rate)
        self._inbound, self._outbound = by_key(inbound), by_key(outbound)
        self._lengths = sorted({len(prefix) for prefix in self._outbound}, reverse=True)
        self._size = sum(
            len(of_key) for found in (self._inbound, self._outbound) for of_key in found.values()
        )

    def __len__(self) -> int:
        return self._size

    def inbound(self, country: str, number_type: NumberType, at: Instant) -> Rate | NoRate:
        """The rate of calls on a number of ours, by the number's country and type, at an instant."""
        key = inbound_key(country, number_type)
        rates = self._inbound.get(key)
        if rates is None:
            return NoRate("inbound", key, "no_row")
        return holding_at(rates, at) or NoRate("inbound", key, "not_valid_then")

    def outbound(self, number: str, at: Instant) -> Rate | NoRate:
        """The rate of calls to an E.164 number ("+81..."): the longest prefix that has one valid at the instant."""
        if _E164.fullmatch(number) is None:
            return NoRate("outbound", "a number", "not_e164")
        by_prefix, known = self._outbound, False
        for length in self._lengths:
            rates = by_prefix.get(number[1 : length + 1])
            if rates is not None:
                rate = holding_at(rates, at)
                if rate is not None:
                    return rate
                known = True
        return NoRate("outbound", f"{number[:5]}...", "not_valid_then" if known else "no_row")
