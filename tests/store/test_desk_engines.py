"""Several engines at one desk, an engine that comes back, and a database that fails."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from flowengine.call import commands
from flowengine.call.commands import DeskCommand
from flowengine.call.events import AgentsOffered, Event, LineFull, LineJoined, LineMoved
from flowengine.routing.agents import Policy
from flowengine.routing.desk import RESERVED_S, MemoryDesk, Outlets
from flowengine.routing.directory import Catalog
from flowengine.store import desk_rows, desk_worker, tables
from flowengine.store.database import Database, open_database
from flowengine.store.desk import DatabaseDesk
from flowengine.store.ids import new_id
from flowengine.store.journal import DatabaseJournal
from tests.routing.desk_contract import (
    ACCOUNT,
    EVERYBODY,
    T0,
    AnyDesk,
    Floor,
    ask,
    ask_group,
    catalog,
    join,
    join_group,
    release,
    turn,
)
from tests.store.desk_floor import add_account
from tests.store.seed import record, seed

SOON_S = 5.0

Open = Callable[..., Any]


@pytest.fixture
async def opened(url: str) -> AsyncIterator[Open]:
    """Opens engines by name, each with connections of its own; all are closed at the end."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(url))
        await add_account(database)

        async def engine(name: str, people: Catalog | None = None) -> Floor:
            its = await stack.enter_async_context(open_database(url))
            floor = Floor()
            desk = DatabaseDesk(its, floor.outlets(), people or catalog(), name)
            await stack.enter_async_context(desk)
            await desk.settled()
            floor.desk, floor.settle = desk, desk.settled
            return floor

        yield engine


async def until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON_S):
        while not what():  # noqa: ASYNC110 - it looks from outside
            await asyncio.sleep(0.01)


async def looked(floor: Floor) -> None:
    assert isinstance(floor.desk, DatabaseDesk)
    floor.desk.look()
    await floor.desk.settled()


async def stored_turns(database: Database) -> int:
    async with database.reading() as session:
        return (await session.execute(select(func.count()).select_from(tables.DeskOutbox))).scalar_one()


# An engine that comes back


async def test_everything_is_there_again_after_a_restart(database: Database) -> None:
    await add_account(database)
    before, after = Floor(), Floor()
    async with DatabaseDesk(database, before.outlets(), catalog(), "one") as desk:
        before.desk, before.settle = desk, desk.settled
        await before.online("chie", "aki", "ben")
        await before.wishes("ben", "pause")
        await before.tells("c1", ask("aki"), commands.AgentTaken("aki"))
        await before.tells("c2", ask("chie"))
        for call in ("c3", "c4", "c5"):
            await before.tells(call, join("aki"))
        await before.tells("c3", commands.LeaveLine("line-1", "timeout"))
        picture = {user: desk.agent(ACCOUNT, user) for user in EVERYBODY}
    async with DatabaseDesk(database, after.outlets(), catalog(), "one") as desk:
        after.desk, after.settle = desk, desk.settled
        await desk.settled()
        assert {user: desk.agent(ACCOUNT, user) for user in EVERYBODY} == picture
        assert desk.waiting == ("c4", "c5")
        assert desk.is_reachable("PJSIP/aki")
        assert after.wakes == [T0 + int(RESERVED_S * 1_000_000)]
        assert after.told == [
            (call, LineMoved(event.at, "line-1", n)) for n, (call, event) in enumerate(after.told, start=1)
        ], "who waits hears their place again"
        await after.online("aki", "ben", "chie")
        assert await after.tells("c1", release("aki", "answered")) == [
            turn("c4", "aki"),
            ("c5", LineMoved(T0, "line-1", 1, wait_s=0.0)),
        ]
        assert await after.waits(RESERVED_S) != [], "the lease of the reservation is known"
        await after.wishes("ben", "work")
        assert await after.offers("c9", ask_group()) == (["chie"], 1, 0), "aki is reserved for c5"


async def test_what_was_asked_is_done_before_closing(database: Database) -> None:
    await add_account(database)
    floor = Floor()
    async with DatabaseDesk(database, floor.outlets(), catalog(), "one") as desk:
        desk.reachable("PJSIP/aki", True, T0)
        desk.perform(ACCOUNT, "c1", ask("aki"), T0)
    assert floor.told == [turn("c1", "aki", request="ask-1")]


