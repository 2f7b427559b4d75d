"""Numbers for sale: what carriers offer, found by country, type, region and digits, and what they cost.

A carrier's numbers are replaced as a whole by an import; those that are sold stay. A number that is somebody's already,
also one that the operator brought in an account file, is not for sale.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, cast

from sqlalchemy import ColumnElement, delete, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.billing.money import MicroCredits, format_credits
from flowengine.billing.number_fees import NoFee, NumberFees
from flowengine.billing.rates import NumberType
from flowengine.call.events import Instant
from flowengine.store.tables import Number, OfferedNumber
from flowengine.store.till import ShopRefused
from flowengine.store.upsert import inserting

PAGE: Final = 50


class Price(NamedTuple):
    """What a number costs, in micro-credits: once, and each month from the purchase on."""

    setup: MicroCredits
    monthly: MicroCredits

    @property
    def now(self) -> MicroCredits:
        """What is paid at the purchase: the setup and the first month."""
        return self.setup + self.monthly

    def __str__(self) -> str:
        return f"{format_credits(self.setup)} once and {format_credits(self.monthly)} a month"


class Offer(NamedTuple):
    """A number that a carrier offers. `price` is the carrier's; a fee of the operator's list goes before it."""

    e164: str
    country: str
    type: NumberType
    region: str
    provider: str
    provider_ref: str
    """What the carrier calls it."""
    price: Price


class Kind(NamedTuple):
    """A kind of number that is for sale, and how many there are."""

    country: str
    type: str
    region: str
    many: int


async def replace_offers(session: AsyncSession, provider: str, offers: Sequence[Offer]) -> int:
    """Put a carrier's offers in the place of its earlier ones; how many are for sale now.

    What is sold is not touched. A number that another carrier offers stays with that one.
    """
    mine = (OfferedNumber.provider == provider, OfferedNumber.taken_by.is_(None))
    await session.execute(delete(OfferedNumber).where(*mine))
    statement = inserting(session.get_bind().dialect.name, OfferedNumber).on_conflict_do_nothing()
    connection = await session.connection()
    if offers:
        await connection.execute(statement, [_row(offer) for offer in offers])
    return await session.scalar(select(func.count()).select_from(OfferedNumber).where(*mine)) or 0


async def search(
    session: AsyncSession,
    *,
    country: str,
    type: NumberType | None = None,
    region: str = "",
    digits: str = "",
    after: str = "",
    many: int = PAGE,
) -> list[Offer]:
    """Numbers for sale in the order of their digits.

    Args:
        session: of `Database.reading`.
        country: ISO 3166, or 001.
        type: None for all.
        region: the carrier's name of a region, whole; "" for all.
        digits: must be somewhere in the number; anything but digits is left out.
        after: the last number of the page before.
        many: so many at most.
    """
    where: list[ColumnElement[bool]] = [_FOR_SALE, OfferedNumber.country == country]
    if type:
        where.append(OfferedNumber.type == type)
    if region:
        where.append(OfferedNumber.region == region)
    if wanted := "".join(filter(str.isdecimal, digits)):
        where.append(OfferedNumber.e164.contains(wanted, autoescape=True))
    if after:
        where.append(OfferedNumber.e164 > after)
    rows = await session.scalars(select(OfferedNumber).where(*where).order_by(OfferedNumber.e164).limit(many))
    return [_offer(row) for row in rows]


async def kinds(session: AsyncSession, country: str = "") -> list[Kind]:
    """What is for sale by country, type and region; what a country offers differs."""
    columns = (OfferedNumber.country, OfferedNumber.type, OfferedNumber.region)
    where = [_FOR_SALE, *([OfferedNumber.country == country] if country else [])]
    rows = await session.execute(
        select(*columns, func.count()).where(*where).group_by(*columns).order_by(*columns)
    )
    return [Kind(*row) for row in rows]


async def find_offer(session: AsyncSession, e164: str) -> Offer:
    """A number that is for sale now.

    Raises:
        ShopRefused: `not_for_sale`, `number_taken`.
    """
    row = await session.get(OfferedNumber, e164, populate_existing=True)
    if row is None:
        raise ShopRefused("not_for_sale", f"{e164} is not offered: search for the numbers that are")
    if row.taken_by is not None or await session.scalar(select(exists().where(Number.e164 == e164))):
        raise _taken(e164)
    return _offer(row)


async def offer_of(session: AsyncSession, e164: str) -> Offer | None:
    """A number that a carrier has, sold or not."""
    row = await session.get(OfferedNumber, e164, populate_existing=True)
    return None if row is None else _offer(row)


async def take(session: AsyncSession, account: str, e164: str) -> None:
    """Take a number off the market, unless somebody was quicker.

    Raises:
        ShopRefused: `number_taken`.
    """
    statement = (
        update(OfferedNumber)
        .where(OfferedNumber.e164 == e164, OfferedNumber.taken_by.is_(None))
        .values(taken_by=account)
        .returning(OfferedNumber.e164)
    )
    if await session.scalar(statement) is None:
        raise _taken(e164)


async def put_back(session: AsyncSession, account: str, e164: str) -> None:
    """Offer a number again that this account had."""
    where = (OfferedNumber.e164 == e164, OfferedNumber.taken_by == account)
    await session.execute(update(OfferedNumber).where(*where).values(taken_by=None))


async def withdraw(session: AsyncSession, e164: str) -> None:
    """Offer a number no more: its carrier does not have it."""
    await session.execute(delete(OfferedNumber).where(OfferedNumber.e164 == e164))


def price_of(offer: Offer, fees: NumberFees, at: Instant) -> Price:
    """What a number costs when it is bought at an instant: the operator's fee, else the carrier's price."""
    fee = fees.fee(offer.country, offer.type, at)
    return offer.price if isinstance(fee, NoFee) else Price(fee.setup_fee, fee.per_month)


_FOR_SALE: Final = OfferedNumber.taken_by.is_(None) & ~exists().where(Number.e164 == OfferedNumber.e164)


def _taken(e164: str) -> ShopRefused:
    return ShopRefused("number_taken", f"{e164} was taken by somebody else just now: choose another number")


def _offer(row: OfferedNumber) -> Offer:
    price = Price(row.setup_fee, row.monthly_fee)
    kind = cast(NumberType, row.type)
    return Offer(row.e164, row.country, kind, row.region, row.provider, row.provider_ref, price)


def _row(offer: Offer) -> dict[str, object]:
    return {
        "e164": offer.e164,
        "provider": offer.provider,
        "provider_ref": offer.provider_ref,
        "country": offer.country,
        "type": offer.type,
        "region": offer.region,
        "monthly_fee": offer.price.monthly,
        "setup_fee": offer.price.setup,
    }
