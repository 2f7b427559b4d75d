"""Fifty record at once while the plan runs out: nothing above the plan, nothing cut called complete, no call harmed."""

import asyncio
from random import Random

import pytest

from flowengine.flow.document import Flow, parse
from flowengine.routing.directory import Catalog, PublishedFlow, User
from flowengine.store import notifications, recording_lists
from flowengine.store.database import Database, open_database
from flowengine.store.recording_lists import Listed
from flowengine.store.room_reports import audit
from simulator.phones import AgentPhone, Answered, Behaviour, Caller, HangUp, Speak, seconds
from simulator.run import Simulation
from simulator.sounds import Sounds
from simulator.world import World
from tests.storage.world import PlannedSimulation
from tests.store.kept import MINUTE_MS, add_call, keep
from tests.store.seed import Seed, seed

NUMBER = "+815055550100"
AGENTS, CALLERS = 35, 50
LEFT_MS = 40 * MINUTE_MS
"""What is left of the plan when they call. Together they want about twice as much."""


def _flow() -> Flow:
    return parse(
        {
            "format": "flowengine/1",
            "name": "Sales",
            "start": "sales",
            "states": {
                "sales": {
                    "type": "group_transfer",
                    "group": "sales",
                    "ringing": "sequential",
                    "ring_timeout_s": 20,
                    "record": True,
                    "exits": {"busy": "message", "timeout": None, "unavailable": None},
                },
                "message": {"type": "voicemail", "prompt": {"say": "Leave a message."}},
            },
        }
    )


def _catalog(account: str) -> Catalog:
    agents = [f"agent{n}" for n in range(AGENTS)]
    return Catalog(
        numbers={NUMBER: PublishedFlow("flow", account, "v1", _flow())},
        users={account: {name: User(name, (f"PJSIP/{name}",)) for name in agents}},
        groups={account: {"sales": tuple(agents)}},
    )


def _world(chance: Random, latency_ms: int) -> World:
    """Thirty-five talk for up to eight minutes, and fifteen find all agents busy and speak for up to two and a half."""
    world = World(Sounds(), latency_us=latency_ms * 1_000)
    for n in range(AGENTS):
        AgentPhone(world, f"PJSIP/agent{n}", [Behaviour(answers_after_us=seconds(1))])
    for n in range(CALLERS):
        longest_s = 480 if n < AGENTS else 150
        caller = Caller(world, [Answered(), Speak(seconds(chance.uniform(20, longest_s))), HangUp()])
        world.after(seconds(n * 0.3), _dial, (caller, f"+8190555501{n:02}"))
    return world


def _dial(who: tuple[Caller, str]) -> None:
    caller, number = who
    caller.call(NUMBER, number)


async def _prepare(database: Database) -> Seed:
    of = await seed(database)
    await add_call(database, of, "cal_before")
    async with database.writing() as session:
        await keep(session, of, 1_000 * MINUTE_MS - LEFT_MS, call="cal_before")
    return of


@pytest.mark.parametrize(("chance", "latency_ms"), [(1, 1), (2, 100)])
def test_fifty_record_at_once_while_the_plan_runs_out(url: str, chance: int, latency_ms: int) -> None:
    with asyncio.Runner() as runner:
        opened = open_database(url)
        database = runner.run(opened.__aenter__())
        try:
            of = runner.run(_prepare(database))
            world = _world(Random(chance), latency_ms)
            planned = PlannedSimulation(_catalog(of.account), world, runner, database, of)
            world.run()
            world = _world(Random(chance), latency_ms)
            unlimited = Simulation(_catalog(of.account), world)
            world.run()
            assert planned.leaks() == unlimited.leaks() == ()
            _judge_usage(planned, runner.run(_kinds_told(database, of)))
            _judge_rows(runner.run(_rows(database, of)), unlimited)
            _judge_calls(planned, unlimited)
        finally:
            runner.run(opened.__aexit__(None, None, None))


async def _kinds_told(database: Database, of: Seed) -> list[str]:
    async with database.reading() as session:
        assert (await audit(session, of.account)).agrees
        told = await notifications.notices(session, of.account)
    return sorted(notice.kind for notice in told if notice.kind != "voicemail")


async def _rows(database: Database, of: Seed) -> list[Listed]:
    async with database.reading() as session:
        page = await recording_lists.page(session, of.account, many=200)
    return [row for row in page.found if row.call != "cal_before"]


def _judge_usage(planned: PlannedSimulation, told: list[str]) -> None:
    """Never above the plan, nearly used up at the end, and nothing held any more."""
    used = planned.usage()
    assert planned.least_left_ms >= 0
    assert used.held_ms == 0
    assert used.plan_ms - 3 * MINUTE_MS < used.stored_ms <= used.plan_ms
    assert told == ["storage_100", "storage_80", "storage_95"]


def _judge_rows(rows: list[Listed], unlimited: Simulation) -> None:
    """What is shorter than it would have been says that it was cut; some were cut, some were not, some never made."""
    wanted = {(call, keep.recording): keep for call, keep in unlimited.kept if keep.purpose == "talk"}
    for row in rows:
        assert row.complete is not row.ran_out
        if row.purpose == "talk":
            whole = row.duration_ms == wanted[row.call, row.short_id].duration_ms
            assert row.complete is whole, row
    cut = sum(row.ran_out for row in rows)
    assert cut > 3
    assert len(rows) - cut > 3
    assert len(rows) < CALLERS


def _judge_calls(planned: Simulation, unlimited: Simulation) -> None:
    """Who talked to an agent has talked exactly as without a plan."""
    theirs = {call.id: call.record for call in unlimited.done}
    assert len(planned.done) == len(theirs) == CALLERS
    answered = 0
    for call in planned.done:
        record, plain = call.record, theirs[call.id]
        assert record is not None
        assert plain is not None
        assert record.disposition == "answered" or plain.disposition != "answered"
        if plain.disposition == "answered":
            answered += 1
            unharmed = ("end_reason", "answered_at", "ended_at", "agents", "path")
            assert all(getattr(record, name) == getattr(plain, name) for name in unharmed)
    assert answered == AGENTS
