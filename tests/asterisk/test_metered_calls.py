"""Calls on a real Asterisk are charged by the minute, to the microsecond of the boundary, and cut in time."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml
from sqlalchemy import func, select, update

from flowengine.ari.node import AsteriskNode
from flowengine.ari.settings import AriSettings
from flowengine.call.events import CALLER, SECOND, CallKilled, LegAnswered, LegHungUp
from flowengine.config import Settings
from flowengine.publishing import apply_account
from flowengine.serve import Installation, opened
from flowengine.store import debits, ledger, rates, tables
from flowengine.store.database import open_database
from flowengine.store.journal import read_journal
from flowengine.store.reconcile import Reconciliation
from flowengine.store.tables import Transfer
from simulator.sip import Caller

NUMBER = "+815055550101"
CREDIT = 1_000_000
HOUR = 3_600 * SECOND


def account(folder: Path) -> Path:
    """A number on which callers are kept for three minutes by menus they do not touch."""
    menus = ["one", "two", "three"]
    states = {
        name: {
            "type": "ivr",
            "prompt": {"say": "Please hold the line."},
            "timeout_s": 60,
            "exits": {"1": None, "timeout": after},
        }
        for name, after in zip(menus, [*menus[1:], None], strict=True)
    }
    folder.mkdir()
    document = {"format": "flowengine/1", "name": "Wait", "start": "one", "states": states}
    (folder / "wait.json").write_text(json.dumps(document))
    file = folder / "account.yaml"
    file.write_text(
        yaml.safe_dump(
            {
                "format": "flowengine-account/1",
                "account": {
                    "key": "metered",
                    "name": "Metered",
                    "country": "JP",
                    "language": "en-US",
                    "time_zone": "Asia/Tokyo",
                    "currency": "JPY",
                },
                "numbers": [{"number": NUMBER, "type": "local"}],
                "flows": {"wait": {"file": "wait.json", "numbers": [NUMBER], "publish": True}},
            }
        )
    )
    return file


@asynccontextmanager
async def metered(
    node: AsteriskNode, folder: Path, *, credit: int, increment_s: int, when_running_out: str = "finish"
) -> AsyncIterator[Installation]:
    """An engine on this Asterisk whose account has so many credits, at a credit a minute."""
    settings = Settings.model_validate(
        {"data_dir": folder / "var", "http_port": 0, "drain_s": 5.0, "billing": "prepaid"}
    )
    await apply_account(settings, account(folder / "account"))
    price = f"JP,local,1,{increment_s},{increment_s},2020-01-01"
    deck = f"country,type,per_minute,first_s,following_s,valid_from\n{price}\n"
    async with open_database(settings.database) as database:
        await rates.import_deck(database, "inbound", io.StringIO(deck), ZoneInfo("Asia/Tokyo"), 0)
    async with open_database(settings.database) as database, database.writing() as session:
        of = await session.scalar(select(tables.Account.id))
        assert of is not None
        await session.execute(update(tables.Account).values(when_running_out=when_running_out))
        await debits.open_credits(session, of)
        await ledger.transfer(
            session, of, "purchase:1", "purchase", debits.PURCHASES, debits.CREDITS, credit, 0
        )
    access = AriSettings(
        url=node.settings.ari_url,
        app=node.settings.app,
        username=node.settings.ari_user,
        password=node.settings.ari_password,
    )
    async with opened(settings, access) as here:
        yield here


async def call(node: AsteriskNode, seconds: float, place: int) -> str:
    """Call, hold the line for so long after the answer, hang up; the number that called."""
    number = f"+8190111100{place:02}"
    async with Caller(NUMBER, node.settings.sip_port, from_number=number) as telephone:
        await telephone.answered(within=15)
        await asyncio.sleep(seconds)
        await telephone.hang_up()
        await telephone.ended()
    return number


async def over(here: Installation, many: int) -> None:
    """Wait until so many calls are over and settled."""
    async with asyncio.timeout(30):
        while True:
            async with here.database.reading() as session:
                done = await session.scalar(
                    select(func.count()).select_from(tables.Call).where(tables.Call.disposition.is_not(None))
                )
                held = await session.scalar(select(func.count()).select_from(tables.Hold))
            if done == many and not held and not here.engine.calls:
                return
            await asyncio.sleep(0.1)


async def charged(here: Installation, caller: str) -> tuple[int, int]:
    """How many increments the call of this caller was charged, and how long it was up in microseconds."""
    async with here.database.reading() as session:
        row = (await session.scalars(select(tables.Call).where(tables.Call.caller == caller))).one()
        where = (Transfer.call_id == row.id, Transfer.kind == debits.MINUTE)
        minutes = await session.scalar(select(func.count()).select_from(Transfer).where(*where)) or 0
        back = (Transfer.call_id == row.id, Transfer.kind == debits.BACK)
        minutes -= await session.scalar(select(func.count()).select_from(Transfer).where(*back)) or 0
    events = [entry.event for entry in await read_journal(here.database, row.account_id, row.id)]
    began = [each.at for each in events if isinstance(each, LegAnswered) and each.leg == CALLER]
    ended = [each.at for each in events if isinstance(each, LegHungUp) and each.leg == CALLER]
    return minutes, ended[0] - began[0]


async def differences(here: Installation) -> list[str]:
    """What reconciliation says of all calls."""
    now = here.engine.clock.now()
    run = Reconciliation(here.database, 0, now + HOUR, now + HOUR)
    found = [str(each) async for each in run.run()]
    assert run.calls
    return found


async def balance(here: Installation) -> tuple[int, int]:
    async with here.database.reading() as session:
        [of] = await session.scalars(select(tables.Account.id))
        found = await ledger.balance(session, of, debits.CREDITS)
        assert await ledger.derive(session, of) == []
    return found.balance, found.held


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("increment_s", "lengths"),
    [(6, {0: {1}, 1: {1}, 5.5: {1}, 6: {1, 2}, 6.5: {2}, 12.5: {3}}), (60, None)],
    ids=["six-seconds", "a-minute"],
)
async def test_started_increments_are_charged_by_the_boundary_of_the_documents(
    node: AsteriskNode, tmp_path: Path, increment_s: int, lengths: dict[float, set[int]] | None
) -> None:
    """A call of just 60 s is 60 s by the clock of its caller. The engine's may see it some milliseconds longer or
    shorter, so what must be charged is told by its journal, and both one and two minutes are possible."""
    minutes: dict[float, set[int]] = {0: {0, 1}, 1: {1}, 59: {1}, 60: {1, 2}, 61: {2}, 121: {3}}
    expected = lengths or minutes
    async with metered(node, tmp_path, credit=100 * CREDIT, increment_s=increment_s) as here:
        callers = await asyncio.gather(*(call(node, each, n) for n, each in enumerate(expected)))
        await over(here, len(expected))
        total = 0
        for (seconds, possible), caller in zip(expected.items(), callers, strict=True):
            count, lasted = await charged(here, caller)
            assert count == -(-lasted // (increment_s * SECOND)), (seconds, lasted)
            assert count in possible, (seconds, lasted)
            assert abs(lasted / SECOND - seconds) < 0.4
            total += count
        assert await balance(here) == (100 * CREDIT - total * CREDIT * increment_s // 60, 0)
        assert await differences(here) == []


@pytest.mark.timeout(120)
async def test_hang_ups_in_the_moment_of_a_debit(node: AsteriskNode, tmp_path: Path) -> None:
    """Callers hang up around the instant at which an increment begins, some milliseconds before and after."""
    moments = [6 + n * 0.002 for n in range(-12, 4)]
    async with metered(node, tmp_path, credit=100 * CREDIT, increment_s=6) as here:
        callers = await asyncio.gather(*(call(node, each, n) for n, each in enumerate(moments)))
        await over(here, len(moments))
        counts = [await charged(here, caller) for caller in callers]
        for count, lasted in counts:
            assert count == -(-lasted // (6 * SECOND)), lasted
        total = sum(count for count, _ in counts)
        assert await balance(here) == (100 * CREDIT - total * CREDIT // 10, 0)
        assert await differences(here) == []


@pytest.mark.timeout(120)
async def test_a_call_is_cut_where_its_money_ends_and_the_next_one_refused(
    node: AsteriskNode, tmp_path: Path
) -> None:
    async with metered(node, tmp_path, credit=CREDIT // 5, increment_s=6, when_running_out="cut") as here:
        outcome = await Caller(NUMBER, node.settings.sip_port, from_number="+819011110000").run(within=40)
        assert outcome.ended_by == "switch"
        assert outcome.answered_at is not None
        assert outcome.ended_at - outcome.answered_at == pytest.approx(12, abs=0.4)
        await over(here, 1)
        assert await balance(here) == (0, 0)
        async with here.database.reading() as session:
            row = (await session.scalars(select(tables.Call))).one()
        assert row.end_reason == "no_credit"
        events = [each.event for each in await read_journal(here.database, row.account_id, row.id)]
        [killed] = [each for each in events if isinstance(each, CallKilled)]
        [began] = [each.at for each in events if isinstance(each, LegAnswered)]
        assert killed.at == began + 12 * SECOND
        assert await differences(here) == []
        refused = await Caller(NUMBER, node.settings.sip_port).run(within=20)
        assert refused.answered_at is None
        assert await balance(here) == (0, 0)
