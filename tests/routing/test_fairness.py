"""A company over a whole day, told by hypothesis: nobody in two calls, nobody overtaken, nobody lost."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
)

from flowengine.call import commands
from flowengine.call.causes import CALL_REJECTED, NORMAL, SUBSCRIBER_ABSENT, USER_BUSY
from flowengine.call.commands import DeskCommand
from flowengine.call.events import AgentsOffered, Event, LineFull, LineJoined, LineMoved
from flowengine.flow.document import Flow, GroupTransfer, UserTransfer, WaitingLine
from flowengine.routing.agents import Wish
from tests.call.driving import flow, with_goodbye
from tests.call.weather import thorough
from tests.routing.office import Office

USERS = {"aki": 2, "ben": 1, "chie": 1}
GROUPS = {"sales": ("chie", "aki", "ben"), "night": ("ben", "chie")}
LINE = WaitingLine(max_waiting=2, music_cycles=2)


Target = tuple[str, str]
"""user or group, and a name."""


def members_of(kind: str, target: str) -> list[str]:
    return [target] if kind == "user" else list(GROUPS[target])


class Rules:
    """What the desk must keep to, written down a second time and in another way.

    Attributes:
        line_up: users by place: who went online first is first, who answers goes to the end.
        holder: the call each user is reserved for or talking in.
        lines: the calls waiting for each user, first come first.
    """

    def __init__(self) -> None:
        self.online: set[str] = set()
        self.line_up: list[str] = []
        self.holder: dict[str, str] = {}
        self.lines: dict[Target, list[str]] = {
            **{("user", user): [] for user in USERS},
            **{("group", group): [] for group in GROUPS},
        }
        self.since: dict[str, int] = {}
        self.wishes: dict[str, Wish] = dict.fromkeys(USERS, "work")
        self.question: dict[tuple[str, str], DeskCommand] = {}

    def device(self, endpoint: str, is_reachable: bool, office: Office) -> None:
        [user] = [name for name, devices in office.devices.items() if endpoint in devices]
        before = self.is_online(user, office)
        (self.online.add if is_reachable else self.online.discard)(endpoint)
        if is_reachable and not before:
            self.to_the_end(user)

    def is_online(self, user: str, office: Office) -> bool:
        in_reach = any(device in self.online for device in office.devices[user])
        return in_reach and self.wishes[user] != "leave"

    def wishes_for(self, user: str, wish: Wish, office: Office) -> None:
        before = self.is_online(user, office)
        self.wishes[user] = wish
        if self.is_online(user, office) and not before:
            self.to_the_end(user)

    def is_taken(self, user: str) -> bool:
        return user in self.holder or self.wishes[user] == "pause"

    def line_of(self, call: str, request: str) -> list[str]:
        place = self.question[call, request]
        assert isinstance(place, commands.JoinLine)
        return self.lines[place.kind, place.target]

    def to_the_end(self, user: str) -> None:
        if user in self.line_up:
            self.line_up.remove(user)
        self.line_up.append(user)


class Company(RuleBasedStateMachine):
    """Callers, agents and their telephones do as they please."""

    def __init__(self) -> None:
        super().__init__()
        self.book = Rules()
        self.office = Office(USERS, GROUPS, books=self)

    # The desk's two directions, watched

    def asked(self, call: str, command: DeskCommand) -> None:
        book = self.book
        match command:
            case commands.OfferAgents(request=request):
                book.question[call, request] = command
            case commands.JoinLine(request=request):
                book.question[call, request] = command
            case commands.LeaveLine(request=request):
                book.line_of(call, request).remove(call)
            case commands.AgentTaken(user=user):
                assert book.holder[user] == call
                book.to_the_end(user)
            case commands.AgentReleased(user=user):
                assert book.holder.pop(user) == call

    def told(self, call: str, event: Event) -> None:
        book = self.book
        match event:
            case LineJoined(request=request, position=position):
                place = book.question[call, request]
                assert isinstance(place, commands.JoinLine)
                line = book.line_of(call, request)
                line.append(call)
                book.since[call] = len(book.since)
                assert position == len(line) <= place.max_waiting
            case LineFull(request=request):
                place = book.question[call, request]
                assert isinstance(place, commands.JoinLine)
                assert len(book.line_of(call, request)) == place.max_waiting
            case LineMoved(request=request, position=position):
                assert book.line_of(call, request)[position - 1] == call
            case AgentsOffered(request=request):
                self.offered(call, book.question.pop((call, request)), event)
            case _:
                raise AssertionError(event)

    def offered(self, call: str, question: DeskCommand, offer: AgentsOffered) -> None:
        book = self.book
        offered = [agent.user for agent in offer.agents]
        match question:
            case commands.JoinLine(kind=kind, target=target):
                assert book.lines[kind, target].pop(0) == call, "overtaken in the line"
                members, everybody = members_of(kind, target), False
                for other in self.first_in_line_for(offered):
                    assert book.since[call] < book.since[other], "overtaken from another line"
            case commands.OfferAgents(kind=kind, target=target, ringing=ringing, tried=tried):
                members = [user for user in members_of(kind, target) if user not in tried]
                everybody = kind == "user" or ringing == "parallel"
                assert not self.first_in_line_for(offered), "a new caller overtook the line"
            case _:
                raise AssertionError(question)
        there = [user for user in book.line_up if user in members and book.is_online(user, self.office)]
        free = [user for user in there if not book.is_taken(user)]
        assert offered == (free if everybody else free[:1]), "not the order of the line"
        assert offer.busy == len(there) - len(free)
        assert offer.unreachable == len(members) - len(there)
        for agent in offer.agents:
            assert agent.endpoints == tuple(
                device for device in self.office.devices[agent.user] if device in book.online
            )
            book.holder[agent.user] = call

    def first_in_line_for(self, users: list[str]) -> list[str]:
        """The calls at the head of a line whose turn one of these users is."""
        lines = self.book.lines.items()
        return [line[0] for target, line in lines if line and set(members_of(*target)) & set(users)]

    # What people do

    calls = Bundle("calls")
    devices = st.sampled_from([f"PJSIP/{name}" for name in ("aki", "aki-2", "ben", "chie")])

    @initialize(online=st.permutations(["PJSIP/aki", "PJSIP/ben", "PJSIP/chie"]))
    def morning(self, online: list[str]) -> None:
        for endpoint in online:
            self.device(endpoint, True)

    @rule(endpoint=devices, is_reachable=st.booleans())
    def device(self, endpoint: str, is_reachable: bool) -> None:
        self.book.device(endpoint, is_reachable, self.office)
        self.office.reachable(endpoint, is_reachable)

    @rule(
        target=calls, user=st.sampled_from(["aki", "ben", "aki"]), queue=st.sampled_from([LINE, None, LINE])
    )
    def calls_a_user(self, user: str, queue: WaitingLine | None) -> str:
        return self.office.arrives(
            _then_the_night(ring=UserTransfer(user=user, queue=queue, connections=_NIGHT))
        )

    @rule(user=st.sampled_from(sorted(USERS)), wish=st.sampled_from(["work", "work", "pause", "leave"]))
    def a_user_signs_in_pauses_or_leaves(self, user: str, wish: Wish) -> None:
        self.book.wishes_for(user, wish, self.office)
        self.office.wishes(user, wish)

    @rule(target=calls, sequential=st.booleans(), queue=st.sampled_from([LINE, None]))
    def calls_the_group(self, sequential: bool, queue: WaitingLine | None) -> str:
        ring = GroupTransfer(
            group="sales",
            queue=queue,
            ringing="sequential" if sequential else "parallel",
            ring_timeout_s=10,
            connections=_NIGHT,
        )
        return self.office.arrives(_then_the_night(ring=ring))

    @precondition(lambda self: self._ringing())
    @rule(
        data=st.data(),
        what=st.sampled_from(["answers", "answers", "rings", "declines", "is engaged", "is gone"]),
    )
    def a_telephone(self, data: st.DataObject, what: str) -> None:
        call, phone = data.draw(st.sampled_from(self._ringing()))
        name = phone.removeprefix("PJSIP/")
        match what:
            case "answers":
                self.office.does(call, lambda its: its.rings(name).picks_up(name))
            case "rings":
                self.office.does(call, lambda its: its.rings(name))
            case _:
                cause = {"declines": CALL_REJECTED, "is engaged": USER_BUSY, "is gone": SUBSCRIBER_ABSENT}[
                    what
                ]
                self.office.does(call, lambda its: its.ends(name, cause))

    @precondition(lambda self: self._talking())
    @rule(data=st.data())
    def an_agent_hangs_up(self, data: st.DataObject) -> None:
        call, phone = data.draw(st.sampled_from(self._talking()))
        self.office.does(call, lambda its: its.ends(phone.removeprefix("PJSIP/"), NORMAL))

    @rule(call=consumes(calls))
    def the_caller_hangs_up(self, call: str) -> None:
        if call in self.office.calls:
            self.office.does(call, lambda its: its.hangs_up())

    @rule(call=calls)
    def a_sound_ends(self, call: str) -> None:
        if call in self.office.calls and self.office.calls[call].playing:
            self.office.does(call, lambda its: its.prompt_ends())

    @rule(seconds=st.sampled_from([1, 10, 30]))
    def time_passes(self, seconds: int) -> None:
        self.office.waits(seconds)

    # What must hold at any moment

    @invariant()
    def nobody_is_in_two_calls(self) -> None:
        held = [(user, name) for name, call in self.office.calls.items() for user in call.audit.reserved]
        assert len({user for user, _ in held}) == len(held)
        assert dict(held) == self.book.holder
        assert sorted(self.office.desk.held) == sorted(self.book.holder)

    @invariant()
    def nobody_is_lost(self) -> None:
        waiting = {
            name
            for name, call in self.office.calls.items()
            if call.audit.joined & set(call.audit.open) - call.audit.left
        }
        assert set(self.office.desk.waiting) == waiting
        assert sorted(call for line in self.book.lines.values() for call in line) == sorted(waiting)

    @invariant()
    def nobody_waits_in_vain(self) -> None:
        for target, line in self.book.lines.items():
            if line:
                there = [user for user in members_of(*target) if self.book.is_online(user, self.office)]
                assert there, f"{target} is away and somebody waits"
                assert all(map(self.book.is_taken, there)), f"{target} is free and somebody waits"

    @invariant()
    def nobody_crashed(self) -> None:
        for call in [*self.office.calls.values(), *self.office.finished.values()]:
            assert call.machine.crash == ""

    def teardown(self) -> None:
        for name in list(self.office.calls):
            self.office.does(name, lambda its: its.hangs_up())
        assert self.office.calls == {}
        assert self.office.desk.held == ()
        assert self.office.desk.waiting == ()

    def _ringing(self) -> list[tuple[str, str]]:
        return [
            (name, phone)
            for name, call in self.office.calls.items()
            if not any(call.audit.reserved.values())
            for phone in call.phones
        ]

    def _talking(self) -> list[tuple[str, str]]:
        return [
            (name, phone)
            for name, call in self.office.calls.items()
            if any(call.audit.reserved.values())
            for phone in call.phones
        ]


_NIGHT: dict[str, str | None] = {"timeout": "night", "unavailable": "night", "busy": "night"}


def _then_the_night(ring: UserTransfer | GroupTransfer) -> Flow:
    """Ring, then the night group one by one, then goodbye."""
    return with_goodbye(flow(ring=ring, night=GroupTransfer(group="night", ringing="sequential")), "Bye")


TestCompany = Company.TestCase
TestCompany.settings = settings(thorough, stateful_step_count=40)
