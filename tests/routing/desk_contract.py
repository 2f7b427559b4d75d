"""What every desk must do, whatever it keeps its agents and lines in: one suite, run for each of them.

A test module makes a class of `DeskContract` and gives the fixture `floor`.
"""

from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Protocol

from flowengine.call import commands
from flowengine.call.commands import DeskCommand
from flowengine.call.events import (
    SECOND,
    Agent,
    AgentsOffered,
    Event,
    Instant,
    LineFull,
    LineJoined,
    LineMoved,
)
from flowengine.routing import agents
from flowengine.routing.agents import Policy, Wish
from flowengine.routing.desk import RESERVED_S, RING_GRACE_S, Outlets
from flowengine.routing.directory import Catalog, User
from flowengine.routing.lines import LineVisit

ACCOUNT = "acc"
EVERYBODY = ("aki", "ben", "chie")
T0: Instant = 1_750_000_000_000_000


class AnyDesk(Protocol):
    """What the desks have in common."""

    def renew(self, catalog: Catalog, at: Instant) -> None: ...
    def reachable(self, endpoint: str, is_reachable: bool, at: Instant) -> None: ...
    def wish(self, account: str, user: str, wish: Wish, at: Instant) -> agents.Agent: ...
    def tick(self, at: Instant) -> None: ...
    def perform(self, account: str, call: str, command: DeskCommand, at: Instant) -> None: ...
    def call_ended(self, account: str, call: str, at: Instant) -> None: ...
    def is_reachable(self, endpoint: str) -> bool: ...
    def agent(self, account: str, user: str) -> agents.Agent: ...
    @property
    def held(self) -> tuple[str, ...]: ...
    @property
    def waiting(self) -> tuple[str, ...]: ...


def catalog(
    group: tuple[str, ...] = EVERYBODY,
    users: tuple[str, ...] = EVERYBODY,
    policy: Policy = Policy(),  # noqa: B008 - immutable
) -> Catalog:
    """Users of one device each ("PJSIP/aki"), and a group of them."""
    return Catalog(
        users={ACCOUNT: {name: User(name, (f"PJSIP/{name}",)) for name in users}},
        groups={ACCOUNT: {"sales": group}},
        policies={ACCOUNT: policy},
    )


class Floor:
    """A desk, everything it said, and a way to wait until it has said it.

    Attributes:
        crowd: how many callers this desk can be asked to keep waiting within a test.
    """

    def __init__(self, crowd: int = 10_000) -> None:
        self.told: list[tuple[str, Event]] = []
        self.wakes: list[Instant] = []
        self.visits: list[LineVisit] = []
        self.changes: list[tuple[str, str]] = []
        self.crowd = crowd
        self.now: Instant = T0
        self.desk: AnyDesk
        self.settle: Callable[[], Awaitable[None]]

    def outlets(self) -> Outlets:
        return Outlets(
            deliver=lambda call, event: self.told.append((call, event)),
            wake_at=self.wakes.append,
            agent_changed=lambda _account, user, agent: self.changes.append((user, agent.state)),
            line_left=self.visits.append,
        )

    async def does(self, act: Callable[[AnyDesk], object]) -> list[tuple[str, Event]]:
        """What the desk says to this, and to whom."""
        self.told.clear()
        act(self.desk)
        await self.settle()
        return list(self.told)

    async def online(self, *names: str, there: bool = True) -> list[tuple[str, Event]]:
        def act(desk: AnyDesk) -> None:
            for name in names:
                desk.reachable(f"PJSIP/{name}", there, self.now)

        return await self.does(act)

    async def wishes(self, user: str, wish: Wish) -> list[tuple[str, Event]]:
        return await self.does(lambda desk: desk.wish(ACCOUNT, user, wish, self.now))

    async def renews(self, new: Catalog) -> list[tuple[str, Event]]:
        return await self.does(lambda desk: desk.renew(new, self.now))

    async def tells(self, call: str, *said: DeskCommand) -> list[tuple[str, Event]]:
        def act(desk: AnyDesk) -> None:
            for command in said:
                desk.perform(ACCOUNT, call, command, self.now)

        return await self.does(act)

    async def ends(self, call: str) -> list[tuple[str, Event]]:
        return await self.does(lambda desk: desk.call_ended(ACCOUNT, call, self.now))

    async def waits(self, seconds: float) -> list[tuple[str, Event]]:
        """Time passes, and the desk is woken as it asked for."""
        self.now += int(seconds * SECOND)
        due = [at for at in self.wakes if at <= self.now]
        self.wakes = [at for at in self.wakes if at > self.now]

        def wake(desk: AnyDesk) -> None:
            for _ in due:
                desk.tick(self.now)

        return await self.does(wake)

    async def offers(self, call: str, command: commands.OfferAgents) -> tuple[list[str], int, int]:
        """Who is offered, how many are busy, how many out of reach."""
        [(to, event)] = await self.tells(call, command)
        assert to == call
        assert isinstance(event, AgentsOffered)
        assert event.request == command.request
        return [agent.user for agent in event.agents], event.busy, event.unreachable

    async def line_up(self) -> list[str]:
        """All users who are free, first in line first; leaves nobody reserved."""
        names, _, _ = await self.offers("probe", ask_group("parallel"))
        await self.ends("probe")
        return names

    def state(self, user: str) -> str:
        return self.desk.agent(ACCOUNT, user).state


