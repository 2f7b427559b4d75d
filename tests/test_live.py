"""The live picture: what it shows of a scripted day, that its changes add up to it, and that nobody slows it down."""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from flowengine.call import commands
from flowengine.call.causes import CONGESTION
from flowengine.call.events import SECOND, LineMoved
from flowengine.flow.document import GroupTransfer, UserTransfer, WaitingLine
from flowengine.live.changes import KINDS, Bus, Change, Gap, Subscription
from flowengine.live.picture import LivePicture
from flowengine.live.views import (
    About,
    AgentGone,
    AgentView,
    CallOver,
    CallView,
    LineView,
    Place,
    Snapshot,
    Totals,
    masked,
    masked_snapshot,
)
from flowengine.routing.agents import Agent, Policy
from flowengine.routing.desk import MemoryDesk
from flowengine.routing.directory import Catalog, PublishedFlow, User
from flowengine.routing.lines import LineVisit, Target
from flowengine.serve import picture_of
from simulator.phones import Answered, Behaviour, HangUp, Step, Wait, seconds
from tests.call.driving import announcement, flow
from tests.live_world import ACCOUNT, CALLER, NUMBER, LiveWorld, in_virtual_time, settle, until

LINE = WaitingLine(max_waiting=2, music_cycles=50)
ASK_HANAKO = flow(
    ring=UserTransfer(user="hanako", queue=LINE, connections={"busy": "full"}), full=announcement("Full")
)
HANAKO = Target(ACCOUNT, "user", "hanako")
HELLO = flow(hello=announcement("Hello"))
TALKS_20 = Behaviour(answers_after_us=seconds(2), talks_us=seconds(20))
STAYS: tuple[Step, ...] = (Wait(seconds(3_600)),)


def total(number: int) -> Totals:
    """A change that differs from every other by its number."""
    return Totals(taken=number)


def numbers(*got: Change | Gap) -> list[int | str]:
    return [f"lost {each.lost}" if isinstance(each, Gap) else each.seq for each in got]


async def read(subscription: Subscription, count: int) -> list[Change | Gap]:
    """So many items, which must be there already."""
    async with asyncio.timeout(1):
        return [await anext(subscription) for _ in range(count)]


def told(bus: Bus, count: int) -> None:
    for number in range(count):
        bus.tell(number, total(number))


# The bus


async def test_changes_come_in_order_and_numbered_without_a_hole() -> None:
    bus = Bus()
    told(bus, 3)
    with bus.subscribe() as changes:
        told(bus, 4)
        assert numbers(*await read(changes, 4)) == [4, 5, 6, 7]
        assert bus.seq == 7


async def test_a_slow_reader_loses_the_oldest_and_is_told_how_many() -> None:
    bus = Bus()
    with bus.subscribe(held=3) as slow, bus.subscribe(held=100) as quick:
        told(bus, 10)
        assert numbers(*await read(slow, 4)) == ["lost 7", 8, 9, 10]
        assert numbers(*await read(quick, 10)) == list(range(1, 11))
        told(bus, 1)
        assert numbers(*await read(slow, 1)) == [11], "the gap is told once"


async def test_more_is_lost_while_a_gap_is_being_read() -> None:
    bus = Bus()
    with bus.subscribe(held=2) as slow:
        told(bus, 3)
        assert numbers(*await read(slow, 1)) == ["lost 1"]
        told(bus, 2)
        assert numbers(*await read(slow, 3)) == ["lost 2", 4, 5]


async def test_every_change_is_either_read_or_counted_as_lost() -> None:
    chance = random.Random(7)
    bus = Bus()
    with bus.subscribe(held=5) as changes:
        seen, lost, last = 0, 0, 0
        for _ in range(2_000):
            told(bus, chance.randrange(4))
            while chance.random() < 0.55 and seen + lost < bus.seq:
                match await anext(changes):
                    case Gap(lost=more):
                        lost += more
                    case Change(seq=seq):
                        seen, last = seen + 1, seq
                assert last <= seen + lost
        while seen + lost < bus.seq:
            match await anext(changes):
                case Gap(lost=more):
                    lost += more
                case Change():
                    seen += 1
        assert lost > 0
        assert seen > 0


async def test_a_reader_waits_without_news_and_is_woken_by_them() -> None:
    bus = Bus()
    with bus.subscribe() as changes:
        waiting = asyncio.create_task(anext(changes))
        await settle()
        assert not waiting.done()
        told(bus, 1)
        assert numbers(await waiting) == [1]


