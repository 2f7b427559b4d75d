"""The desk in memory, by example: reservation, line order, waiting lines."""

from flowengine.call import commands
from flowengine.call.events import Agent, AgentsOffered, Event, LineFull, LineJoined, LineMoved
from flowengine.routing.desk import MemoryDesk
from flowengine.routing.directory import Catalog, User
from tests.call.driving import T0

ACCOUNT = "acc"
EVERYBODY = ("aki", "ben", "chie")


class Told:
    """A desk with three users of one device each in one group, and everything it delivered."""

    def __init__(self, online: tuple[str, ...] = EVERYBODY, group: tuple[str, ...] = EVERYBODY) -> None:
        users = {name: User(name, (f"PJSIP/{name}",)) for name in EVERYBODY}
        self.catalog = Catalog(users={ACCOUNT: users}, groups={ACCOUNT: {"sales": group}})
        self.told: list[tuple[str, Event]] = []
        self.desk = MemoryDesk(lambda call, event: self.told.append((call, event)), self.catalog)
        for name in online:
            self.online(name)

    def online(self, name: str, is_reachable: bool = True) -> None:
        self.desk.reachable(f"PJSIP/{name}", is_reachable, T0)

    def tells(self, call: str, command: commands.DeskCommand) -> list[tuple[str, Event]]:
        """What the desk says to this, and to whom."""
        self.told.clear()
        self.desk.perform(ACCOUNT, call, command, T0)
        return list(self.told)

    def waiting(self) -> tuple[str, ...]:
        return self.desk.waiting

    def offers(self, call: str, command: commands.OfferAgents) -> tuple[list[str], int, int]:
        """Who is offered, how many are busy, how many out of reach."""
        [(to, event)] = self.tells(call, command)
        assert to == call
        assert isinstance(event, AgentsOffered)
        assert event.request == command.request
        return [agent.user for agent in event.agents], event.busy, event.unreachable


def ask(target: str, request: str = "ask-1", tried: tuple[str, ...] = ()) -> commands.OfferAgents:
    return commands.OfferAgents(request, "user", target, "parallel", tried)


def ask_group(ringing: str = "sequential", tried: tuple[str, ...] = ()) -> commands.OfferAgents:
    way = "parallel" if ringing == "parallel" else "sequential"
    return commands.OfferAgents("ask-1", "group", "sales", way, tried)  # type: ignore[arg-type]


def join(target: str, max_waiting: int = 5, request: str = "line-1") -> commands.JoinLine:
    return commands.JoinLine(request, "user", target, max_waiting)


def release(user: str, outcome: str = "no_answer") -> commands.AgentReleased:
    return commands.AgentReleased(user, outcome)  # type: ignore[arg-type]


def turn(call: str, *users: str, request: str = "line-1", unreachable: int = 0) -> tuple[str, Event]:
    agents = tuple(Agent(user, (f"PJSIP/{user}",)) for user in users)
    return call, AgentsOffered(T0, request, agents, 0, unreachable)


def test_offers_a_user_with_the_devices_in_reach() -> None:
    users = {"aki": User("aki", ("PJSIP/aki", "PJSIP/aki-web", "PJSIP/aki-car"))}
    told: list[Event] = []
    desk = MemoryDesk(lambda _, event: told.append(event), Catalog(users={ACCOUNT: users}))
    desk.reachable("PJSIP/aki-web", True, T0)
    desk.reachable("PJSIP/aki", True, T0)
    desk.perform(ACCOUNT, "c1", ask("aki"), T0)
    assert told == [AgentsOffered(T0, "ask-1", (Agent("aki", ("PJSIP/aki", "PJSIP/aki-web")),))]


def test_a_reserved_agent_is_busy_for_everybody_else() -> None:
    it = Told()
    assert it.offers("c1", ask("aki")) == (["aki"], 0, 0)
    assert it.desk.held == ("aki",)
    assert it.offers("c2", ask("aki")) == ([], 1, 0)
    assert it.offers("c3", ask_group("parallel")) == (["ben", "chie"], 1, 0)


def test_a_released_agent_is_free_again() -> None:
    it = Told()
    it.tells("c1", ask("aki"))
    assert it.tells("c1", release("aki")) == []
    assert it.desk.held == ()
    assert it.offers("c2", ask("aki")) == (["aki"], 0, 0)


def test_only_the_call_that_holds_an_agent_can_release_them() -> None:
    it = Told()
    it.tells("c1", ask("aki"))
    it.tells("c2", release("aki"))
    assert it.desk.held == ("aki",)


