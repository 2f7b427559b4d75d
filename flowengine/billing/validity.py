"""Prices that hold for a time: those of one key in order, and the one that holds now."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Protocol, TypeVar

from flowengine.call.events import Instant


class Dated(Protocol):
    """A price of a key from `valid_from` until `valid_until`, the first instant it does not hold any more."""

    @property
    def id(self) -> str:
        """Equal for equal prices."""

    @property
    def key(self) -> str:
        """What it is the price of."""

    @property
    def valid_from(self) -> Instant:
        """The first instant."""

    @property
    def valid_until(self) -> Instant | None:
        """None: no end is known."""


Price = TypeVar("Price", bound=Dated)


class Contradiction(ValueError):
    """Two different prices of one key begin at the same instant; the message names both."""


def by_key(prices: Iterable[Price]) -> Mapping[str, tuple[Price, ...]]:
    """The prices of each key, the one that begins last in front; one given twice counts once.

    Raises:
        Contradiction: two different ones begin together.
    """
    found: dict[str, tuple[Price, ...]] = {}
    several: dict[str, None] = {}
    for price in prices:
        others = found.get(price.key, ())
        if others:
            if price.id in [other.id for other in others]:
                continue
            several[price.key] = None
        found[price.key] = (*others, price)
    for key in several:
        found[key] = tuple(sorted(found[key], key=lambda price: price.valid_from, reverse=True))
        for later, earlier in pairwise(found[key]):
            if later.valid_from == earlier.valid_from:
                raise Contradiction(
                    f"two prices of {key} begin at the same time, {later.id} and {earlier.id}: "
                    f"let the new one begin later"
                )
    return found


def holding_at(prices: Sequence[Price], at: Instant) -> Price | None:
    """The first of them that holds at an instant: of those in the order of `by_key`, the one that began last."""
    for price in prices:
        until = price.valid_until
        if price.valid_from <= at and (until is None or at < until):
            return price
    return None