async def test_the_end_of_a_subscription_ends_its_reader_and_is_forgotten() -> None:
    bus = Bus()
    got: list[Change | Gap] = []

    async def reads() -> None:
        async for change in changes:
            got.append(change)

    with bus.subscribe() as changes:
        reading = asyncio.create_task(reads())
        told(bus, 2)
        await settle()
        assert len(bus) == 1
    await asyncio.wait_for(reading, 1)
    told(bus, 2)
    assert numbers(*got) == [1, 2]
    assert len(bus) == 0
    changes.close()


async def test_a_reader_who_never_reads_costs_a_bounded_memory() -> None:
    bus = Bus()
    with bus.subscribe(held=50) as stuck:
        told(bus, 20_060)
        assert len(stuck._changes) == 50
        assert numbers(*await read(stuck, 2)) == ["lost 20010", 20_011]


def test_every_kind_of_change_has_a_name() -> None:
    assert set(KINDS) == set(About.__args__)
    assert len(set(KINDS.values())) == len(KINDS)


# The picture


@dataclass
class Copy:
    """What a follower has who took a snapshot and applies every change to it."""

    calls: dict[str, CallView] = field(default_factory=dict)
    agents: dict[tuple[str, str], AgentView] = field(default_factory=dict)
    lines: dict[tuple[str, str, str], LineView] = field(default_factory=dict)
    totals: Totals = field(default_factory=Totals)
    seq: int = 0

    @classmethod
    def of(cls, snapshot: Snapshot) -> "Copy":
        copy = cls(totals=snapshot.totals, seq=snapshot.seq)
        everything: tuple[About, ...] = (*snapshot.calls, *snapshot.agents, *snapshot.lines)
        for each in everything:
            copy.put(each)
        return copy

    def put(self, about: About) -> None:
        match about:
            case CallView():
                self.calls[about.call] = about
            case CallOver():
                del self.calls[about.call]
            case AgentView():
                self.agents[about.account, about.user] = about
            case AgentGone():
                del self.agents[about.account, about.user]
            case LineView():
                self.lines[about.account, about.kind, about.name] = about
            case Totals():
                self.totals = about

    def apply(self, change: Change | Gap) -> None:
        assert isinstance(change, Change)
        assert change.seq == self.seq + 1
        self.seq = change.seq
        assert change.about not in self.calls.values(), "what has not changed is not told"
        assert change.about not in self.agents.values()
        self.put(change.about)


def pictured(live: LiveWorld) -> LivePicture:
    """A picture of this world, from before its first call on."""
    picture = picture_of(live.engine, live.engine.watch)
    picture.renewed(live.catalog)
    outlets = live.desk.outlets
    outlets.agent_changed, outlets.line_changed = picture.agent_changed, picture.line_changed
    outlets.line_left = picture.line_left
    for user in live.catalog.users[ACCOUNT]:
        picture.agent_changed(ACCOUNT, user, live.desk.agent(ACCOUNT, user))
    return picture


def one_call(picture: LivePicture) -> CallView:
    [call] = picture.snapshot().calls
    return call


def agent_of(picture: LivePicture, user: str = "hanako") -> AgentView:
    agent = picture.agent(ACCOUNT, user)
    assert agent is not None
    return agent


def line_of(picture: LivePicture) -> LineView:
    [line] = picture.snapshot().lines
    return line


def test_a_call_is_shown_from_its_arrival_to_its_end() -> None:
    async def main() -> None:
        live = LiveWorld(ASK_HANAKO, {"hanako": TALKS_20})
        picture = pictured(live)
        began = live.clock.now()
        assert picture.snapshot().calls == ()
        live.call(*STAYS)
        await asyncio.sleep(1)
        call = one_call(picture)
        assert (call.call, call.account, call.flow, call.flow_name) == ("cal_1", ACCOUNT, "flw_test", "Test")
        assert (call.number, call.caller) == (NUMBER, CALLER)
        assert (call.state, call.kind, call.began_at, call.since) == ("ring", "user_transfer", began, began)
        assert (call.answered_at, call.talking_to, call.place) == (None, "", None)
        hanako = agent_of(picture)
        assert (hanako.state, hanako.call, hanako.reason) == ("ringing", "cal_1", "")
        await asyncio.sleep(2)
        call = one_call(picture)
        assert call.answered_at is not None
        assert call.answered_at - began == pytest.approx(2 * SECOND, abs=SECOND / 10)
        assert call.talking_to == "hanako"
        assert agent_of(picture).state == "talking"
        assert agent_of(picture).since == pytest.approx(call.answered_at, abs=SECOND / 10)
        await live.over()
        last = picture.snapshot()
        assert last.calls == ()
        assert last.totals == Totals(taken=1, over={"answered": 1})
        assert (agent_of(picture).state, agent_of(picture).call) == ("available", "")
        assert last.at > last.started_at == began

    in_virtual_time(main())


