"""How many simulated calls a second one core carries: whole calls through the real machine, desk and world.

The flow is a menu, a group of two that rings in line order, and voicemail. Calls come one a minute of virtual time,
so that each finds both agents free. Journals are off, as for a flow tried with a million callers. The baseline is
the bare loop over a heap with as many entries as the simulation used.
"""

import gc
from collections.abc import Iterator
from heapq import heappop, heappush

from bench import Result, median_rate
from flowengine.flow.document import Flow, GroupTransfer, Ivr, Say, Voicemail
from flowengine.routing.directory import Catalog, PublishedFlow, User
from simulator.phones import SILENT, AgentPhone, Behaviour, Caller, Hear, Press, Speak, Step, Wait, seconds
from simulator.run import RunningCall, Simulation
from simulator.world import World

CALLS = 3_000
NUMBER = "+815055550100"
FLOW = Flow(
    format="flowengine/1",
    name="Bench",
    start="menu",
    states={
        "menu": Ivr(prompt=Say(say="For sales, press 1."), connections={"1": "sales", "timeout": "message"}),
        "sales": GroupTransfer(
            group="sales",
            ringing="sequential",
            ring_timeout_s=15,
            connections={"timeout": "message", "unavailable": "message", "busy": "message"},
        ),
        "message": Voicemail(prompt=Say(say="Please leave a message after the tone.")),
    },
)
SCRIPT: tuple[Step, ...] = (
    Wait(seconds(0.5)),
    Press("1"),
    Hear("tone:beep", to_end=True),
    Speak(seconds(7)),
    Press("#"),
)


def calls(
    agent: Behaviour, disposition: str, *, users: tuple[str, ...] = ("ann", "bob"), journaling: bool = False
) -> tuple[int, int]:
    """Run `CALLS` calls; returns how many ended as they should, and how many entries the heap had."""
    world = World(latency_us=0)
    for user in users:
        AgentPhone(world, f"PJSIP/{user}", [agent])
    catalog = Catalog(
        {NUMBER: PublishedFlow("flow", "acc", "v1", FLOW)},
        {"acc": {user: User(user, (f"PJSIP/{user}",)) for user in users}},
        {"acc": {"sales": users}},
    )
    ended = 0

    def count(call: RunningCall) -> None:
        nonlocal ended
        assert call.record is not None
        ended += call.record.disposition == disposition

    simulation = Simulation(catalog, world, journaling=journaling, on_done=count)

    def arrive(left: int) -> None:
        Caller(world, SCRIPT).call(NUMBER, "+819055550123")
        if left:
            world.after(seconds(60), arrive, left - 1)

    arrive(CALLS - 1)
    world.run()
    assert simulation.leaks() == ()
    return ended, world.entries


def bare_heap(entries: int) -> int:
    """As many entries through a heap that holds a hundred, each calling a function that does nothing."""

    def nothing(_: object) -> None:
        pass

    heap = [(at, at, nothing, None) for at in range(100)]
    for seq in range(100, entries + 100):
        now, _, what, of = heappop(heap)
        what(of)
        heappush(heap, (now + 100, seq, what, of))
    return entries


def measure() -> Iterator[Result]:
    """Calls a second, by what the agents do."""
    gc.collect()
    gc.freeze()
    answers = Behaviour(answers_after_us=seconds(4), talks_us=seconds(20))
    _, entries = calls(SILENT, "message")
    baseline = median_rate(lambda: bare_heap(entries)) / entries * CALLS
    one, two = ("ann",), ("ann", "bob")
    for what, agent, disposition, users, journaling in (
        ("menu, the agent rings out, voicemail", SILENT, "message", one, False),
        ("menu, two agents ring out one by one, voicemail", SILENT, "message", two, False),
        ("menu, the first agent answers", answers, "answered", two, False),
        ("the first, with journals and digests", SILENT, "message", one, True),
    ):

        def run(
            agent: Behaviour = agent,
            disposition: str = disposition,
            users: tuple[str, ...] = users,
            journaling: bool = journaling,
        ) -> int:
            ended, _ = calls(agent, disposition, users=users, journaling=journaling)
            assert ended == CALLS
            return ended

        rate = median_rate(run)
        yield Result(
            f"simulated calls: {what}", rate, "calls/s", "bare heap loop", rate / baseline, f"{CALLS:,} calls"
        )
