"""Agents and callers who follow distributions, on the real machine and desk."""

from collections.abc import Sequence

import pytest

from flowengine.flow.document import GroupTransfer, Ivr, Say, State, UserTransfer, WaitingLine
from flowengine.routing.directory import Catalog, PublishedFlow, User
from simulator.chance import FOREVER, Source
from simulator.people import Agent, Customer
from simulator.phones import Answered, Press, Step, seconds
from simulator.run import RunningCall, Simulation
from simulator.sounds import Sounds
from simulator.world import World
from tests.simulator.engine import NUMBER, flow_of

LINE = GroupTransfer(
    group="team", ringing="sequential", ring_timeout_s=20, queue=WaitingLine(max_waiting=5, music_cycles=100)
)


def always(value_s: float) -> Source:
    return lambda: seconds(value_s)


class Floor:
    """A centre by hand: agents `a`, `b`, ... and customers who call when told."""

    def __init__(self, *agents: tuple[float, float], latency_s: float = 0, **states: State) -> None:
        self.world = World(Sounds(), latency_us=seconds(latency_s), key_us=0)
        self.start = self.world.now
        self.customers: dict[str, Customer] = {}
        users = "abcdef"[: len(agents)]
        self.agents = [
            Agent(self.world, f"PJSIP/{user}", self.customers, always(delay_s), always(talk_s))
            for user, (delay_s, talk_s) in zip(users, agents, strict=True)
        ]
        flow = flow_of(**(states or {"line": LINE}))
        catalog = Catalog(
            {NUMBER: PublishedFlow("flow", "acc", "v1", flow)},
            {"acc": {user: User(user, (f"PJSIP/{user}",)) for user in users}},
            {"acc": {"team": tuple(users)}},
        )
        self.simulation = Simulation(catalog, self.world)

    def call(
        self,
        at_s: float = 0.0,
        patience_s: float | None = None,
        talk_s: float | None = None,
        script: Sequence[Step] = (),
    ) -> Customer:
        patience_us = FOREVER if patience_s is None else seconds(patience_s)
        talk = None if talk_s is None else always(talk_s)
        customer = Customer(self.world, script, patience_us, talk)
        number = f"+99900000{len(self.customers):04d}"
        self.customers[number] = customer

        def dial(_: object) -> None:
            customer.call(NUMBER, number)

        self.world.after(seconds(at_s), dial, None)
        return customer

    def run(self) -> list[RunningCall]:
        self.world.run()
        assert self.simulation.leaks() == ()
        return self.simulation.done

    def wait_s(self, customer: Customer) -> float | None:
        if customer.reached_at is None:
            return None
        return (customer.reached_at - customer.dialled_at) / 1e6


def ends(call: RunningCall) -> str:
    assert call.record is not None
    return call.record.disposition


def lasts_s(call: RunningCall) -> float:
    record = call.record
    assert record is not None
    assert record.ended_at is not None
    return (record.ended_at - record.arrived_at) / 1e6


def test_an_agent_picks_up_after_the_delay_and_hangs_up_after_the_talk() -> None:
    floor = Floor((3, 60))
    customer = floor.call()
    [call] = floor.run()
    assert floor.wait_s(customer) == 3
    assert ends(call) == "answered"
    assert lasts_s(call) == 63


def test_a_customer_can_bring_the_length_of_the_talk() -> None:
    floor = Floor((0, 60))
    floor.call(talk_s=7)
    [call] = floor.run()
    assert lasts_s(call) == 7


def test_who_has_no_patience_left_hangs_up_in_the_line() -> None:
    floor = Floor((0, 60))
    floor.call()
    impatient = floor.call(at_s=1, patience_s=10)
    patient = floor.call(at_s=2, patience_s=70)
    _, second, _ = sorted(floor.run(), key=lambda call: int(call.id.removeprefix("call-")))
    assert impatient.gave_up
    assert ends(second) == "abandoned"
    assert lasts_s(second) == 10
    assert floor.wait_s(impatient) is None
    assert floor.wait_s(patient) == 58
    assert not patient.gave_up


def test_patience_ends_with_the_ringing_and_not_with_the_line() -> None:
    """Who is put through has still to be spoken to."""
    floor = Floor((15, 60))
    customer = floor.call(patience_s=10)
    [call] = floor.run()
    assert customer.gave_up
    assert ends(call) == "abandoned"


def test_who_is_spoken_to_does_not_lose_patience() -> None:
    floor = Floor((2, 600))
    customer = floor.call(patience_s=3)
    floor.run()
    assert not customer.gave_up
    assert floor.wait_s(customer) == 2


def test_of_two_who_pick_up_one_talks() -> None:
    floor = Floor((3, 60), (3, 60), line=GroupTransfer(group="team", ringing="parallel"))
    first, second = floor.call(), floor.call(at_s=120)
    calls = floor.run()
    assert [lasts_s(call) for call in calls] == [63, 63]
    assert [floor.wait_s(first), floor.wait_s(second)] == [3, 3]
    assert all(agent.leg is None for agent in floor.agents)


def test_a_script_goes_through_the_menu() -> None:
    menu = Ivr(prompt=Say(say="For the team, press 1."), connections={"1": "line", "timeout": None})
    floor = Floor((4, 10), menu=menu, line=LINE)
    customer = floor.call(script=(Answered(), Press("1")))
    [call] = floor.run()
    assert floor.wait_s(customer) == 4
    assert ends(call) == "answered"


def test_a_telephone_that_is_in_use_is_busy() -> None:
    """Two users share one telephone: the desk cannot know, the telephone does."""
    floor = Floor((0, 60))
    catalog = Catalog(
        floor.simulation.catalog.numbers,
        {"acc": {"x": User("x", ("PJSIP/a",)), "y": User("y", ("PJSIP/a",))}},
        {"acc": {"team": ("x", "y")}},
    )
    floor.simulation.catalog = catalog
    floor.simulation.desk.renew(catalog, floor.world.now)
    floor.call()
    floor.call(at_s=5)
    second, first = floor.run()
    assert ends(first) == "answered"
    assert ends(second) == "missed"
    assert lasts_s(second) == pytest.approx(0, abs=2)


def test_an_unknown_caller_is_listened_to_for_ever() -> None:
    """Somebody who is no customer of this centre: the agent waits for them to hang up."""
    floor = Floor((0, 60), line=UserTransfer(user="a"))
    customer = floor.call(patience_s=30)
    floor.customers.clear()
    [call] = floor.run()
    assert ends(call) == "answered"
    assert lasts_s(call) == 30
    assert customer.reached_at is None


@pytest.mark.parametrize("patience_s", [None, 5.15, 30])
def test_who_picks_up_while_the_engine_gives_up_does_not_talk(patience_s: float | None) -> None:
    """The switch takes 0.2 s to stop the ringing, and the agent answers in between."""
    line = GroupTransfer(group="team", ringing="sequential", ring_timeout_s=5)
    floor = Floor((4.95, 60), (1, 60), latency_s=0.2, line=line)
    customer = floor.call(patience_s=patience_s)
    [call] = floor.run()
    assert customer.gave_up == (patience_s == 5.15)
    if patience_s == 5.15:
        assert ends(call) == "abandoned"
        assert customer.talked_us == 0
    else:
        assert call.record is not None
        assert call.record.agents == ("b",)
        assert customer.talked_us == seconds(60)
        wait_s = floor.wait_s(customer)
        assert wait_s is not None
        assert 6 < wait_s < 7