def ask(target: str, request: str = "ask-1", tried: tuple[str, ...] = ()) -> commands.OfferAgents:
    return commands.OfferAgents(request, "user", target, "parallel", tried)


def ask_group(ringing: str = "sequential", tried: tuple[str, ...] = ()) -> commands.OfferAgents:
    way = "parallel" if ringing == "parallel" else "sequential"
    return commands.OfferAgents("ask-1", "group", "sales", way, tried)  # type: ignore[arg-type]


def join(target: str, max_waiting: int = 5, request: str = "line-1") -> commands.JoinLine:
    return commands.JoinLine(request, "user", target, max_waiting)


def join_group(max_waiting: int = 5, request: str = "line-1") -> commands.JoinLine:
    return commands.JoinLine(request, "group", "sales", max_waiting)


def release(user: str, outcome: str = "no_answer") -> commands.AgentReleased:
    return commands.AgentReleased(user, outcome)  # type: ignore[arg-type]


def turn(
    call: str, *users: str, at: Instant = T0, request: str = "line-1", unreachable: int = 0
) -> tuple[str, Event]:
    offered = tuple(Agent(user, (f"PJSIP/{user}",)) for user in users)
    return call, AgentsOffered(at, request, offered, 0, unreachable)


class DeskContract:
    """The rules (product rules, sections 3 and 4), by example."""

    # The line of agents

    async def test_who_went_online_first_is_first(self, floor: Floor) -> None:
        await floor.online("chie", "aki", "ben")
        assert await floor.offers("c1", ask_group()) == (["chie"], 0, 0)
        assert await floor.offers("c1", ask_group(tried=("chie",))) == (["aki"], 0, 0)

    async def test_who_answers_goes_to_the_end_at_once(self, floor: Floor) -> None:
        await floor.online(*EVERYBODY)
        await floor.tells("c1", ask("aki"), commands.AgentRings("aki", 20), commands.AgentTaken("aki"))
        await floor.online("dora")
        await floor.tells("c1", release("aki", "answered"))
        assert await floor.line_up() == ["ben", "chie", "aki"]

    async def test_who_is_rung_in_vain_keeps_the_place(self, floor: Floor) -> None:
        await floor.online(*EVERYBODY)
        for outcome in ("no_answer", "rejected", "busy", "cancelled", "unreachable"):
            await floor.tells("c1", ask("aki"), commands.AgentRings("aki", 20), release("aki", outcome))
            assert await floor.line_up() == ["aki", "ben", "chie"]

    async def test_a_pause_by_hand_keeps_the_place(self, floor: Floor) -> None:
        await floor.online(*EVERYBODY)
        await floor.wishes("aki", "pause")
        assert floor.state("aki") == "paused"
        assert await floor.offers("c1", ask("aki")) == ([], 1, 0)
        assert await floor.line_up() == ["ben", "chie"]
        await floor.wishes("aki", "work")
        assert await floor.line_up() == ["aki", "ben", "chie"]

    async def test_signing_out_and_in_again_is_a_new_place(self, floor: Floor) -> None:
        await floor.online(*EVERYBODY)
        await floor.wishes("aki", "leave")
        assert await floor.offers("c1", ask("aki")) == ([], 0, 1)
        await floor.wishes("aki", "work")
        assert await floor.line_up() == ["ben", "chie", "aki"]

    async def test_going_out_of_reach_and_back_is_a_new_place(self, floor: Floor) -> None:
        await floor.online(*EVERYBODY)
        await floor.online("aki", there=False)
        assert await floor.line_up() == ["ben", "chie"]
        await floor.online("aki")
        assert await floor.line_up() == ["ben", "chie", "aki"]

    async def test_a_registration_renewed_keeps_the_place(self, floor: Floor) -> None:
        await floor.online(*EVERYBODY)
        await floor.online("aki")
        assert await floor.line_up() == ["aki", "ben", "chie"]

    async def test_a_second_device_keeps_the_place_and_is_offered_too(self, floor: Floor) -> None:
        devices = ("PJSIP/aki", "PJSIP/aki-web", "PJSIP/aki-car")
        await floor.renews(Catalog(users={ACCOUNT: {"aki": User("aki", devices)}}))
        await floor.online("aki-web", "aki")
        place = floor.desk.agent(ACCOUNT, "aki").place
        await floor.online("aki-web", there=False)
        await floor.online("aki-web")
        assert floor.desk.agent(ACCOUNT, "aki").place == place
        [(_, event)] = await floor.tells("c1", ask("aki"))
        assert event == AgentsOffered(T0, "ask-1", (Agent("aki", devices[:2]),))

    # Offers and reservation

    async def test_parallel_offers_everybody_free_and_counts_the_others(self, floor: Floor) -> None:
        await floor.online("aki", "ben")
        await floor.tells("c1", ask("ben"))
        assert await floor.offers("c2", ask_group("parallel")) == (["aki"], 1, 1)
        assert await floor.offers("c3", ask_group("parallel")) == ([], 2, 1)

    async def test_nobody_is_offered_to_two_calls(self, floor: Floor) -> None:
        await floor.online(*EVERYBODY)
        offered = [await floor.offers(f"c{n}", ask_group()) for n in range(4)]
        assert offered == [(["aki"], 0, 0), (["ben"], 1, 0), (["chie"], 2, 0), ([], 3, 0)]
        assert sorted(floor.desk.held) == list(EVERYBODY)

    async def test_questions_at_once_are_answered_in_order(self, floor: Floor) -> None:
        await floor.online(*EVERYBODY)

        def everybody(desk: AnyDesk) -> None:
            for n in range(5):
                desk.perform(ACCOUNT, f"c{n}", ask_group(), T0)

        told = await floor.does(everybody)
        assert [call for call, _ in told] == [f"c{n}" for n in range(5)]
        assert [[each.user for each in event.agents] for _, event in told] == [  # type: ignore[union-attr]
            ["aki"],
            ["ben"],
            ["chie"],
            [],
            [],
        ]

    async def test_those_tried_are_not_offered_and_not_counted(self, floor: Floor) -> None:
        await floor.online("aki", "ben")
        assert await floor.offers("c1", ask_group("parallel", tried=("aki",))) == (["ben"], 0, 1)

    async def test_an_unknown_user_or_group_is_nobody(self, floor: Floor) -> None:
        await floor.online(*EVERYBODY)
        assert await floor.offers("c1", ask("nobody")) == ([], 0, 1)
        assert await floor.offers("c1", commands.OfferAgents("ask-1", "group", "none")) == ([], 0, 0)

    async def test_users_of_another_account_are_not_ours(self, floor: Floor) -> None:
        await floor.online(*EVERYBODY)
        told = await floor.does(lambda desk: desk.perform("other", "c1", ask("aki"), T0))
        assert told == [("c1", AgentsOffered(T0, "ask-1", (), 0, 1))]
        await floor.tells("c1", ask("aki"))
        await floor.does(lambda desk: desk.call_ended("other", "c1", T0))
        assert floor.desk.held == ("aki",)

    async def test_a_question_asked_again_has_the_same_answer(self, floor: Floor) -> None:
        await floor.online(*EVERYBODY)
        first = await floor.tells("c1", ask_group("parallel"))
        assert await floor.tells("c1", ask_group("parallel")) == first
        assert len(floor.desk.held) == 3

    async def test_only_the_call_that_holds_an_agent_moves_them(self, floor: Floor) -> None:
        await floor.online("aki")
        await floor.tells("c1", ask("aki"))
        await floor.tells("c2", commands.AgentTaken("aki"), release("aki"))
        assert floor.state("aki") == "reserved"
        assert floor.desk.agent(ACCOUNT, "aki").call == "c1"

    async def test_the_end_of_a_call_frees_everybody_and_every_place(self, floor: Floor) -> None:
        await floor.online(*EVERYBODY)
        await floor.tells("c1", ask_group("parallel"))
        await floor.tells("c2", join("aki"))
        await floor.tells("c1", join("ben", request="line-7"))
        assert await floor.ends("c1") == [turn("c2", "aki")]
        assert floor.desk.held == ("aki",)
        assert floor.desk.waiting == ()
        assert await floor.ends("c1") == []

    # Leases, wrap-up, misses

    async def test_a_reservation_that_comes_to_nothing_ends_by_itself(self, floor: Floor) -> None:
        await floor.online("aki")
        await floor.tells("c1", ask("aki"))
        await floor.waits(RESERVED_S - 1)
        assert floor.state("aki") == "reserved"
        await floor.waits(1)
        assert floor.state("aki") == "available"
        await floor.tells("c1", commands.AgentTaken("aki"))
        assert floor.state("aki") == "available"

    async def test_a_ringing_has_its_time_and_some_grace(self, floor: Floor) -> None:
        await floor.online("aki")
        await floor.tells("c1", ask("aki"), commands.AgentRings("aki", 30))
        await floor.waits(30 + RING_GRACE_S - 1)
        assert floor.state("aki") == "ringing"
        await floor.waits(1)
        assert floor.state("aki") == "available"

    async def test_a_talk_has_no_lease(self, floor: Floor) -> None:
        await floor.online("aki")
        await floor.tells("c1", ask("aki"), commands.AgentTaken("aki"))
        await floor.waits(86_400)
        assert floor.state("aki") == "talking"

    async def test_a_lease_that_ran_out_serves_the_line(self, floor: Floor) -> None:
        await floor.online("aki")
        await floor.tells("c1", ask("aki"))
        await floor.tells("c2", join("aki"))
        assert await floor.waits(RESERVED_S) == [turn("c2", "aki", at=floor.now)]

    async def test_wrap_up_takes_its_time_or_ends_by_hand(self, floor: Floor) -> None:
        await floor.renews(catalog(policy=Policy(wrap_up_s=30)))
        await floor.online("aki")
        talk = (ask("aki"), commands.AgentTaken("aki"), release("aki", "answered"))
        await floor.tells("c1", *talk)
        assert floor.state("aki") == "wrap_up"
        assert await floor.offers("c2", ask("aki")) == ([], 1, 0)
        await floor.waits(30)
        assert floor.state("aki") == "available"
        await floor.tells("c3", *talk)
        await floor.wishes("aki", "work")
        assert floor.state("aki") == "available"

    async def test_who_keeps_missing_calls_is_paused_where_wanted(self, floor: Floor) -> None:
        await floor.renews(catalog(policy=Policy(pause_after_misses=2)))
        await floor.online("aki")
        miss = (ask("aki"), commands.AgentRings("aki", 20), release("aki", "no_answer"))
        await floor.tells("c1", *miss)
        assert floor.state("aki") == "available"
        await floor.tells("c2", *miss)
        assert floor.state("aki") == "paused"
        await floor.wishes("aki", "work")
        await floor.tells("c3", *miss)
        assert floor.state("aki") == "available"

    async def test_nobody_is_torn_out_of_a_call(self, floor: Floor) -> None:
        await floor.online("aki")
        await floor.tells("c1", ask("aki"), commands.AgentTaken("aki"))
        await floor.wishes("aki", "leave")
        await floor.online("aki", there=False)
        assert floor.state("aki") == "talking"
        await floor.tells("c1", release("aki", "answered"))
        assert floor.state("aki") == "offline"

    # Waiting lines

    async def test_callers_have_their_turn_in_order_and_hear_their_places(self, floor: Floor) -> None:
        await floor.online("aki")
        await floor.tells("c1", ask("aki"))
        for position, call in enumerate(("c2", "c3", "c4"), start=1):
            assert await floor.tells(call, join("aki")) == [(call, LineJoined(T0, "line-1", position))]
        moved = [("c3", LineMoved(T0, "line-1", 1)), ("c4", LineMoved(T0, "line-1", 2))]
        assert await floor.tells("c1", release("aki")) == [turn("c2", "aki"), *moved]
        assert floor.desk.waiting == ("c3", "c4")
        assert await floor.tells("c2", release("aki")) == [
            turn("c3", "aki"),
            ("c4", LineMoved(T0, "line-1", 1)),
        ]

    async def test_a_new_caller_does_not_overtake_the_line(self, floor: Floor) -> None:
        await floor.online("aki")
        await floor.tells("c1", ask("aki"))
        await floor.tells("c2", join("aki"))
        await floor.tells("c1", release("aki"))
        assert await floor.offers("c9", ask("aki")) == ([], 1, 0)

    async def test_a_full_line_takes_nobody_until_somebody_leaves(self, floor: Floor) -> None:
        await floor.online("aki")
        await floor.tells("c1", ask("aki"))
        await floor.tells("c2", join("aki", max_waiting=1))
        assert await floor.tells("c3", join("aki", max_waiting=1)) == [("c3", LineFull(T0, "line-1"))]
        assert await floor.tells("c2", commands.LeaveLine("line-1", "abandoned")) == []
        assert await floor.tells("c3", join("aki", max_waiting=1)) == [("c3", LineJoined(T0, "line-1", 1))]
        assert [visit.left for visit in floor.visits] == ["full", "abandoned"]

    async def test_who_leaves_lets_the_others_move_up(self, floor: Floor) -> None:
        await floor.online("aki")
        await floor.tells("c1", ask("aki"))
        await floor.tells("c2", join("aki"))
        await floor.tells("c3", join("aki"))
        moved = [("c3", LineMoved(T0, "line-1", 1))]
        assert await floor.tells("c2", commands.LeaveLine("line-1", "timeout")) == moved
        assert await floor.tells("c1", release("aki")) == [turn("c3", "aki")]

    async def test_leaving_and_joining_again_in_one_breath_is_a_new_place(self, floor: Floor) -> None:
        await floor.online("aki")
        await floor.tells("c1", ask("aki"))
        await floor.tells("c2", join("aki"))
        await floor.tells("c3", join("aki"))
        await floor.tells("c2", commands.LeaveLine("line-1", "timeout"), join("aki"))
        assert floor.desk.waiting == ("c3", "c2")
        assert await floor.tells("c1", release("aki")) == [
            turn("c3", "aki"),
            ("c2", LineMoved(T0, "line-1", 1)),
        ]

    async def test_a_place_asked_for_again_is_the_same_place(self, floor: Floor) -> None:
        await floor.online("aki")
        await floor.tells("c1", ask("aki"))
        await floor.tells("c2", join("aki"))
        await floor.tells("c3", join("aki"))
        assert await floor.tells("c3", join("aki", max_waiting=1)) == [("c3", LineJoined(T0, "line-1", 2))]
        assert floor.desk.waiting == ("c2", "c3")

    async def test_joining_when_somebody_is_free_is_a_turn_at_once(self, floor: Floor) -> None:
        await floor.online("aki")
        assert await floor.tells("c1", join("aki")) == [
            ("c1", LineJoined(T0, "line-1", 1)),
            turn("c1", "aki"),
        ]
        assert floor.desk.waiting == ()
        assert await floor.tells("c1", commands.LeaveLine("line-1", "timeout")) == []

    async def test_whoever_waited_longest_has_the_agent_of_both_lines(self, floor: Floor) -> None:
        await floor.online("aki")
        await floor.tells("c1", ask("aki"))
        await floor.tells("c2", join_group())
        await floor.tells("c3", join("aki"))
        assert await floor.tells("c1", release("aki")) == [
            (
                "c2",
                AgentsOffered(T0, "line-1", (Agent("aki", ("PJSIP/aki",)),), 0, 2),
            )
        ]
        assert await floor.tells("c2", release("aki")) == [turn("c3", "aki")]

    async def test_an_agent_who_comes_online_serves_the_line(self, floor: Floor) -> None:
        await floor.online("aki")
        await floor.tells("c1", ask("aki"))
        await floor.tells("c2", join_group())
        [(call, event)] = await floor.online("ben")
        assert call == "c2"
        assert isinstance(event, AgentsOffered)
        assert [agent.user for agent in event.agents] == ["ben"]

    async def test_a_user_out_of_reach_ends_the_waiting_of_everybody(self, floor: Floor) -> None:
        await floor.online("aki")
        await floor.tells("c1", ask("aki"))
        await floor.tells("c2", join("aki"))
        await floor.tells("c3", join("aki"))
        assert await floor.online("aki", there=False) == [
            turn("c2", unreachable=1),
            turn("c3", unreachable=1),
        ]
        assert floor.desk.waiting == ()
        assert [visit.left for visit in floor.visits] == ["no_agents", "no_agents"]

    # Another catalogue

    async def test_reservations_and_lines_outlive_a_new_catalogue(self, floor: Floor) -> None:
        await floor.online("aki", "new")
        await floor.tells("c1", ask("aki"))
        await floor.tells("c2", join("aki"))
        devices = ("PJSIP/aki", "PJSIP/new")
        assert await floor.renews(Catalog(users={ACCOUNT: {"aki": User("aki", devices)}})) == []
        await floor.online("new")
        assert await floor.tells("c1", release("aki")) == [
            ("c2", AgentsOffered(T0, "line-1", (Agent("aki", devices),)))
        ]

    async def test_a_deleted_user_ends_the_waiting_for_them(self, floor: Floor) -> None:
        await floor.online("aki")
        await floor.tells("c1", ask("aki"))
        await floor.tells("c2", join("aki"))
        assert await floor.renews(catalog(users=("ben",))) == [turn("c2", unreachable=1)]

    async def test_an_emptied_group_ends_the_waiting_for_it(self, floor: Floor) -> None:
        await floor.online("aki")
        await floor.tells("c1", ask("aki"))
        await floor.tells("c2", join_group())
        assert await floor.renews(catalog(group=())) == [turn("c2")]
        assert floor.desk.waiting == ()

    async def test_a_user_deleted_while_ringing_is_let_go_by_the_call(self, floor: Floor) -> None:
        await floor.online("aki")
        await floor.tells("c1", ask("aki"), commands.AgentRings("aki", 20))
        await floor.renews(catalog(users=("ben",)))
        assert floor.state("aki") == "ringing"
        await floor.tells("c1", release("aki"))
        assert floor.state("aki") == "offline"
        assert await floor.offers("c2", ask("aki")) == ([], 0, 1)

    async def test_a_device_in_reach_before_its_user_exists_counts(self, floor: Floor) -> None:
        await floor.online("dora")
        await floor.renews(catalog(users=("dora",)))
        assert await floor.offers("c1", ask("dora")) == (["dora"], 0, 0)

    # The live picture

    async def test_every_change_of_an_agent_is_told(self, floor: Floor) -> None:
        await floor.online("aki")
        floor.changes.clear()
        await floor.tells("c1", ask("aki"))
        await floor.tells("c1", commands.AgentRings("aki", 20))
        await floor.tells("c1", commands.AgentTaken("aki"))
        await floor.tells("c1", release("aki", "answered"))
        states = [state for user, state in floor.changes if user == "aki"]
        assert [state for state in states if state != "wrap_up"] == [
            "reserved",
            "ringing",
            "talking",
            "available",
        ]

    async def test_an_unknown_user_cannot_sign_in(self, floor: Floor) -> None:
        try:
            floor.desk.wish(ACCOUNT, "nobody", "work", T0)
        except KeyError:
            return
        raise AssertionError("a user who does not exist signed in")

    # Crowds

    async def test_a_crowd_waits_in_order_in_bounded_time(self, floor: Floor) -> None:
        await floor.online("aki")
        await floor.tells("c1", ask("aki"))

        def crowd(desk: AnyDesk) -> None:
            for n in range(floor.crowd):
                desk.perform(ACCOUNT, f"w{n}", join("aki", max_waiting=floor.crowd), T0)

        began = perf_counter()
        told = await floor.does(crowd)
        assert told == [(f"w{n}", LineJoined(T0, "line-1", n + 1)) for n in range(floor.crowd)]
        assert perf_counter() - began < 40
        holder = "c1"
        began = perf_counter()
        for n in range(5):
            told = await floor.tells(holder, release("aki"))
            assert told[0] == turn(f"w{n}", "aki")
            assert len(told) == floor.crowd - n
            assert told[-1] == (
                f"w{floor.crowd - 1}",
                LineMoved(T0, "line-1", floor.crowd - 1 - n),
            )
            holder = f"w{n}"
        assert perf_counter() - began < 10