def test_who_waits_is_shown_with_place_and_time_and_counted_when_they_leave() -> None:
    async def main() -> None:
        live = LiveWorld(ASK_HANAKO, {"hanako": TALKS_20})
        picture = pictured(live)
        live.call(*STAYS)
        await asyncio.sleep(5)
        second_at = live.clock.now()
        live.call(*STAYS)
        await asyncio.sleep(1)
        live.call(Answered(), Wait(seconds(4)), HangUp())
        await asyncio.sleep(1)
        assert line_of(picture) == LineView(ACCOUNT, "user", "hanako", 2, second_at, {})
        _, second, third = picture.snapshot().calls
        assert second.place == Place("user", "hanako", second_at, 1)
        assert third.place == Place("user", "hanako", second_at + SECOND, 2)
        assert second.talking_to == ""

        live.engine.happened("cal_2", LineMoved(live.clock.now(), "line-99", 7))
        await settle()
        assert picture.snapshot().calls[1] == second, "a place in a line it is not in"

        live.call(*STAYS)  # two may wait
        await live.over("cal_4")
        assert line_of(picture).left == {"full": 1}
        await live.over("cal_3")
        assert line_of(picture) == LineView(
            ACCOUNT, "user", "hanako", 1, second_at, {"full": 1, "abandoned": 1}
        )
        await live.over("cal_1")
        await asyncio.sleep(5)
        assert line_of(picture).waiting == 0
        assert line_of(picture).waiting_since is None
        assert one_call(picture).place is None
        assert one_call(picture).talking_to == "hanako"
        live.call(*STAYS)
        await asyncio.sleep(1)
        place = picture.snapshot().calls[1].place
        assert place is not None
        assert place.wait_s == pytest.approx(20), "one talk of 20 s is known"
        await live.over()
        assert line_of(picture).left == {"full": 1, "abandoned": 1, "answered": 2}
        assert picture.snapshot().totals.taken == 5

    in_virtual_time(main())


def test_a_line_is_left_by_timeout_and_for_want_of_agents() -> None:
    async def main() -> None:
        short = flow(ring=UserTransfer(user="hanako", queue=WaitingLine(max_waiting=5, music_cycles=1)))
        live = LiveWorld(short, {"hanako": Behaviour(answers_after_us=seconds(1))})
        picture = pictured(live)
        live.call(*STAYS)
        await asyncio.sleep(3)
        live.call(*STAYS)
        await live.over("cal_2")
        assert line_of(picture).left == {"timeout": 1}
        live.call(*STAYS)
        await asyncio.sleep(3)
        live.desk.wish(ACCOUNT, "hanako", "leave", live.clock.now())
        await live.over("cal_3")
        assert line_of(picture).left == {"timeout": 1, "no_agents": 1}
        live.engine.kill("cal_1")
        await live.over()
        assert (agent_of(picture).state, agent_of(picture).reason) == ("offline", "signed_out")

    in_virtual_time(main())


def test_from_a_full_line_into_another_and_from_one_line_into_the_next() -> None:
    async def main() -> None:
        one = WaitingLine(max_waiting=1, music_cycles=1)
        first = GroupTransfer(group="team", queue=one, connections={"timeout": "ring", "busy": "ring"})
        live = LiveWorld(
            flow(first=first, ring=UserTransfer(user="hanako", queue=LINE)),
            {"hanako": Behaviour(answers_after_us=seconds(1))},
            {"team": ("hanako",)},
        )
        picture = pictured(live)
        for _ in range(3):
            live.call(*STAYS)
            await asyncio.sleep(3)

        def places() -> dict[str, str]:
            return {call.call: call.place.name for call in picture.snapshot().calls if call.place}

        assert places() == {"cal_2": "team", "cal_3": "hanako"}
        await asyncio.sleep(7)
        assert places() == {"cal_2": "hanako", "cal_3": "hanako"}
        assert {line.name: (line.waiting, line.left) for line in picture.snapshot().lines} == {
            "team": (0, {"full": 1, "timeout": 1}),
            "hanako": (2, {}),
        }
        for call in list(live.engine.calls):
            live.engine.kill(call)
        await live.over()
        assert [(line.waiting, line.joined) for line in picture._lines.values()] == [(0, {})] * 2

    in_virtual_time(main())


