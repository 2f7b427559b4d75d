"""The reaper: what it takes for nobody's, what it lets be, and that it looks twice."""

import asyncio

import pytest

from flowengine.ari.client import AriRefused, AriSettings
from flowengine.ari.reaper import Known, Reaper, Seen, ToEnd, compare
from flowengine.ari.resources import Bridge, Channel, Dialplan
from tests.ari.scripted import LOST, ScriptedAri

APP = "flowengine"
SETTINGS = AriSettings(app=APP, username="u", password="p")
KNOWN = Known({"cal_1": frozenset({"caller", "leg2", "bri3", "rec4"})}, frozenset({"sw-1.1"}))


def channel(id: str, app: str | None = APP) -> Channel:
    held = Dialplan(app_name="Stasis", app_data=f"{app},100") if app else Dialplan(app_name="Playback")
    return Channel(id, state="Up", dialplan=held)


def found(*channels: Channel, bridges: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    seen = Seen({each.id: each for each in channels}, {id: Bridge(id) for id in bridges})
    return [(each.id, each.why) for each in compare(seen, KNOWN, APP)]


def test_what_is_somebodys_is_let_be() -> None:
    ringing = Channel("cal_1-leg2", state="Ringing")
    snoops = (channel("cal_1-rec4-left"), channel("cal_1-rec4-right"))
    assert found(channel("sw-1.1"), ringing, *snoops, bridges=("cal_1-bri3",)) == []


def test_what_bears_the_name_of_an_unknown_call_is_nobodys() -> None:
    why = "its call is unknown"
    strays = (channel("cal_2-leg2"), channel("cal_2-rec4-left"), Channel("cal_2-leg9", state="Ringing"))
    assert found(*strays, bridges=("cal_2-bri3",)) == [
        (id, why) for id in ("cal_2-leg2", "cal_2-rec4-left", "cal_2-leg9", "cal_2-bri3")
    ]


def test_what_its_call_has_forgotten_is_nobodys() -> None:
    why = "its call does not know it"
    assert found(channel("cal_1-leg7"), channel("cal_1-rec8-right"), bridges=("cal_1-bri9",)) == [
        (id, why) for id in ("cal_1-leg7", "cal_1-rec8-right", "cal_1-bri9")
    ]


def test_an_inbound_channel_that_nobody_answers_for_is_nobodys() -> None:
    assert found(channel("sw-1.2")) == [("sw-1.2", "nobody answers for it")]


def test_what_others_do_on_this_asterisk_is_theirs() -> None:
    assert found(channel("sw-1.3", app=None), channel("sw-1.4", app="other"), bridges=("their-bridge",)) == []
    assert found(channel("cal_9-leg1", app="other")) == []


def test_legs_are_ended_before_their_bridge() -> None:
    assert [id for id, _ in found(channel("cal_2-leg2"), bridges=("cal_2-bri3",))] == [
        "cal_2-leg2",
        "cal_2-bri3",
    ]


def asterisk(*channels: str, bridges: tuple[str, ...] = ()) -> ScriptedAri:
    ari = ScriptedAri(SETTINGS, lambda _: None, None)  # type: ignore[arg-type]
    ari.ready = True
    ari.answers["GET channels"] = [
        {"id": id, "state": "Up", "dialplan": {"app_name": "Stasis", "app_data": f"{APP},100"}}
        for id in channels
    ]
    ari.answers["GET bridges"] = [{"id": id} for id in bridges]
    return ari


def reaper(ari: ScriptedAri, known: Known = KNOWN, every_s: float = 0.0) -> Reaper:
    return Reaper(ari, APP, lambda: known, every_s)  # type: ignore[arg-type]


def ended(ari: ScriptedAri) -> list[str]:
    return [asked for asked in ari.sent if asked.startswith("DELETE")]


async def test_nothing_is_ended_at_the_first_look() -> None:
    ari = asterisk("cal_2-leg2", "cal_1-leg2", "sw-1.1", "sw-1.2", bridges=("cal_2-bri3", "cal_1-bri3"))
    of = reaper(ari)
    assert await of.look() == []
    assert ended(ari) == []
    assert {each.id for each in await of.look()} == {"cal_2-leg2", "sw-1.2", "cal_2-bri3"}
    assert ended(ari) == ["DELETE channels/cal_2-leg2", "DELETE channels/sw-1.2", "DELETE bridges/cal_2-bri3"]
    assert of.ended == 3


async def test_what_was_claimed_between_two_looks_lives() -> None:
    ari = asterisk("cal_2-leg2")
    now_known = Known()
    of = Reaper(ari, APP, lambda: now_known, 0.0)  # type: ignore[arg-type]
    await of.look()
    now_known = Known({"cal_2": frozenset({"leg2"})})
    assert await of.look() == []
    now_known = Known()
    assert await of.look() == []  # two looks in a row
    assert await of.look() == [ToEnd("channels", "cal_2-leg2", "its call is unknown")]


async def test_a_cut_line_makes_the_reaper_begin_anew() -> None:
    ari = asterisk("cal_2-leg2")
    of = reaper(ari)
    await of.look()
    ari.ready = False
    assert await of.look() == []
    ari.ready = True
    assert await of.look() == []
    assert ended(ari) == []


async def test_what_ended_by_itself_is_not_counted() -> None:
    ari = asterisk("cal_2-leg2")
    ari.answers["DELETE channels/cal_2-leg2"] = 404
    of = reaper(ari)
    await of.look()
    await of.look()
    assert of.ended == 0


async def test_a_refusal_is_told_and_tried_again() -> None:
    ari = asterisk("cal_2-leg2")
    ari.answers["DELETE channels/cal_2-leg2"] = 500
    of = reaper(ari)
    await of.look()
    with pytest.raises(AriRefused):
        await of.look()
    ari.answers["DELETE channels/cal_2-leg2"] = 204
    await of.look()
    assert of.ended == 1


async def test_it_keeps_looking_though_asterisk_fails() -> None:
    ari = asterisk("cal_2-leg2")
    ari.answers["GET bridges"] = LOST
    looked: list[int] = []
    enough = asyncio.Event()

    def known() -> Known:
        looked.append(len(ari.sent))
        if len(looked) == 3:
            enough.set()
        return Known()

    of = Reaper(ari, APP, known, 0.0)  # type: ignore[arg-type]
    task = asyncio.create_task(of.run())
    for _ in range(20):
        await asyncio.sleep(0)
    assert looked == []
    assert len(ari.sent) >= 4
    ari.answers["GET bridges"] = []
    async with asyncio.timeout(2):
        await enough.wait()
    assert of.ended >= 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
