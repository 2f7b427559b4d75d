"""The tab of a call: which legs cost, from when to when, live and in replay alike."""

from hypothesis import given
from hypothesis import strategies as st

from flowengine.billing.tab import Tab, outside_number
from flowengine.call.commands import Command, Dial
from flowengine.call.events import (
    CALLER,
    CallArrived,
    CallKilled,
    DigitPressed,
    Event,
    LegAnswered,
    LegHungUp,
)

T0 = 1_767_603_600_000_000
S = 1_000_000
OURS = "+815055550100"
ARRIVED = CallArrived(T0, OURS, "+819055550123", "v")
DIALS = {
    "leg-1": "PJSIP/hanako",
    "leg-2": "PJSIP/+819011112222@carrier",
    "leg-3": "PJSIP/+442071838750@carrier",
}


def tab(*steps: tuple[Event, tuple[Command, ...]]) -> Tab:
    made = Tab()
    made.step(ARRIVED, ())
    for event, said in steps:
        made.step(event, said)
    return made


def dial(leg: str) -> Dial:
    return Dial(leg, DIALS[leg], "+819055550123", 20.0)


def test_the_callers_leg_costs_from_the_answer_to_its_end() -> None:
    of = tab((LegAnswered(T0 + 2 * S, CALLER), ()), (LegHungUp(T0 + 65 * S, CALLER, 16), ()))
    [leg] = of.legs.values()
    assert (leg.direction, leg.number) == ("inbound", OURS)
    assert (leg.answered_at, leg.ended_at) == (T0 + 2 * S, T0 + 65 * S)


def test_a_call_that_was_never_answered_costs_nothing() -> None:
    assert tab((LegHungUp(T0 + 9 * S, CALLER, 16), ())).legs == {}


def test_a_number_out_in_the_world_is_a_second_leg_and_a_telephone_of_the_company_is_none() -> None:
    of = tab(
        (DigitPressed(T0 + S, CALLER, "1"), (dial("leg-1"), dial("leg-2"), dial("leg-3"))),
        (LegAnswered(T0 + 3 * S, "leg-1"), ()),
        (LegAnswered(T0 + 4 * S, "leg-2"), ()),
        (LegHungUp(T0 + 4 * S, "leg-3", 26), ()),
        (LegHungUp(T0 + 30 * S, "leg-2", 16), ()),
    )
    assert {id: (leg.direction, leg.number) for id, leg in of.legs.items()} == {
        "leg-2": ("outbound", "+819011112222")
    }
    assert of.legs["leg-2"].ended_at == T0 + 30 * S


def test_a_leg_is_answered_once_and_ends_once() -> None:
    of = tab(
        (LegAnswered(T0 + S, CALLER), ()),
        (LegAnswered(T0 + 5 * S, CALLER), ()),
        (LegHungUp(T0 + 8 * S, CALLER, 16), ()),
        (LegHungUp(T0 + 99 * S, CALLER, 16), ()),
    )
    assert (of.legs[CALLER].answered_at, of.legs[CALLER].ended_at) == (T0 + S, T0 + 8 * S)


def test_a_lost_switch_ends_everything_at_the_last_proof_of_life() -> None:
    of = tab(
        (LegAnswered(T0 + S, CALLER), (dial("leg-2"),)),
        (LegAnswered(T0 + 2 * S, "leg-2"), ()),
        (CallKilled(T0 + 50 * S, "switch_lost"), ()),
    )
    assert {leg.ended_at for leg in of.legs.values()} == {T0 + 50 * S}


def test_an_operators_kick_ends_a_leg_when_the_leg_ends() -> None:
    of = tab((LegAnswered(T0 + S, CALLER), ()), (CallKilled(T0 + 3 * S, "operator"), ()))
    assert of.legs[CALLER].ended_at is None
    of.step(DigitPressed(T0 + 4 * S, CALLER, "1"), ())
    of.close()
    assert of.legs[CALLER].ended_at == T0 + 4 * S, "the last that was heard of the call"


def test_a_call_cut_for_want_of_credit_ends_at_the_instant_it_is_paid_to() -> None:
    of = tab(
        (LegAnswered(T0 + S, CALLER), (dial("leg-2"), dial("leg-3"))),
        (LegAnswered(T0 + 61 * S + 7, "leg-2"), ()),
        (CallKilled(T0 + 61 * S, "no_credit"), ()),
        (LegAnswered(T0 + 61 * S + 8, "leg-3"), ()),
        (LegHungUp(T0 + 62 * S, CALLER, 16), ()),
    )
    assert {id: leg.ended_at for id, leg in of.legs.items()} == {
        CALLER: T0 + 61 * S,
        "leg-2": T0 + 61 * S + 7,
    }


def test_time_does_not_run_backwards() -> None:
    of = tab((LegAnswered(T0 + 9 * S, CALLER), ()), (LegHungUp(T0 + 2 * S, CALLER, 16), ()))
    assert of.legs[CALLER].ended_at == T0 + 9 * S


def test_the_number_behind_an_endpoint() -> None:
    assert outside_number("PJSIP/+819011112222@carrier") == "+819011112222"
    assert outside_number("PJSIP/hanako") == ""


EVENTS = st.builds(
    lambda kind, leg, at: kind(T0 + at * S, leg) if kind is LegAnswered else LegHungUp(T0 + at * S, leg, 16),
    st.sampled_from([LegAnswered, LegHungUp]),
    st.sampled_from([CALLER, *DIALS, "leg-9"]),
    st.integers(0, 300),
)


@given(st.lists(EVENTS, max_size=30))
def test_whatever_happens_a_leg_ends_after_it_began_and_telling_it_again_changes_nothing(
    happened: list[Event],
) -> None:
    steps = [
        (event, tuple(dial(leg) for leg in DIALS) if not at else ()) for at, event in enumerate(happened)
    ]
    once = tab(*steps)
    once.close()
    for leg in once.legs.values():
        assert leg.ended_at is not None
        assert leg.answered_at <= leg.ended_at
    assert set(once.legs) <= {CALLER, "leg-2", "leg-3"}
    before = {id: (leg.answered_at, leg.ended_at) for id, leg in once.legs.items()}
    for event in happened:
        assert once.step(event, ()) == [] or event.leg not in before  # type: ignore[union-attr]