def test_snapshot_and_changes_add_up_to_the_next_snapshot_and_agree_with_the_desk() -> None:
    """A busy, random half hour: at every moment the copy of a follower is the picture, and the picture is true."""

    async def main() -> None:
        chance = random.Random(11)
        users = {
            name: Behaviour(answers_after_us=seconds(wait), talks_us=seconds(talk))
            for name, wait, talk in (("hanako", 2, 30), ("taro", 12, 9), ("ken", 4, 15))
        }
        team = GroupTransfer(
            group="team", ringing="sequential", ring_timeout_s=8, queue=LINE, connections={"timeout": "again"}
        )
        again = UserTransfer(user="hanako", queue=LINE)
        live = LiveWorld(flow(team=team, again=again), users, {"team": tuple(users)})
        picture = pictured(live)
        with picture.subscribe(held=100_000) as changes:
            copy = Copy.of(picture.snapshot())
            for _ in range(1_800):
                if chance.random() < 0.15:
                    live.call(Wait(seconds(chance.uniform(1, 60))), HangUp())
                if chance.random() < 0.02:
                    user, wish = chance.choice([*users]), chance.choice(["work", "work", "pause", "leave"])
                    picture.agent_changed(
                        ACCOUNT,
                        user,
                        live.desk.wish(ACCOUNT, user, wish, live.clock.now()),  # type: ignore[arg-type]
                    )
                await asyncio.sleep(1)
                await settle()
                snapshot = picture.snapshot()
                while copy.seq < snapshot.seq:
                    copy.apply(await anext(changes))
                assert Copy.of(snapshot) == copy
                _true_of(snapshot, live)
            await live.over()
        end = picture.snapshot()
        assert end.calls == ()
        assert sum(end.totals.over.values()) == end.totals.taken > 200
        left = {reason for line in end.lines for reason in line.left}
        assert {"answered", "abandoned", "full"} <= left

    in_virtual_time(main())


def _true_of(snapshot: Snapshot, live: LiveWorld) -> None:
    running = {call.call: call for call in snapshot.calls}
    assert running.keys() == live.engine.calls.keys()
    places = {call.call for call in snapshot.calls if call.place is not None}
    assert places == set(live.desk.waiting)
    assert sum(line.waiting for line in snapshot.lines) == len(live.desk.waiting)
    for line in snapshot.lines:
        of_it = [
            c.place
            for c in snapshot.calls
            if c.place and (c.place.kind, c.place.name) == (line.kind, line.name)
        ]
        assert sorted(place.position for place in of_it) == [*range(1, line.waiting + 1)]
        assert min((place.since for place in of_it), default=None) == line.waiting_since
    for agent in snapshot.agents:
        real = live.desk.agent(agent.account, agent.user)
        assert (agent.state, agent.since, agent.call) == (real.state, real.since, real.call)
        if agent.state == "talking":
            assert running[agent.call].talking_to == agent.user


def test_nothing_is_left_of_what_is_over() -> None:
    async def main() -> None:
        live = LiveWorld(ASK_HANAKO, {"hanako": Behaviour(answers_after_us=seconds(1), talks_us=seconds(4))})
        picture = pictured(live)
        for _ in range(100):
            live.call(Wait(seconds(6)), HangUp())
            await asyncio.sleep(3)
        await live.over()
        assert picture._calls == {}
        assert [(line.waiting, line.joined) for line in picture._lines.values()] == [(0, {})]
        assert picture._asked == {}
        assert len(picture.snapshot().lines) == 1
        assert picture._missed == set()
        assert picture.subscribers == 0

    in_virtual_time(main())


def test_refused_and_failed_calls_are_counted() -> None:
    async def main() -> None:
        no_flow: dict[str, PublishedFlow | None] = {"+815055550101": None}
        live = LiveWorld(ASK_HANAKO, {"hanako": Behaviour(answers_after_us=seconds(1))}, others=no_flow)
        picture = pictured(live)
        live.call(number="+815055550101")
        live.call(number="+815055550199")
        live.call(number="+815055550198")
        await settle()
        assert picture.snapshot().totals.refused == {"no_published_flow": 1, "unknown_number": 2}

        def fails(*_: Any) -> None:
            raise KeyError("desk")

        live.call(*STAYS)
        await asyncio.sleep(3)
        live.call(*STAYS)
        await asyncio.sleep(3)
        assert line_of(picture).waiting == 1
        for machine in live.engine.calls.values():
            machine.step = fails  # type: ignore[assignment, method-assign]
        live.engine.kill("cal_2")
        await live.over("cal_2")
        assert picture._asked == {}
        assert line_of(picture) == LineView(*HANAKO, 0, None, {"abandoned": 1})
        live.engine.kill("cal_1")
        await live.over()
        end = picture.snapshot()
        assert end.calls == ()
        assert end.totals.over == {"failed": 2}

    in_virtual_time(main())


