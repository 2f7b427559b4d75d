"""The calls of an earlier life of this engine, from their journals to their going on.

Four steps, each in its place in the start of an engine (`flowengine.serve`):

1. `read`, before the desk speaks: the machines are rebuilt, and known to the engine, so that nothing told to a call is
   lost from here on;
2. `close_lost`, when there is a desk: what cannot go on is closed, and whom it held is free;
3. `tell`, before the switch connects: its first look then finds what the calls missed;
4. `going_on`, when it connects: after that look each call does again what nobody saw done, and goes on.
"""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import structlog
from sqlalchemy import select

from flowengine.ari.client import AriClient, AriError
from flowengine.call.commands import SwitchCommand
from flowengine.call.events import SECOND, Event
from flowengine.flow.document import Flow
from flowengine.left_over import close_left_over
from flowengine.ports import Arrival, Desk
from flowengine.resuming.alive import last_alive, prove_life
from flowengine.resuming.rebuilt import UNCERTAIN_US, Rebuilt, Row, rebuild
from flowengine.routing.directory import PublishedFlow
from flowengine.runtime import Engine
from flowengine.store.database import Database
from flowengine.store.errors import JournalUnreadable, StoreError
from flowengine.store.flows import load_version
from flowengine.store.journal import DatabaseJournal
from flowengine.store.journal_rows import Entry, RunningCall
from flowengine.store.tables import Recording

log = structlog.get_logger(__name__)

AT_ONCE: Final = 200
"""Calls asked for in one statement, and gone on with before others have their turn."""
LOOK_S: Final = 5.0
"""How often to look whether the switch is there; it tells by itself, and this only bounds the wait."""


class ResumableSwitch(Protocol):
    """A switch that calls of an earlier life can be taken over on."""

    client: AriClient

    def resume(
        self,
        arrival: Arrival,
        call: str,
        history: Iterable[SwitchCommand | Event],
        unsure: Iterable[str] = (),
        *,
        is_doubtful: bool = False,
    ) -> None:
        """Take over a call before the switch connects."""

    def talk_in(self, call: str) -> tuple[str, str] | None:
        """Bridge and leg of a caller who talks, where the history of the call knows of no such thing."""


class TakenBack(NamedTuple):
    """A call that goes on."""

    row: RunningCall
    rebuilt: Rebuilt


class EarlierCalls:
    """The open calls of an earlier life of this engine.

    Args:
        owner: the name of this engine; None: it is the only one of its database, and all calls are its own.
        proof: the file of its proof of life (see `alive`).
    """

    def __init__(
        self,
        engine: Engine,
        database: Database,
        journal: DatabaseJournal,
        owner: str | None,
        proof: Path,
    ) -> None:
        self._engine = engine
        self._database = database
        self._journal = journal
        self._owner = owner
        self._proof = proof
        self._alive_at = last_alive(proof)
        self._began = time.monotonic()
        self._calls: list[TakenBack] = []
        self._lost: list[RunningCall] = []
        self._flows: dict[tuple[str, str, str], Flow] = {}

    async def read(self) -> None:
        """Rebuild every call, and let the engine know it. What cannot be rebuilt is told, and closed later."""
        rows = await self._journal.open_calls(self._owner)
        for start in range(0, len(rows), AT_ONCE):
            some = rows[start : start + AT_ONCE]
            journals = await self._journal.read_many([row.id for row in some])
            for row in some:
                await self._take_back(row, journals[row.id])

    async def close_lost(self, desk: Desk) -> None:
        """Close what cannot go on."""
        await close_left_over(self._database, self._journal, desk, self._engine.clock, self._lost)

    def tell(self, switch: ResumableSwitch) -> None:
        """Make the switch know the calls, before it connects."""
        for row, rebuilt in self._calls:
            switch.resume(
                rebuilt.arrival(row.channel),
                row.id,
                rebuilt.history(),
                rebuilt.unsure(self._alive_at),
                is_doubtful=rebuilt.diverged_at is not None,
            )

    @contextlib.asynccontextmanager
    async def going_on(self, switch: ResumableSwitch) -> AsyncIterator[None]:
        """Let the calls go on as soon as the switch has looked, and prove that this engine lives, for the next one."""
        task = asyncio.create_task(self._live(switch), name="earlier-calls")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _live(self, switch: ResumableSwitch) -> None:
        await self._go_on(switch)
        # Should this engine die now, what the last one had not done was done by neither.
        await prove_life(self._proof, lambda: self._journal.is_prompt, UNCERTAIN_US / SECOND)

    async def _take_back(self, row: RunningCall, entries: list[Entry] | JournalUnreadable) -> None:
        if entries == []:
            # It was never answered, nor told anything: its leg, if it still waits, is a new call.
            await self._journal.withdraw(row.id)
            return
        try:
            if isinstance(entries, JournalUnreadable):
                raise entries
            flow = await self._flow(row)
            rebuilt = _rebuilt(row, flow, entries)
        except (StoreError, ValueError) as error:
            log.error("a call of an earlier engine cannot go on", call=row.id, problem=str(error))
            self._lost.append(row)
            return
        self._calls.append(TakenBack(row, rebuilt))
        published = PublishedFlow(row.flow, row.account, row.version, flow)
        self._engine.take_back(row.id, published, rebuilt.machine, rebuilt.events)

    async def _flow(self, row: RunningCall) -> Flow:
        key = row.account, row.flow, row.version
        if key not in self._flows:
            async with self._database.reading() as session:
                self._flows[key] = await load_version(session, *key)
        return self._flows[key]

    async def _go_on(self, switch: ResumableSwitch) -> None:
        if not self._calls:
            return
        try:
            known = await self._known_recordings([each.row.id for each in self._calls])
            await _until_ready(switch.client)
            for done, (row, rebuilt) in enumerate(self._calls, start=1):
                talk = switch.talk_in(row.id)
                if talk is not None:
                    self._engine.outlast_talk(row.id, rebuilt.steps, *talk)
                else:
                    again = rebuilt.again(known[row.id], self._alive_at)
                    self._engine.go_on(row.id, rebuilt.steps, again)
                if not done % AT_ONCE:
                    await asyncio.sleep(0)
        except Exception:
            log.exception("calls of an earlier engine do not go on")
            return
        took_s = round(time.monotonic() - self._began, 3)
        log.info("calls of an earlier engine go on", calls=len(self._calls), took_s=took_s)
        self._calls.clear()

    async def _known_recordings(self, calls: Sequence[str]) -> dict[str, set[str]]:
        """By call, the recordings that are noted as expected, kept or lost."""
        known: dict[str, set[str]] = defaultdict(set)
        async with self._database.reading() as session:
            for start in range(0, len(calls), AT_ONCE):
                some = calls[start : start + AT_ONCE]
                rows = await session.execute(
                    select(Recording.call_id, Recording.short_id).where(Recording.call_id.in_(some))
                )
                for call, recording in rows:
                    known[call].add(recording)
        return known


async def _until_ready(client: AriClient) -> None:
    while True:
        with contextlib.suppress(AriError):
            await client.wait_ready(LOOK_S)
            return


def _rebuilt(row: RunningCall, flow: Flow, entries: Sequence[Entry]) -> Rebuilt:
    """Rebuild a call. Raises ValueError for one that nobody can go on with."""
    if not row.channel:
        raise ValueError("its channel is not known")
    rebuilt = rebuild(flow, [Row(each.seq, each.event, each.digest) for each in entries])
    if rebuilt.diverged_at is not None:
        log.warning("a call goes on in another machine", call=row.id, from_event=rebuilt.diverged_at)
    return rebuilt