def test_an_unknown_user_or_group_is_nobody() -> None:
    it = Told()
    assert it.offers("c1", ask("nobody")) == ([], 0, 1)
    assert it.offers("c1", commands.OfferAgents("ask-1", "group", "none")) == ([], 0, 0)


def test_users_of_another_account_are_not_ours() -> None:
    it = Told()
    it.told.clear()
    it.desk.perform("other", "c1", ask("aki"), T0)
    [(_, event)] = it.told
    assert isinstance(event, AgentsOffered)
    assert event.agents == ()


def test_who_went_online_first_is_first() -> None:
    it = Told(online=("chie", "aki", "ben"))
    assert it.offers("c1", ask_group()) == (["chie"], 0, 0)
    assert it.offers("c1", ask_group(tried=("chie",))) == (["aki"], 0, 0)


def test_who_was_seen_before_coming_online_has_no_advantage() -> None:
    it = Told(online=())
    it.tells("c0", ask_group())
    for name in ("ben", "chie", "aki"):
        it.online(name)
    assert it.offers("c1", ask_group("parallel"))[0] == ["ben", "chie", "aki"]


def test_who_answers_goes_to_the_end_at_once() -> None:
    it = Told()
    it.tells("c1", ask("aki"))
    it.tells("c1", commands.AgentTaken("aki"))
    it.tells("c1", release("aki", "answered"))
    assert it.offers("c2", ask_group("parallel"))[0] == ["ben", "chie", "aki"]


def test_who_is_rung_without_answering_keeps_the_place() -> None:
    it = Told()
    for outcome in ("no_answer", "rejected", "busy", "cancelled", "unreachable"):
        it.tells("c1", ask("aki"))
        it.tells("c1", release("aki", outcome))
        assert it.offers("c2", ask_group()) == (["aki"], 0, 0)
        it.tells("c2", release("aki"))


def test_going_offline_and_online_again_is_a_new_login() -> None:
    it = Told()
    it.online("aki", False)
    assert it.offers("c1", ask_group("parallel")) == (["ben", "chie"], 0, 1)
    it.desk.call_ended(ACCOUNT, "c1", T0)
    it.online("aki")
    assert it.offers("c2", ask_group("parallel"))[0] == ["ben", "chie", "aki"]


def test_a_second_device_and_a_renewed_registration_keep_the_place() -> None:
    users = {"aki": User("aki", ("A1", "A2")), "ben": User("ben", ("B1",))}
    catalog = Catalog(users={ACCOUNT: users}, groups={ACCOUNT: {"sales": ("aki", "ben")}})
    told: list[Event] = []
    desk = MemoryDesk(lambda _, event: told.append(event), catalog)
    for endpoint, is_reachable in [
        ("A1", 1),
        ("B1", 1),
        ("A2", 1),
        ("A1", 0),
        ("A1", 1),
        ("A1", 1),
        ("A2", 0),
    ]:
        desk.reachable(endpoint, bool(is_reachable), T0)
    desk.perform(ACCOUNT, "c1", ask_group(), T0)
    assert told == [AgentsOffered(T0, "ask-1", (Agent("aki", ("A1",)),))]


def test_a_user_twice_in_a_group_is_one_person() -> None:
    it = Told(group=("aki", "aki", "ben"))
    assert it.offers("c1", ask_group("parallel")) == (["aki", "ben"], 0, 0)
    assert it.offers("c2", ask_group("parallel")) == ([], 2, 0)


def test_a_question_asked_again_has_the_same_answer() -> None:
    it = Told()
    assert it.tells("c1", ask("aki")) == it.tells("c1", ask("aki"))


def test_a_place_asked_for_again_is_the_same_place() -> None:
    it = Told()
    it.tells("c1", ask("aki"))
    assert it.tells("c2", join("aki")) == [("c2", LineJoined(T0, "line-1", 1))]
    it.tells("c3", join("aki"))
    assert it.tells("c2", join("aki")) == [("c2", LineJoined(T0, "line-1", 1))]
    assert it.tells("c3", join("aki", max_waiting=1)) == [("c3", LineJoined(T0, "line-1", 2))]
    assert it.waiting() == ("c2", "c3")


def test_callers_wait_in_order_and_have_their_turn_one_by_one() -> None:
    it = Told()
    it.tells("c1", ask("aki"))
    for at, call in enumerate(("c2", "c3", "c4"), start=1):
        assert it.tells(call, join("aki")) == [(call, LineJoined(T0, "line-1", at))]
    assert it.waiting() == ("c2", "c3", "c4")
    moved = [("c3", LineMoved(T0, "line-1", 1)), ("c4", LineMoved(T0, "line-1", 2))]
    assert it.tells("c1", release("aki", "answered")) == [turn("c2", "aki"), *moved]
    assert it.waiting() == ("c3", "c4")
    assert it.tells("c2", release("aki")) == [turn("c3", "aki"), ("c4", LineMoved(T0, "line-1", 1))]