async def test_visits_of_lines_are_kept_for_reports(opened: Open, database: Database) -> None:
    one = await opened("one")
    await one.online("aki")
    await one.tells("c1", ask("aki"))
    await one.tells("c2", join("aki"))
    await one.tells("c3", join("aki", max_waiting=1))
    await one.tells("c1", release("aki"))
    async with database.reading() as session:
        visit = tables.LineVisit
        rows = await session.execute(select(visit.call_id, visit.left_by, visit.owner).order_by(visit.seq))
        assert [tuple(row) for row in rows] == [("c2", "answered", "one"), ("c3", "full", "one")]


# Two engines


async def test_an_agent_reserved_in_one_engine_is_busy_in_the_other(opened: Open) -> None:
    one, two = await opened("one"), await opened("two")
    await one.online("aki")
    assert await two.offers("c2", ask("aki")) == (["aki"], 0, 0)
    assert await one.offers("c1", ask("aki")) == ([], 1, 0)
    await two.tells("c2", release("aki"))
    assert await one.offers("c1", ask("aki")) == (["aki"], 0, 0)


async def test_the_line_of_agents_is_one_for_all_engines(opened: Open) -> None:
    one, two = await opened("one"), await opened("two")
    await one.online("chie")
    await two.online("aki")
    await one.online("ben")
    assert await one.line_up() == await two.line_up() == ["chie", "aki", "ben"]
    await two.tells("c1", ask("chie"), commands.AgentTaken("chie"), release("chie", "answered"))
    assert await one.line_up() == ["aki", "ben", "chie"]


async def test_an_agent_freed_in_one_engine_serves_the_line_of_the_other(
    opened: Open, database: Database
) -> None:
    one, two = await opened("one"), await opened("two")
    await one.online("aki")
    await one.tells("c1", ask("aki"))
    assert await two.tells("c2", join("aki")) == [("c2", LineJoined(T0, "line-1", 1))]
    assert await one.tells("c3", join("aki")) == [("c3", LineJoined(T0, "line-1", 2))]
    await two.tells("c4", join("aki"))
    two.told.clear()
    assert await one.tells("c1", release("aki")) == [("c3", LineMoved(T0, "line-1", 1))]
    await until(lambda: len(two.told) == 2)
    moved = [event for _, event in two.told if isinstance(event, LineMoved)]
    assert [(call, event) for call, event in two.told if isinstance(event, AgentsOffered)] == [
        turn("c2", "aki")
    ]
    assert [event.position for event in moved] == [2]
    await two.tells("c2", commands.AgentTaken("aki"))
    await until(lambda: one.state("aki") == "talking")
    assert await stored_turns(database) == 0
    one.told.clear()
    await two.tells("c2", release("aki", "answered"))
    await until(lambda: one.told == [turn("c3", "aki")])


async def test_a_turn_waits_for_an_engine_that_is_away(url: str, opened: Open, database: Database) -> None:
    one = await opened("one")
    await one.online("aki")
    await one.tells("c1", ask("aki"))
    async with open_database(url) as other:
        away = Floor()
        async with DatabaseDesk(other, away.outlets(), catalog(), "two") as desk:
            desk.perform(ACCOUNT, "c2", join("aki"), T0)
    await one.tells("c1", release("aki"))
    assert await stored_turns(database) == 1
    two = await opened("two")
    await until(lambda: two.told == [turn("c2", "aki")])
    await until(lambda: two.desk.waiting == ())
    assert await stored_turns(database) == 0


async def test_a_device_is_in_reach_as_long_as_one_engine_has_it(opened: Open) -> None:
    one, two = await opened("one"), await opened("two")
    await one.online("aki")
    await two.online("aki")
    await one.online("aki", there=False)
    assert await one.offers("c1", ask("aki")) == (["aki"], 0, 0)
    await one.ends("c1")
    await two.online("aki", there=False)
    assert await one.offers("c1", ask("aki")) == ([], 0, 1)


async def test_the_lease_of_an_engine_that_died_is_ended_by_another(opened: Open) -> None:
    one, two = await opened("one"), await opened("two")
    await one.online("aki")
    await one.tells("c1", ask("aki"))
    await looked(two)
    assert two.state("aki") == "reserved"
    await two.waits(RESERVED_S)
    assert two.state("aki") == "available"


