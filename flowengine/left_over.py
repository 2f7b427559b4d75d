"""Calls of an engine that died and that cannot go on: closed honestly, so that nobody is held by them for ever.

Their journals are read back into machines, the loss is journaled as the last event, and the record is what the machine
then says. Their legs are ended by the switch, which knows no call for them. It is the floor under
`flowengine.resuming`, which takes back whatever can be.
"""

from collections.abc import Sequence

import structlog

from flowengine.call.commands import SetTimer
from flowengine.call.events import CallKilled, Event, TimerFired
from flowengine.call.machine import CallMachine, digest
from flowengine.ports import Clock, Desk
from flowengine.store.database import Database
from flowengine.store.errors import StoreError
from flowengine.store.flows import load_version
from flowengine.store.journal import DatabaseJournal
from flowengine.store.journal_rows import RunningCall

log = structlog.get_logger(__name__)


async def close_left_over(
    database: Database, journal: DatabaseJournal, desk: Desk, clock: Clock, left: Sequence[RunningCall]
) -> None:
    """Close calls whose journals are open here.

    A call that cannot be read is told and left, but its agents are freed all the same.
    """
    for call in left:
        try:
            await _close(database, journal, call, clock)
        except (StoreError, ValueError) as error:
            log.error("a call of an earlier engine cannot be closed", call=call.id, problem=str(error))
        desk.call_ended(call.account, call.id, clock.now())
    if left:
        log.warning("closed calls of an earlier engine", calls=len(left))


async def _close(database: Database, journal: DatabaseJournal, call: RunningCall, clock: Clock) -> None:
    async with database.reading() as session:
        machine = CallMachine(await load_version(session, call.account, call.flow, call.version))
    entries = await journal.read(call.id)
    for entry in entries:
        machine.step(entry.event)
    if machine.arrived is None:
        raise ValueError("its journal is empty: the engine died as the call came in")
    seq = entries[-1].seq + 1
    event: Event | None = CallKilled(clock.now(), "switch_lost")
    while event is not None and not machine.done:
        said = machine.step(event)
        await journal.append(call.id, seq, event, digest(said))
        seq += 1
        # What the desk has not answered yet it never will: let the wait for it run out.
        timers = [command for command in said if isinstance(command, SetTimer)]
        event = TimerFired(timers[-1].due, timers[-1].timer) if timers else None
    await journal.close(call.id, machine.record())
