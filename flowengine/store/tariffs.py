"""What the meter knows of everybody: rates, the country and type of each number, and what accounts do without credit.

Read as a whole when something has changed. Rates are the bulk of it and change seldom, so they are only read when their
fingerprint has changed.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.billing.rates import NUMBER_TYPES, Deck, NoRate, NumberType, Rate
from flowengine.call.events import Instant
from flowengine.store.rates import fingerprint, read_rates
from flowengine.store.tables import Account, Device, Number, OfferedNumber, User

WhenRunningOut = Literal["finish", "cut"]


class Terms(NamedTuple):
    """What an account does when its credit is used up (product rules, section 1)."""

    refuse_when_empty: bool = True
    when_running_out: WhenRunningOut = "finish"


class Kind(NamedTuple):
    """What decides the price of calls on a number."""

    country: str
    type: NumberType


@dataclass(frozen=True)
class Tariffs:
    """A picture of one moment; immutable."""

    deck: Deck = field(default_factory=lambda: Deck([]))
    mark: str = ""
    """The fingerprint of the rates in `deck`."""
    numbers: Mapping[str, Kind] = field(default_factory=dict)
    terms: Mapping[str, Terms] = field(default_factory=dict)
    """Of every account, by its id."""
    users: Mapping[str, str] = field(default_factory=dict)
    """The users of outside telephones, by endpoint."""

    def inbound(self, number: str, at: Instant) -> Rate | NoRate:
        """The rate of calls on a number of ours."""
        kind = self.numbers.get(number)
        if kind is None:
            return NoRate("inbound", "a number that is not ours", "no_row")
        return self.deck.inbound(*kind, at)

    def outbound(self, number: str, at: Instant) -> Rate | NoRate:
        """The rate of calls to a number out in the world."""
        return self.deck.outbound(number, at)


_FINISH: Final[WhenRunningOut] = "finish"


async def load_tariffs(
    session: AsyncSession, known: Tariffs | None = None, *, former: bool = False
) -> Tariffs:
    """Read them; the deck of `known` is kept when the rates are the same.

    With `former`, numbers that were given back are among them, for calls of old must still be reckoned.
    """
    mark = await fingerprint(session)
    if known is not None and known.mark == mark:
        deck = known.deck
    else:
        rates = await read_rates(session)
        deck = await asyncio.to_thread(Deck, rates)
    return Tariffs(
        deck=deck,
        mark=mark,
        numbers=await _numbers(session, former),
        terms=await _terms(session),
        users=await _users(session),
    )


async def _numbers(session: AsyncSession, former: bool) -> dict[str, Kind]:
    found = {}
    statements = [select(Number.e164, Number.country, Number.type)]
    if former:  # a number that was sold is offered again
        statements.insert(0, select(OfferedNumber.e164, OfferedNumber.country, OfferedNumber.type))
    for statement in statements:
        for e164, country, type_ in await session.execute(statement):
            found[e164] = Kind(country, _number_type(type_))
    return found


def _number_type(text: str) -> NumberType:
    return next(each for each in NUMBER_TYPES if each == text)


async def _terms(session: AsyncSession) -> dict[str, Terms]:
    rows = await session.execute(select(Account.id, Account.refuse_when_empty, Account.when_running_out))
    return {
        account: Terms(refuses, "cut" if running_out == "cut" else _FINISH)
        for account, refuses, running_out in rows
    }


async def _users(session: AsyncSession) -> dict[str, str]:
    rows = await session.execute(
        select(Device.endpoint, User.name)
        .join(User, User.id == Device.user_id)
        .where(Device.endpoint.contains("@"))
    )
    return dict(rows.all())
