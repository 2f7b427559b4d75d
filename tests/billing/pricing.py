"""Rates and decks for tests, by hand and by chance."""

from typing import Any

from hypothesis import strategies as st

from flowengine.billing.rates import DEAREST, LONGEST_INCREMENT_S, NUMBER_TYPES, Rate, inbound_key
from flowengine.call.events import SECOND

DAY = 86_400 * SECOND
NOW = 1_780_000_000 * SECOND
"""An instant in May 2026."""


def outbound(prefix: str, per_minute: int = 12_000, **terms: Any) -> Rate:
    """An outbound rate that holds since ever, unless said otherwise."""
    said: dict[str, Any] = {"direction": "outbound", "valid_from": 0, **terms}
    return Rate(key=prefix, per_minute=per_minute, **said)


def inbound(key: str = "JP/local", per_minute: int = 5_000, **terms: Any) -> Rate:
    """An inbound rate that holds since ever, unless said otherwise."""
    return outbound(key, per_minute, direction="inbound", **terms)


prices = st.integers(0, 10 * 1_000_000) | st.just(0) | st.just(DEAREST)
increments = st.sampled_from([1, 6, 30, 60, LONGEST_INCREMENT_S]) | st.integers(1, LONGEST_INCREMENT_S)

terms = st.builds(
    inbound,
    key=st.builds(inbound_key, st.sampled_from(["JP", "US", "DE"]), st.sampled_from(NUMBER_TYPES)),
    per_minute=prices,
    connect_fee=prices,
    first_s=increments,
    following_s=increments,
)
"""A rate with any price and increments."""