async def test_a_call_that_is_over_holds_nobody_after_a_crash(opened: Open, database: Database) -> None:
    its = await seed(database)
    over, lives = new_id("cal"), new_id("cal")
    async with DatabaseJournal(database) as journal:
        for call in (over, lives):
            await journal.open(call, its.account, its.flow, its.version, T0)
        await journal.close(over, record(its))
    one = await opened("one")
    await one.online(*EVERYBODY)
    await one.tells(over, ask("aki"), commands.AgentTaken("aki"), join("ben", request="line-2"))
    await one.tells(lives, ask("chie"), commands.AgentTaken("chie"), join("aki"))
    two = await opened("two")
    await until(lambda: two.state("aki") == "reserved")
    await until(lambda: one.state("ben") == "available" and len(one.told) == 3)
    assert [type(event) for _, event in one.told] == [AgentsOffered, LineJoined, AgentsOffered]
    assert one.desk.agent(ACCOUNT, "aki").call == lives
    assert one.state("chie") == "talking"


async def test_the_live_picture_shows_what_other_engines_do(opened: Open) -> None:
    one, two = await opened("one"), await opened("two")
    await one.online("aki")
    await one.tells("c1", ask("aki"), commands.AgentTaken("aki"))
    await until(lambda: ("aki", "talking") in two.changes)


async def test_two_engines_say_what_one_desk_in_memory_says(opened: Open) -> None:
    """A long random day, each command at either engine; the desk in memory hears the same."""
    chance = random.Random(20_26)
    people = catalog(policy=Policy(wrap_up_s=5, pause_after_misses=3))
    engines = [await opened("one", people), await opened("two", people)]
    told: list[tuple[str, Event]] = []
    memory = MemoryDesk(Outlets(lambda call, event: told.append((call, event))), people)
    home: dict[str, int] = {}
    for step in range(400):
        at, call = T0 + step * 1_000_000, f"c{chance.randrange(8)}"
        act, user = _something(chance, call, at)
        at_engine = home.setdefault(user or call, chance.randrange(2))  # each telephone registers at one
        told.clear()
        act(memory)
        for each in engines:
            each.told.clear()
            each.now = at
        act(engines[at_engine].desk)
        await engines[at_engine].settle()
        await looked(engines[0])
        await looked(engines[1])
        said = {repr(_plain(*each)) for each in engines[0].told + engines[1].told}
        assert said == {repr(_plain(*each)) for each in told}, f"step {step}"
        for each in engines:
            for user in EVERYBODY:
                its = each.desk.agent(ACCOUNT, user)
                assert its._replace(place=0) == memory.agent(ACCOUNT, user)._replace(place=0), f"step {step}"
            assert each.desk.waiting == memory.waiting


def _something(chance: random.Random, call: str, at: int) -> tuple[Callable[[AnyDesk], object], str]:
    """Something that happens, and to whose telephone, if it is one."""
    user = chance.choice(EVERYBODY)
    command: DeskCommand
    match chance.randrange(12):
        case 0:
            there = chance.random() < 0.8
            return (lambda desk: desk.reachable(f"PJSIP/{user}", there, at)), user
        case 1:
            wish = chance.choice(("work", "work", "pause", "leave"))
            return (lambda desk: desk.wish(ACCOUNT, user, wish, at)), ""
        case 2:
            return (lambda desk: desk.tick(at)), ""
        case 3:
            return (lambda desk: desk.call_ended(ACCOUNT, call, at)), ""
        case 4:
            command = ask_group(chance.choice(("parallel", "sequential")))
        case 5:
            command = ask(user)
        case 6:
            command = join(user, max_waiting=3)
        case 7:
            command = join_group(max_waiting=3, request="line-2")
        case 8:
            command = commands.LeaveLine("line-1", "timeout")
        case 9:
            command = commands.AgentRings(user, 20)
        case 10:
            command = commands.AgentTaken(user)
        case _:
            command = release(user, chance.choice(("answered", "no_answer", "rejected")))
    return (lambda desk: desk.perform(ACCOUNT, call, command, at)), ""


def _plain(call: str, event: Event) -> tuple[object, ...]:
    """What a call hears, without when, and without the estimate, which each engine makes from what it saw itself."""
    match event:
        case AgentsOffered():
            return call, "turn", event.request, event.agents, event.busy, event.unreachable
        case LineJoined() | LineMoved():
            return call, type(event).__name__, event.request, event.position
        case LineFull():
            return call, "full", event.request
        case _:
            raise AssertionError(event)


# PostgreSQL's hints


async def test_a_turn_comes_at_once_where_the_database_tells(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_worker, "POLL_S", 3_600.0)
    async with AsyncExitStack() as stack:
        one, two = Floor(), Floor()
        for name, floor in (("one", one), ("two", two)):
            database = await stack.enter_async_context(open_database(postgres_url))
            if floor is one:
                await add_account(database)
            desk = DatabaseDesk(database, floor.outlets(), catalog(), name)
            await stack.enter_async_context(desk)
            await desk.settled()
            floor.desk, floor.settle = desk, desk.settled
        await one.online("aki")
        await one.tells("c1", ask("aki"))
        await two.tells("c2", join("aki"))
        two.told.clear()
        await one.tells("c1", release("aki"))
        await until(lambda: two.told == [turn("c2", "aki")])


