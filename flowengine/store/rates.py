"""Rate decks in the database: imported as a whole or not at all, and read back as one deck of all of them.

What was charged must be reckoned again years later, so a price that may have been charged is never changed behind its
back: an import is refused when it would change what held while anything was charged, or what holds in the next
`NOTICE_S`. Engines have that long to hear of new prices.
"""

from asyncio import to_thread
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from time import monotonic_ns
from typing import Any, Final, NamedTuple, TextIO
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, cast, delete, exists, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.elements import ColumnElement

from flowengine.billing.csv_table import Problems
from flowengine.billing.decks import Check, read_deck
from flowengine.billing.rates import NUMBER_TYPES, Deck, Direction, NoRate, Rate
from flowengine.call.events import SECOND, Instant
from flowengine.store.database import Database
from flowengine.store.debits import MINUTE, OWED
from flowengine.store.errors import DecksChanged, NotStored
from flowengine.store.flows import bump_epoch
from flowengine.store.tables import CatalogEpoch, RateRow, Transfer

NOTICE_S: Final = 60
"""How long before it holds a price must be imported, in seconds, once calls are charged."""
TRIES: Final = 3
"""How often an import begins again because others changed the decks meanwhile."""
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
_NAMED: Final = select(RateRow.deck, RateRow.id, RateRow.name)
_CHARGES: Final = Transfer.kind.in_((MINUTE, OWED))
_PREFIX_OF_ID: Final = len("rat_")
_HASHED: Final = 12
"""So many characters of the hash in an id make the fingerprint: 48 bits."""


class _Seen(NamedTuple):
    """What an import was checked against, in one consistent picture."""

    epoch: int
    rows: frozenset[tuple[str, str, str]]
    """Deck, id and name of every rate: all that an import may change."""
    before: list[Rate]
    """The rates of the deck that is imported."""
    others: list[Rate]
    charged_at: Instant | None
    """When somebody was charged last."""


class _Changed(Exception):
    """What was read does not hold any more."""


async def import_deck(database: Database, name: str, stream: TextIO, zone: ZoneInfo, at: Instant) -> int:
    """Read a deck as CSV and put it in the place of the deck of that name; how many rates it has.

    Reading and checking take seconds for a large deck, and hold no lock: calls are charged meanwhile. The writing
    transaction makes sure that the deck was checked against what still holds, and writes only what came and went.

    Args:
        database: where decks are.
        name: the deck's, such as "inbound".
        stream: the file, opened as UTF-8 with `newline=""`; it is read again when somebody else changed the decks.
        zone: a date alone is the beginning of that day there.
        at: now.

    Raises:
        BadCsv: something is wrong with the table, or it contradicts another deck or what was charged; every problem is
            named by line. Nothing is changed then.
        DecksChanged: somebody else changed the decks meanwhile, `TRIES` times. Nothing is changed either.
    """
    begun = monotonic_ns()
    for _ in range(TRIES):
        seen = await _look(database, name)
        now = at + (monotonic_ns() - begun) // 1_000
        rates = await to_thread(read_deck, stream, zone, _check_against(seen, now))
        try:
            await _put(database, name, rates, seen)
        except _Changed:
            stream.seek(0)
        else:
            return len(rates)
    raise DecksChanged(
        f"rate decks were changed by others {TRIES} times while {name} was read: import it again"
    )


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


async def _look(database: Database, name: str) -> _Seen:
    async with database.reading() as session:
        rows = await session.execute(_NAMED)
        return _Seen(
            epoch=(await session.scalars(select(CatalogEpoch.epoch))).one(),
            rows=frozenset((deck, id, called) for deck, id, called in rows),
            before=await read_rates(session, RateRow.deck == name),
            others=await read_rates(session, RateRow.deck != name),
            charged_at=await session.scalar(select(func.max(Transfer.at)).where(_CHARGES)),
        )


def _check_against(seen: _Seen, now: Instant) -> Check:
    def check(rates: Sequence[Rate], lines: Sequence[int], problems: Problems) -> None:
        _contradict(rates, lines, seen.others, problems)
        if not problems.found and seen.charged_at is not None:
            frozen = max(seen.charged_at + 1, now + NOTICE_S * SECOND)
            before, after = [*seen.others, *seen.before], [*seen.others, *rates]
            _rewrite(before, after, _lines_of(rates, lines), frozen, problems)

    return check


async def _put(database: Database, name: str, rates: Sequence[Rate], seen: _Seen) -> None:
    """Write what came and what went. Raises `_Changed`, having written nothing."""
    had = {(id, called) for deck, id, called in seen.rows if deck == name}
    has = {(rate.id, rate.name): rate for rate in rates}
    came = [
        (name, key[0], *(getattr(has[key], field) for field in _FIELDS)) for key in sorted(has.keys() - had)
    ]
    gone = sorted(id for id, _ in had - has.keys())
    async with database.writing() as session:
        # On PostgreSQL the row of the epoch is the lock that makes one import wait for another
        epoch = (await session.scalars(select(CatalogEpoch.epoch).with_for_update())).one()
        if epoch != seen.epoch and {tuple(row) for row in await session.execute(_NAMED)} != seen.rows:
            raise _Changed
        if seen.charged_at is None and await session.scalar(select(exists().where(_CHARGES))):
            raise _Changed
        connection = await session.connection()
        inserting = str(insert(RateRow).compile(dialect=connection.dialect))  # as it is: the lock is held
        for start in range(0, len(gone), _CHUNK):
            ids = gone[start : start + _CHUNK]
            await connection.execute(delete(RateRow).where(RateRow.deck == name, RateRow.id.in_(ids)))
        for start in range(0, len(came), _CHUNK):
            await connection.exec_driver_sql(inserting, came[start : start + _CHUNK])
        await bump_epoch(session)


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
