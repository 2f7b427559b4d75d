"""Rate decks in the database: imported as a whole or not at all, and read back as one deck of all of them.

What was charged must be reckoned again years later, so a price that may have been charged is never changed behind its
back: an import is refused when it would change what held while anything was charged, or what holds in the next
`NOTICE_S`. Engines have that long to hear of new prices.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TextIO
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, cast, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.elements import ColumnElement

from flowengine.billing.csv_table import Problems
from flowengine.billing.decks import read_deck
from flowengine.billing.rates import NUMBER_TYPES, Deck, Direction, NoRate, Rate
from flowengine.call.events import SECOND, Instant
from flowengine.store.debits import MINUTE, OWED
from flowengine.store.errors import NotStored
from flowengine.store.flows import bump_epoch
from flowengine.store.tables import RateRow, Transfer

NOTICE_S: Final = 60
"""How long before it holds a price must be imported, in seconds, once calls are charged."""
_CHUNK: Final = 2_000
_FIELDS: Final = (
    "direction",
    "key",
    "per_minute",
    "connect_fee",
    "first_s",
    "following_s",
    "valid_from",
    "valid_until",
    "name",
)
_RATE: Final = [getattr(RateRow, name) for name in _FIELDS]
_PREFIX_OF_ID: Final = len("rat_")
_HASHED: Final = 12
"""So many characters of the hash in an id make the fingerprint: 48 bits."""


async def import_deck(session: AsyncSession, name: str, stream: TextIO, zone: ZoneInfo, at: Instant) -> int:
    """Read a deck as CSV and put it in the place of the deck of that name; how many rates it has.

    Args:
        session: of `Database.writing`; the caller opens the transaction.
        name: the deck's, such as "inbound".
        stream: the file, opened as UTF-8 with `newline=""`.
        zone: a date alone is the beginning of that day there.
        at: now.

    Raises:
        BadCsv: something is wrong with the table, or it contradicts another deck or what was charged; every problem is
            named by line. Nothing is changed then.
    """
    others = await read_rates(session, RateRow.deck != name)
    before = await read_rates(session, RateRow.deck == name)
    charged_at = await _last_charge(session)

    def check(rates: Sequence[Rate], lines: Sequence[int], problems: Problems) -> None:
        _contradict(rates, lines, others, problems)
        if not problems.found and charged_at is not None:
            frozen = max(charged_at + 1, at + NOTICE_S * SECOND)
            _rewrite([*others, *before], [*others, *rates], _lines_of(rates, lines), frozen, problems)

    rates = read_deck(stream, zone, check)
    await session.execute(delete(RateRow).where(RateRow.deck == name))
    rows = [{"deck": name, "id": each.id, **_fields(each)} for each in rates]
    connection = await session.connection()
    for start in range(0, len(rows), _CHUNK):
        await connection.execute(insert(RateRow), rows[start : start + _CHUNK])
    await bump_epoch(session)
    return len(rates)


async def load_deck(session: AsyncSession) -> Deck:
    """All decks as one."""
    return Deck(await read_rates(session))


async def read_rates(session: AsyncSession, *where: ColumnElement[bool]) -> list[Rate]:
    """The rates of all decks, or of those chosen, in no order."""
    found: list[Rate] = []
    rows = await session.stream(select(*_RATE).where(*where).execution_options(yield_per=_CHUNK))
    async for chunk in rows.partitions():
        found += [Rate(**dict(zip(_FIELDS, row, strict=True))) for row in chunk]
    return found


async def export_deck(session: AsyncSession, name: str) -> list[Rate]:
    """The rates of one deck, by key and date, as `billing.decks.write_deck` takes them. Raises `NotStored`."""
    rates = await read_rates(session, RateRow.deck == name)
    if not rates:
        names = ", ".join(await decks(session)) or "none"
        raise NotStored(f"there is no rate deck {name}: there are {names}")
    return sorted(rates, key=lambda rate: (rate.key, rate.valid_from))


async def decks(session: AsyncSession) -> dict[str, int]:
    """The names of the decks, and how many rates each has."""
    rows = await session.execute(
        select(RateRow.deck, func.count()).group_by(RateRow.deck).order_by(RateRow.deck)
    )
    return dict(rows.all())


async def fingerprint(session: AsyncSession) -> str:
    """Changes when any rate does: sums of pieces of the hashes that are their ids, made by the database."""
    code = func.unicode if session.get_bind().dialect.name == "sqlite" else func.ascii
    half = _HASHED // 2

    def piece(first: int) -> ColumnElement[Any]:
        places = range(_PREFIX_OF_ID + 1 + first, _PREFIX_OF_ID + 1 + first + half)
        digits = [
            cast(code(func.substr(RateRow.id, place, 1)), BigInteger) * 128**n
            for n, place in enumerate(places)
        ]
        return func.sum(sum(digits[1:], digits[0]))

    row = (await session.execute(select(func.count(), piece(0), piece(half)).select_from(RateRow))).one()
    return "/".join(str(int(each or 0)) for each in row)


def _fields(rate: Rate) -> dict[str, Any]:
    return {field: getattr(rate, field) for field in _FIELDS}


async def _last_charge(session: AsyncSession) -> Instant | None:
    return await session.scalar(select(func.max(Transfer.at)).where(Transfer.kind.in_((MINUTE, OWED))))


def _contradict(
    rates: Sequence[Rate], lines: Sequence[int], others: Sequence[Rate], problems: Problems
) -> None:
    """Between decks, two different rates of one key never begin together: nobody could say which holds."""
    known = {(rate.direction, rate.key, rate.valid_from): rate for rate in others}
    for rate, line in zip(rates, lines, strict=True):
        other = known.get((rate.direction, rate.key, rate.valid_from))
        if other is not None and other.id != rate.id:
            problems.add(
                line,
                f"another deck has a rate for {rate.key} that begins at the same time: let one begin later",
            )


_Key = tuple[Direction, str]


def _lines_of(rates: Sequence[Rate], lines: Sequence[int]) -> dict[_Key, int]:
    return {(rate.direction, rate.key): line for rate, line in reversed(list(zip(rates, lines, strict=True)))}


def _rewrite(
    before: Sequence[Rate],
    after: Sequence[Rate],
    lines: Mapping[_Key, int],
    frozen: Instant,
    problems: Problems,
) -> None:
    """Note what would change a price that held before `frozen`. To give a price to what had none is no change."""
    old, new = Deck(before), Deck(after)
    for key, instants in _turns(before, after).items():
        for at in instants:
            if at >= frozen:
                break
            had, has = _price(old, key, at), _price(new, key, at)
            if had is not None and had != has:
                problems.add(
                    lines.get(key, 1),
                    f"the price of {key[0]} {key[1]} would change for calls that may have been charged already: keep"
                    f" its rate, and let a new one begin {NOTICE_S} s from now or later",
                )
                break


def _turns(before: Sequence[Rate], after: Sequence[Rate]) -> dict[_Key, list[Instant]]:
    """The keys whose rates are not the same any more, and each instant at which a price of theirs may turn."""
    had, has = _ids(before), _ids(after)
    changed = {key for key in had.keys() | has.keys() if had.get(key) != has.get(key)}
    turns: dict[_Key, set[Instant]] = defaultdict(set)
    for rate in (*before, *after):
        turns[rate.direction, rate.key] |= {rate.valid_from, rate.valid_until or rate.valid_from}
    return {
        key: sorted(set().union(*(turns[each] for each in _shorter(key) if each in turns)))
        for key in sorted(changed)
    }


def _ids(rates: Sequence[Rate]) -> dict[_Key, set[str]]:
    found: dict[_Key, set[str]] = defaultdict(set)
    for rate in rates:
        found[rate.direction, rate.key].add(rate.id)
    return found


def _shorter(key: _Key) -> Iterator[_Key]:
    """The key, and for outbound calls the shorter prefixes that hold where it does not."""
    yield key
    if key[0] == "outbound":
        yield from (("outbound", key[1][:length]) for length in range(1, len(key[1])))


def _price(deck: Deck, key: _Key, at: Instant) -> tuple[int, ...] | None:
    """What calls of this key cost at an instant, whatever the rate is called."""
    match key:
        case ("outbound", prefix):
            rate = deck.outbound(f"+{prefix}", at)
        case (_, kind):
            country, _, of_type = kind.partition("/")
            rate = deck.inbound(country, next(each for each in NUMBER_TYPES if each == of_type), at)
    if isinstance(rate, NoRate):
        return None
    return (rate.per_minute, rate.connect_fee, rate.first_s, rate.following_s)