async def test_listening_begins_again_after_the_connection_broke(postgres_url: str) -> None:
    async with open_database(postgres_url) as database:
        await add_account(database)
        floor = Floor()
        async with DatabaseDesk(database, floor.outlets(), catalog(), "one") as desk:
            await desk.settled()

            async def listeners() -> list[int]:
                async with database.reading() as session:
                    rows = await session.execute(
                        text(
                            "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = :name"
                        ),
                        {"name": database.engine.url.database},
                    )
                    return list(rows.scalars())

            [first] = await listeners()
            async with database.writing() as session:
                await session.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": first})
            async with asyncio.timeout(SOON_S):
                while (found := await listeners()) in ([], [first]):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            assert len(found) == 1


# When the database fails


def _failing(monkeypatch: pytest.MonkeyPatch, times: float) -> None:
    """Let so many transactions of desks fail."""
    lock = desk_rows.lock
    left = times

    async def failing(*args: Any) -> Any:
        nonlocal left
        left -= 1
        if left >= 0:
            raise OperationalError("SELECT", None, Exception("the server is gone"))
        return await lock(*args)

    monkeypatch.setattr(desk_rows, "lock", failing)


async def test_commands_wait_for_a_database_that_comes_back(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await opened("one")
    await one.online("aki")
    _failing(monkeypatch, 3)
    with capture_logs() as logs:
        told = await one.tells("c1", ask("aki"), commands.AgentTaken("aki"))
    assert told == [turn("c1", "aki", request="ask-1")]
    assert one.state("aki") == "talking"
    assert [each["event"] for each in logs] == ["desk_unavailable", "desk_available"]


async def test_a_question_is_answered_with_nobody_when_the_database_stays_away(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await opened("one")
    await one.online("aki", "ben")
    await one.tells("c2", ask("ben"), commands.AgentTaken("ben"))
    monkeypatch.setattr(desk_worker, "ANSWER_S", 0.2)
    with monkeypatch.context() as patch:
        _failing(patch, float("inf"))
        one.told.clear()
        one.desk.perform(ACCOUNT, "c1", ask("aki"), T0)
        one.desk.perform(ACCOUNT, "c3", join("ben"), T0)
        one.desk.perform(ACCOUNT, "c2", release("ben", "answered"), T0)
        await until(lambda: len(one.told) == 2)
        assert one.told == [turn("c1", request="ask-1"), turn("c3")]
    await one.settle()
    assert len(one.told) == 2
    assert one.state("aki") == "available"
    assert one.state("ben") == "available", "what is no question is done when the database is back"


async def test_a_command_the_database_refuses_harms_no_other(opened: Open) -> None:
    one = await opened("one")
    await one.online("aki")
    await one.tells("c1", ask("aki"))
    with capture_logs() as logs:

        def three(desk: AnyDesk) -> None:
            desk.perform(ACCOUNT, "c2", join("aki"), T0)
            desk.perform(ACCOUNT, "c3", join("aki", request="\ud800"), T0)
            desk.perform(ACCOUNT, "c4", join("aki"), T0)

        told = await one.does(three)
    assert told == [
        ("c2", LineJoined(T0, "line-1", 1)),
        turn("c3", request="\ud800"),
        ("c2", LineMoved(T0, "line-1", 1)),  # the desk was read anew
        ("c4", LineJoined(T0, "line-1", 2)),
    ]
    assert [each["event"] for each in logs] == ["desk_command_failed"]
    assert one.desk.waiting == ("c2", "c4")


async def test_an_outlet_that_fails_stops_nothing(database: Database) -> None:
    await add_account(database)
    floor = Floor()
    outlets = floor.outlets()

    def fails(_account: str, _user: str, _agent: object) -> None:
        raise RuntimeError("the picture is gone")

    outlets.agent_changed = fails
    async with DatabaseDesk(database, outlets, catalog(), "one") as desk:
        floor.desk, floor.settle = desk, desk.settled
        with capture_logs() as logs:
            await floor.online("aki")
            assert await floor.offers("c1", ask("aki")) == (["aki"], 0, 0)
    assert {each["event"] for each in logs} == {"desk_outlet_failed"}
