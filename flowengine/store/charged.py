"""What calls owe by their journals, and what the ledger has charged for them, side by side and many calls at a time."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.billing.reckoning import OwedLeg, Prices, owed, replay
from flowengine.call.events import Event, Instant
from flowengine.call.trace import BadTrace, decode_event
from flowengine.flow.document import Flow
from flowengine.store.debits import BACK, CREDITS, MINUTE, OWED
from flowengine.store.errors import StoreError
from flowengine.store.flows import load_version
from flowengine.store.tables import Call, Hold, JournalRow, Transfer

Versions = dict[str, Flow]
"""Documents by sha256, so that each is parsed once."""
_MOST_VERSIONS: Final = 200


class CallId(NamedTuple):
    """A call as its row has it; `ended_at` None: it runs."""

    id: str
    account: str
    flow: str
    version: str
    arrived_at: Instant
    ended_at: Instant | None


CALL: Final = (Call.id, Call.account_id, Call.flow_id, Call.version, Call.arrived_at, Call.ended_at)
"""The columns of `CallId`."""


class Booked(NamedTuple):
    """A charge in the ledger."""

    amount: int
    is_unpaid: bool
    given_back: int = 0


class Account(NamedTuple):
    """A call's account: what it owes, and what was charged."""

    call: CallId
    owed: Sequence[OwedLeg]
    booked: dict[str, dict[int, Booked]]
    """By leg and number."""
    holds: Sequence[str]
    """Keys under which credits are still held."""
    problem: str
    """Why it cannot be reckoned, or may be reckoned wrongly."""


async def accounts_of(
    session: AsyncSession, calls: Sequence[CallId], prices: Prices, versions: Versions
) -> list[Account]:
    """Reckon calls and read what was charged, in a few statements for all of them."""
    ids = [call.id for call in calls]
    journals = await _journals(session, ids)
    booked = await _booked(session, ids)
    holds: dict[str, list[str]] = defaultdict(list)
    held = select(Hold.call_id, Hold.key).where(Hold.name == CREDITS, Hold.call_id.in_(ids))
    for id, key in await session.execute(held):
        holds[str(id)].append(key)
    found = []
    for call in calls:
        legs, problem = await _reckoned(session, call, journals.get(call.id, []), prices, versions)
        found.append(Account(call, legs, booked.get(call.id, {}), holds[call.id], problem))
    return found


async def _reckoned(
    session: AsyncSession,
    call: CallId,
    journal: Sequence[tuple[bytes, str]],
    prices: Prices,
    versions: Versions,
) -> tuple[Sequence[OwedLeg], str]:
    try:
        flow = versions.get(call.version)
        if flow is None:
            if len(versions) >= _MOST_VERSIONS:
                versions.clear()
            flow = versions[call.version] = await load_version(session, call.account, call.flow, call.version)
        events: list[tuple[Event, str]] = [(decode_event(event), digest) for event, digest in journal]
        replayed = replay(flow, events)
    except (StoreError, BadTrace, ValueError) as error:
        return (), str(error)
    problem = ""
    if replayed.diverged_at is not None:
        problem = f"its replay says something else from event {replayed.diverged_at} on"
    return owed(replayed.legs, prices), problem


async def _journals(session: AsyncSession, calls: Sequence[str]) -> dict[str, list[tuple[bytes, str]]]:
    found: dict[str, list[tuple[bytes, str]]] = defaultdict(list)
    rows = await session.execute(
        select(JournalRow.call_id, JournalRow.event, JournalRow.digest)
        .where(JournalRow.call_id.in_(calls))
        .order_by(JournalRow.call_id, JournalRow.seq)
    )
    for call, event, digest in rows:
        found[call].append((event, digest))
    return found


async def _booked(session: AsyncSession, calls: Sequence[str]) -> dict[str, dict[str, dict[int, Booked]]]:
    found: dict[str, dict[str, dict[int, Booked]]] = {}
    rows = await session.execute(
        select(Transfer.call_id, Transfer.key, Transfer.kind, Transfer.amount)
        .where(Transfer.call_id.in_(calls), Transfer.kind.in_((MINUTE, OWED, BACK)))
        .order_by(Transfer.call_id, Transfer.kind)
    )
    back: list[tuple[str, str, int, int]] = []
    for call, key, kind, amount in rows:
        leg, number = part_of(key)
        if kind == BACK:
            back.append((str(call), leg, number, amount))
        else:
            found.setdefault(str(call), {}).setdefault(leg, {})[number] = Booked(amount, kind == OWED)
    for call, leg, number, amount in back:
        of_leg = found.setdefault(call, {}).setdefault(leg, {})
        of_leg[number] = of_leg.get(number, Booked(0, is_unpaid=False))._replace(given_back=amount)
    return found


def part_of(key: str) -> tuple[str, int]:
    """Leg and number of the key of a charge, `minute:<call>:<leg>:<number>`."""
    _, _, leg, number = key.split(":")
    return leg, int(number)
