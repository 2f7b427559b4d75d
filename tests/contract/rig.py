"""What a rig gives back, and the one place where it is held against what was expected."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from flowengine.call.record import CallRecord
from flowengine.flow.document import Flow, parse
from flowengine.routing.directory import Catalog, PublishedFlow, User
from tests.contract.cases import Case

ACCOUNT = "acc_contract"


@dataclass
class Phone:
    """What an agent's telephone saw."""

    rang: int = 0
    cancelled: int = 0


@dataclass
class Ran:
    """How a case went on one switch."""

    record: CallRecord | None
    status: int
    heard: frozenset[str]
    """Names of the tones the caller heard."""
    ended_by: str
    phones: dict[str, Phone] = field(default_factory=dict)
    messages_s: tuple[float, ...] = ()
    """Lengths of the messages kept, as the library holds them."""
    talks_s: tuple[float, ...] = ()
    voice: float = 1.0
    """How much of the sound of the messages is the caller's voice, 0 to 1, where a rig can hear it."""
    crash: str = ""


class Rig(Protocol):
    """Plays cases on one switch."""

    async def run(self, cases: Iterable[Case]) -> dict[str, Ran]:
        """Play them; the results by name of the case."""

    async def leaks(self) -> list[str]:
        """Everything still there on the switch, at the desk and in the engine. Nothing should be."""


@dataclass(frozen=True)
class Placed:
    """A case with its number, its flow and its people, none of which another case has."""

    case: Case
    number: str
    flow: Flow
    users: dict[str, User]
    group: str

    def published(self) -> PublishedFlow:
        return PublishedFlow(f"flw_{self.case.name}", ACCOUNT, self.flow.sha256(), self.flow)


def place(cases: Iterable[Case]) -> list[Placed]:
    """Give each case a number and people of its own, so that all may run at the same time."""
    placed = []
    for at, case in enumerate(cases):
        document = dict(case.flow)
        states = {name: dict(state) for name, state in document["states"].items()}
        for state in states.values():
            for kind in ("user", "group"):
                if kind in state:
                    state[kind] = f"c{at}-{state[kind]}"
        users = {name: User(f"c{at}-{name}", (f"PJSIP/c{at}-{name}",)) for name in case.agents}
        placed.append(
            Placed(case, f"+8150555501{at:02}", parse(document | {"states": states}), users, f"c{at}-team")
        )
    return placed


def catalog(placed: Iterable[Placed]) -> Catalog:
    """The catalogue in which all these cases live."""
    placed = list(placed)
    return Catalog(
        numbers={
            each.number: each.published() if each.case.published else None
            for each in placed
            if each.case.known
        },
        users={ACCOUNT: {user.name: user for each in placed for user in each.users.values()}},
        groups={ACCOUNT: {each.group: tuple(user.name for user in each.users.values()) for each in placed}},
    )


def path_of(record: CallRecord) -> tuple[str, ...]:
    """The path as `state:outcome`."""
    return tuple(f"{visit.state}:{visit.outcome}" for visit in record.path)


def verify(case: Case, ran: Ran) -> None:
    """Raise AssertionError for the first thing that differs from what the case expects."""
    expect = case.expect
    assert not ran.crash, ran.crash
    assert ran.status == expect.status
    if ran.record is None:
        assert not expect.path, "the call was refused"
        return
    assert path_of(ran.record) == expect.path
    if expect.disposition is not None:
        assert ran.record.disposition == expect.disposition
    assert set(expect.hears) <= ran.heard, f"heard only {sorted(ran.heard)}"
    assert not set(expect.never_hears) & ran.heard
    if expect.rung is not None:
        assert sorted(name for name, phone in ran.phones.items() if phone.rang) == sorted(expect.rung)
    for name in expect.cancelled:
        assert ran.phones[name].cancelled, f"the telephone of {name} was left ringing"
    if expect.ended_by is not None:
        assert ran.ended_by == expect.ended_by
    _lengths(ran.messages_s, expect.message_s)
    assert ran.voice > 0.9, "the message does not hold what the caller said"
    _lengths(ran.talks_s, expect.talk_s)


def _lengths(kept: tuple[float, ...], bounds: tuple[float, float] | None) -> None:
    if bounds is None:
        assert not kept
        return
    assert len(kept) == 1
    assert bounds[0] <= kept[0] <= bounds[1]