def test_a_call_without_a_journal_is_never_shown() -> None:
    async def main() -> None:
        live = LiveWorld(HELLO)
        picture = pictured(live)

        async def fails(*_: object) -> None:
            raise OSError("disk")

        live.journal.open = fails  # type: ignore[assignment, method-assign]
        caller = live.call()
        await until(lambda: caller.cause is not None)
        assert caller.cause == CONGESTION
        assert picture.snapshot().totals == Totals()

    in_virtual_time(main())


def test_every_watcher_sees_every_step_whatever_another_does() -> None:
    async def main() -> None:
        live = LiveWorld(HELLO)
        seen: list[str] = []

        def fails(*_: object) -> None:
            seen.append("first")
            raise KeyError("watch")

        live.engine.watch = fails
        picture = pictured(live)
        live.call()
        await settle()
        assert one_call(picture).state == "hello"
        await live.over()
        assert picture.snapshot().totals.over == {"self_served": 1}
        assert len(seen) > 2

    with capture_logs() as logs:
        in_virtual_time(main())
    assert {entry["event"] for entry in logs if entry["log_level"] == "error"} == {"a watcher failed"}


def test_a_picture_that_fails_touches_neither_call_nor_desk() -> None:
    async def main() -> None:
        live = LiveWorld(ASK_HANAKO, {"hanako": TALKS_20})
        picture = pictured(live)

        def fails(*_: object) -> None:
            raise KeyError("picture")

        picture._tell = fails  # type: ignore[assignment, method-assign]
        live.call(*STAYS)
        await live.over()
        assert live.journal.records["cal_1"].disposition == "answered"
        assert live.leaks() == []

    with capture_logs() as logs:
        in_virtual_time(main())
    assert any(entry["event"] == "the live picture failed" for entry in logs)


# Agents


class Office:
    """A desk and its picture, with hanako and taro, hanako's telephone in reach."""

    def __init__(self, policy: Policy = Policy()) -> None:  # noqa: B008 - it is immutable
        self.now = 1_000 * SECOND
        self.picture = LivePicture(lambda: self.now, lambda _call: None)
        self.users = {name: User(name, (f"PJSIP/{name}",)) for name in ("hanako", "taro")}
        self.policy = policy
        self.desk = MemoryDesk(lambda _call, _event: None, self.catalog)
        self.picture.renewed(self.catalog)
        self.desk.outlets.agent_changed = self.picture.agent_changed
        self.desk.reachable("PJSIP/hanako", True, self.now)

    @property
    def catalog(self) -> Catalog:
        return Catalog(users={ACCOUNT: self.users}, policies={ACCOUNT: self.policy})

    def renew(self) -> None:
        self.picture.renewed(self.catalog)
        self.desk.renew(self.catalog, self.now)

    def state(self, user: str = "hanako") -> tuple[str, str]:
        agent = agent_of(self.picture, user)
        return agent.state, agent.reason

    def wishes(self, wish: Any, user: str = "hanako") -> None:
        self.picture.agent_changed(ACCOUNT, user, self.desk.wish(ACCOUNT, user, wish, self.now))

    def misses_a_call(self, wish: Any = None) -> None:
        self.now += SECOND
        self.desk.perform(ACCOUNT, "cal_1", commands.OfferAgents("ask-1", "user", "hanako"), self.now)
        self.desk.perform(ACCOUNT, "cal_1", commands.AgentRings("hanako", 20), self.now)
        if wish is not None:
            self.wishes(wish)
        self.desk.perform(ACCOUNT, "cal_1", commands.AgentReleased("hanako", "no_answer"), self.now)


@pytest.fixture
def logs() -> Iterator[list[EventDict]]:
    with capture_logs() as captured:
        yield captured