def test_a_new_caller_does_not_overtake_the_line() -> None:
    it = Told()
    it.tells("c1", ask("aki"))
    it.tells("c2", join("aki"))
    it.tells("c1", release("aki"))
    assert it.offers("c9", ask("aki")) == ([], 1, 0)


def test_a_full_line_takes_nobody() -> None:
    it = Told()
    it.tells("c1", ask("aki"))
    it.tells("c2", join("aki", max_waiting=1))
    assert it.tells("c3", join("aki", max_waiting=1)) == [("c3", LineFull(T0, "line-1"))]
    it.tells("c2", commands.LeaveLine("line-1", "abandoned"))
    assert it.tells("c3", join("aki", max_waiting=1)) == [("c3", LineJoined(T0, "line-1", 1))]


def test_lines_of_two_users_are_two_lines() -> None:
    it = Told()
    it.tells("c1", ask("aki"))
    it.tells("c2", ask("ben"))
    it.tells("c3", join("aki", max_waiting=1))
    assert it.tells("c4", join("ben", max_waiting=1)) == [("c4", LineJoined(T0, "line-1", 1))]
    assert it.tells("c2", release("ben")) == [turn("c4", "ben")]


def test_who_left_the_line_has_no_turn() -> None:
    it = Told()
    it.tells("c1", ask("aki"))
    it.tells("c2", join("aki"))
    it.tells("c3", join("aki"))
    it.tells("c2", commands.LeaveLine("line-1", "timeout"))
    assert it.tells("c1", release("aki")) == [turn("c3", "aki")]


def test_joining_when_the_user_has_just_become_free_is_a_turn_at_once() -> None:
    it = Told()
    assert it.tells("c1", join("aki")) == [("c1", LineJoined(T0, "line-1", 1)), turn("c1", "aki")]
    assert it.waiting() == ()


def test_a_user_out_of_reach_ends_the_waiting_of_everybody() -> None:
    it = Told()
    it.tells("c1", ask("aki"))
    it.tells("c2", join("aki"))
    it.tells("c3", join("aki"))
    it.told.clear()
    it.online("aki", False)
    assert it.told == [turn("c2", unreachable=1), turn("c3", unreachable=1)]
    assert it.waiting() == ()


def test_the_end_of_a_call_frees_everybody_and_every_place() -> None:
    it = Told()
    it.tells("c1", ask_group("parallel"))
    it.tells("c2", join("aki"))
    it.tells("c1", join("ben", request="line-7"))
    it.told.clear()
    it.desk.call_ended(ACCOUNT, "c1", T0)
    assert it.told == [turn("c2", "aki")]
    assert it.desk.held == ("aki",)
    assert it.waiting() == ()


def test_the_end_of_a_call_of_another_account_frees_nobody() -> None:
    it = Told()
    it.tells("c1", ask("aki"))
    it.desk.call_ended("other", "c1", T0)
    assert it.desk.held == ("aki",)


def test_reservations_and_lines_outlive_a_new_catalogue() -> None:
    it = Told()
    it.tells("c1", ask("aki"))
    it.tells("c2", join("aki"))
    it.desk.renew(Catalog(users={ACCOUNT: {"aki": User("aki", ("PJSIP/aki", "PJSIP/new"))}}), T0)
    it.desk.reachable("PJSIP/new", True, T0)
    it.told.clear()
    assert it.tells("c1", release("aki")) == [
        ("c2", AgentsOffered(T0, "line-1", (Agent("aki", ("PJSIP/aki", "PJSIP/new")),)))
    ]


def test_an_outside_number_is_in_reach_until_its_user_signs_out() -> None:
    told: list[tuple[str, Event]] = []
    outside = "PJSIP/+819012345678@carrier"
    desk = MemoryDesk(
        lambda call, event: told.append((call, event)),
        Catalog(users={ACCOUNT: {"aki": User("aki", (outside,))}}),
    )
    desk.perform(ACCOUNT, "c1", ask("aki"), T0)
    assert told == [("c1", AgentsOffered(T0, "ask-1", (Agent("aki", (outside,)),)))]
    desk.perform(ACCOUNT, "c1", release("aki"), T0)
    desk.wish(ACCOUNT, "aki", "leave", T0)
    desk.perform(ACCOUNT, "c2", ask("aki"), T0)
    assert told[-1] == ("c2", AgentsOffered(T0, "ask-1", (), 0, 1))
