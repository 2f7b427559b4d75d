"""Any day: random flows, telephones and callers, many at once. Every call ends, nothing is left, and it replays."""

import string

from hypothesis import given
from hypothesis import strategies as st

from flowengine.call.trace import replay
from flowengine.flow.document import Flow
from simulator.phones import (
    BUSY,
    DEAD,
    SILENT,
    Answered,
    Behaviour,
    HangUp,
    Hear,
    Mute,
    Press,
    Speak,
    Step,
    Wait,
    seconds,
)
from simulator.timeline import narrate
from tests.flow.strategies import USERS, WORDS, Account, valid_flows
from tests.simulator.engine import Engine, answers

MOMENTS = st.sampled_from([0.0, 0.001, 0.5, 1.0, 5.0, 20.0, 60.0])

STEPS: st.SearchStrategy[Step] = st.one_of(
    MOMENTS.map(lambda s: Wait(seconds(s))),
    MOMENTS.map(lambda s: Speak(seconds(s))),
    st.text(string.digits + "*#", min_size=1, max_size=4).map(Press),
    st.builds(Hear, WORDS | st.just("tone:beep"), st.booleans()),
    st.sampled_from([HangUp(), Mute(), Answered()]),
)

BEHAVIOURS = st.one_of(
    st.sampled_from([SILENT, BUSY, DEAD]),
    st.builds(answers, MOMENTS, st.none() | MOMENTS),
    MOMENTS.map(lambda s: Behaviour(declines_after_us=seconds(s))),
)


@st.composite
def days(draw: st.DrawFn) -> Engine:
    """An installation with some calls to come, some telephones away or taken away in between."""
    flow: Flow = draw(valid_flows(max_states=6))
    phones = {user: draw(st.lists(BEHAVIOURS, min_size=1, max_size=3)) for user in USERS}
    engine = Engine(
        flow,
        phones,
        {name: tuple(members) for name, members in Account().groups.items()},
        latency_us=draw(st.sampled_from([0, 1_000, 300_000])),
        key_us=draw(st.sampled_from([0, 100_000])),
        missing=draw(st.lists(WORDS, max_size=1)),
    )
    for user in draw(st.lists(st.sampled_from(USERS), unique=True)):
        phone = engine.phones[user]
        if draw(st.booleans()):
            phone.registered = False
        else:
            engine.world.after(
                seconds(draw(MOMENTS)), lambda at: engine.world.register(at, False), phone.endpoint
            )
    for _ in range(draw(st.integers(1, 6))):
        engine.call(*draw(st.lists(STEPS, max_size=6)), at_s=draw(MOMENTS))
    return engine


@given(engine=days())
def test_every_call_ends_leaves_nothing_and_replays(engine: Engine) -> None:
    planned = engine.world.next_due is not None
    calls = engine.run()
    assert planned
    assert calls or engine.simulation.refused
    for call in calls:
        machine, record = call.machine, call.record
        assert record is not None
        assert machine.crash == ""
        assert all("end not confirmed" not in fault for fault in record.faults)
        for visit in record.path:
            assert visit.outcome in ("", *engine.flow.states[visit.state].outcomes())
        assert replay(call.trace()) is None
        lines = narrate(engine.flow, [entry.event for entry in call.journal])
        assert lines[-1].text == f"over: {record.disposition} ({record.end_reason})"
        assert [line.at_us for line in lines] == sorted(line.at_us for line in lines)
    kept = [f"{call.id}.{each.id}" for call in calls if call.record for each in call.record.recordings]
    library = [f"{call}.{command.recording}" for call, command in engine.simulation.kept]
    assert sorted(kept) == sorted(library)


@given(engine=days())
def test_no_agent_is_on_two_calls(engine: Engine) -> None:
    """The desk's reservations and the telephones agree: nobody is dialled while talking."""
    world = engine.world
    while world.next_due is not None:
        world.run(world.next_due)
        up = [leg.endpoint for leg in world.legs.values() if leg.up and not leg.inbound and not leg.leaving]
        assert len(up) == len(set(up))