def test_every_user_is_shown_and_why_they_take_no_calls() -> None:
    office = Office()
    assert office.state() == ("available", "")
    assert office.state("taro") == ("offline", "out_of_reach")
    office.wishes("pause")
    assert office.state() == ("paused", "by_hand")
    office.wishes("leave")
    assert office.state() == ("offline", "signed_out")
    office.wishes("work")
    assert office.state() == ("available", "")
    office.desk.reachable("PJSIP/hanako", False, office.now)
    assert office.state() == ("offline", "out_of_reach")


def test_who_is_paused_for_not_answering_is_told_so(logs: list[EventDict]) -> None:
    office = Office(Policy(pause_after_misses=2))
    office.misses_a_call()
    assert office.state() == ("available", "")
    assert logs == []
    office.misses_a_call()
    assert office.state() == ("paused", "missed")
    assert [(entry["event"], entry["user"], entry["misses"], entry["log_level"]) for entry in logs] == [
        ("agent paused for not answering", "hanako", 2, "info")
    ]
    office.desk.reachable("PJSIP/hanako", False, office.now)
    assert office.state() == ("offline", "out_of_reach")
    office.desk.reachable("PJSIP/hanako", True, office.now)
    assert office.state() == ("paused", "missed"), "still the same pause"
    assert len(logs) == 1
    office.wishes("work")
    assert office.state() == ("available", "")
    office.wishes("pause")
    assert office.state() == ("paused", "by_hand")


def test_a_pause_by_hand_while_it_rings_is_no_punishment(logs: list[EventDict]) -> None:
    office = Office(Policy(pause_after_misses=1))
    office.misses_a_call(wish="pause")
    assert office.state() == ("paused", "by_hand")
    assert logs == []


def test_misses_pause_nobody_where_the_account_does_not_want_it() -> None:
    office = Office()
    for _ in range(5):
        office.misses_a_call()
    assert office.state() == ("available", "")
    assert agent_of(office.picture).misses == 5


def test_users_come_and_go_with_the_catalogue() -> None:
    office = Office()
    del office.users["taro"]
    office.users["ken"] = User("ken")
    office.renew()
    assert [agent.user for agent in office.picture.snapshot().agents] == ["hanako", "ken"]
    assert office.state("ken") == ("offline", "out_of_reach")
    del office.users["hanako"]
    office.renew()
    assert [agent.user for agent in office.picture.snapshot().agents] == ["ken"]
    assert office.picture.agent(ACCOUNT, "hanako") is None


async def test_what_is_told_twice_changes_nothing() -> None:
    office = Office()
    before = office.picture.snapshot().seq
    office.picture.agent_changed(ACCOUNT, "hanako", office.desk.agent(ACCOUNT, "hanako"))
    office.renew()
    assert office.picture.snapshot().seq == before


def test_an_agent_of_nobody_is_shown_only_while_they_work() -> None:
    office = Office()
    office.picture.agent_changed(ACCOUNT, "ghost", Agent(state="talking", call="cal_9"))
    assert office.state("ghost") == ("talking", "")
    office.picture.agent_changed(ACCOUNT, "ghost", Agent())
    assert office.picture.agent(ACCOUNT, "ghost") is None


def test_a_line_without_a_call_we_know_is_counted_all_the_same() -> None:
    office = Office()
    office.picture.line_left(LineVisit(HANAKO, "cal_unknown", 1, 2, "answered"))
    office.picture.line_changed(HANAKO, 2)
    assert line_of(office.picture) == LineView(*HANAKO, 2, None, {"answered": 1})


def test_an_empty_line_has_nobody_who_waits() -> None:
    """The desk may tell it before the call has heard of its turn."""

    async def main() -> None:
        live = LiveWorld(ASK_HANAKO, {"hanako": TALKS_20})
        picture = pictured(live)
        for _ in range(2):
            live.call(*STAYS)
            await asyncio.sleep(3)
        assert line_of(picture).waiting_since is not None
        picture.line_changed(HANAKO, 0)
        assert line_of(picture).waiting_since is None
        await live.over()

    in_virtual_time(main())


# Masked


async def test_numbers_are_whole_in_here_and_masked_for_others() -> None:
    call = CallView("cal_1", ACCOUNT, "flw_1", "Main", NUMBER, CALLER, 1)
    hidden = masked(call)
    assert isinstance(hidden, CallView)
    assert (hidden.number, hidden.caller) == ("+81********00", "+81********23")
    assert masked(total(1)) == total(1)
    snapshot = Snapshot(1, 1, 1, (call,), (), (), Totals())
    assert masked_snapshot(snapshot).calls == (hidden,)
    assert snapshot.calls == (call,)
