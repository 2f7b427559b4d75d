"""The switch against an ARI that answers as scripted: every refusal, every loss, and the look after a gap."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from flowengine.ari import endings, messages
from flowengine.ari import switch as switch_module
from flowengine.ari.client import AriClient, AriError, AriRefused, AriSettings, AriUnavailable
from flowengine.ari.messages import AnyEvent
from flowengine.ari.resources import Bridge, Caller, Channel, Dialplan, LiveRecording, Playback
from flowengine.ari.switch import AriSwitch
from flowengine.call.commands import (
    Answer,
    CloseBridge,
    Dial,
    HangUp,
    Join,
    OpenBridge,
    Play,
    Record,
    Ring,
    StopPlay,
    StopRecord,
    SwitchCommand,
)
from flowengine.call.events import (
    CommandFailed,
    DigitPressed,
    Event,
    LegAnswered,
    LegHungUp,
    LegRinging,
    PlaybackEnded,
    RecordingEnded,
)
from flowengine.ports import Arrival, RecordingMissing
from tests.ari.hearing import Hearing
from tests.ari.scripted import LATE, LOST, ScriptedAri

AT = 1_795_000_000_000_000
CALL = "cal_01JD8ZK4V0000000000000TEST"
OTHER = "cal_01JD8ZK4V000000000000OTHER"
CHANNEL = "fe-1795.0"
SETTINGS = AriSettings(app="flowengine", username="engine", password="secret")
WAV = bytes(44 + 16 * 1_500)
"""One and a half seconds."""


class StandingClock:
    def now(self) -> int:
        return AT


class Stage:
    """A switch on a scripted ARI, with one adopted call."""

    def __init__(self) -> None:
        self.hearing = Hearing()
        self.switch = AriSwitch(
            SETTINGS,
            self.hearing,
            lambda _call, key: {"tone:beep": "sound:/sounds/beep"}.get(key),
            StandingClock(),
            make_client=cast(Any, ScriptedAri),
            orphan_grace_s=0.05,
            look_every_s=60.0,
        )
        self.ari = cast(ScriptedAri, self.switch.client)

    def arrive(self, channel: str = CHANNEL) -> Arrival:
        self.ari.on_event(messages.StasisStart(channel=inbound(channel), args=["+81312345678"]))
        return self.hearing.arrivals[-1]

    async def do(self, *commands: SwitchCommand) -> list[Event]:
        """Perform, and return what was heard since."""
        before = len(self.hearing.events)
        self.switch.perform(CALL, commands)
        await settle()
        return self.heard[before:]

    async def see(self, *seen: AnyEvent) -> list[Event]:
        """Let Asterisk report, and return what was heard since."""
        before = len(self.hearing.events)
        for message in seen:
            self.ari.on_event(message)
        await settle()
        return self.heard[before:]

    async def connect(
        self, channels: list[Channel] | None = None, bridges: dict[str, list[str]] | None = None
    ) -> None:
        """Come back after a gap, to this."""
        self.ari.answers["GET channels"] = [as_json(channel) for channel in channels or []]
        self.ari.answers["GET bridges"] = [
            {"id": id, "channels": legs} for id, legs in (bridges or {}).items()
        ]
        await self.ari.connect()
        await settle()

    @property
    def heard(self) -> list[Event]:
        return [event for _, event in self.hearing.events]


async def settle() -> None:
    """Let callbacks run."""
    for _ in range(20):
        await asyncio.sleep(0)


def inbound(channel: str = CHANNEL, state: str = "Ring") -> Channel:
    return leg(channel, state, "Stasis", "flowengine,+81312345678")


def leg(channel: str, state: str, app_name: str = "AppDial2", app_data: str = "(Outgoing Line)") -> Channel:
    plan = Dialplan(app_name=app_name, app_data=app_data)
    return Channel(channel, state=state, caller=Caller(number="+81"), dialplan=plan)


def as_json(channel: Channel) -> dict[str, Any]:
    plan = channel.dialplan
    return {
        "id": channel.id,
        "state": channel.state,
        "caller": {"name": "", "number": "+81"},
        "dialplan": {"app_name": plan.app_name, "app_data": plan.app_data},
    }


def mine(short: str) -> str:
    return f"{CALL}-{short}"


@pytest.fixture
async def stage(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    """A connected switch with an adopted caller."""
    monkeypatch.setattr(endings, "LOST_EVENT_S", 0.0)
    stage = Stage()
    async with stage.switch:
        await stage.connect()
        stage.switch.adopt(stage.arrive(), CALL)
        stage.ari.sent.clear()
        yield stage


DIAL = Dial("leg-1", "PJSIP/hanako", "+81", 20)
PLAY = Play("play-1", "caller", "tone:beep")
RECORD = Record("rec-1", "caller")


@pytest.mark.parametrize("status", [404, 409, 412, 500])
@pytest.mark.parametrize(
    ("command", "path", "told"),
    [
        (Answer("caller"), f"POST channels/{CHANNEL}/answer", {404: LegHungUp(AT, "caller", 16)}),
        (Ring("caller"), f"POST channels/{CHANNEL}/ring", {404: LegHungUp(AT, "caller", 16)}),
        (DIAL, f"POST channels/{mine('leg-1')}", {409: None, 500: LegHungUp(AT, "leg-1", 20)}),
        (
            PLAY,
            f"POST channels/{CHANNEL}/play",
            dict.fromkeys((404, 409, 412, 500), PlaybackEnded(AT, "play-1", ok=False)),
        ),
        (
            RECORD,
            f"POST channels/{CHANNEL}/record",
            dict.fromkeys((404, 409, 412, 500), RecordingEnded(AT, "rec-1", 0, ok=False)),
        ),
        (
            OpenBridge("bridge-1"),
            "POST bridges/",
            {409: None, 500: CommandFailed(AT, "bridge-1", "as scripted")},
        ),
        (HangUp("caller", 17), f"DELETE channels/{CHANNEL}", {404: LegHungUp(AT, "caller", 17)}),
        (CloseBridge("bridge-1"), "DELETE bridges/", {404: None, 409: None}),
        (StopPlay("play-1"), "DELETE playbacks/", {404: None}),
    ],
)
async def test_a_refused_command_comes_back_as_an_event(
    stage: Stage, command: SwitchCommand, path: str, told: dict[int, Event | None], status: int
) -> None:
    stage.ari.answers[path] = status
    stage.ari.answers["GET recordings/live"] = 404
    heard = await stage.do(command)
    if status not in told:
        assert [type(event) for event in heard] == [LegHungUp if isinstance(command, Dial) else CommandFailed]
    elif (event := told[status]) is None:
        assert heard == []
    else:
        assert event in heard
        assert heard.count(event) == 1


async def test_a_dial_refused_as_taken_is_believed_only_when_its_leg_is_there(stage: Stage) -> None:
    stage.ari.answers["POST channels"] = 409
    assert await stage.do(DIAL) == []
    stage.ari.answers[f"GET channels/{mine('leg-2')}"] = 404
    assert await stage.do(Dial("leg-2", "PJSIP/nobody", "+81", 20)) == [LegHungUp(AT, "leg-2", 20)]


async def test_commands_go_out_in_order_and_in_the_lane_of_their_call(stage: Stage) -> None:
    await stage.do(Ring("caller"), Answer("caller"), PLAY)
    assert stage.ari.sent == [
        f"POST channels/{CHANNEL}/ring",
        f"POST channels/{CHANNEL}/answer",
        f"POST channels/{CHANNEL}/play/{mine('play-1')}?media=sound:%2Fsounds%2Fbeep",
    ]
    assert set(stage.ari.lanes[-3:]) == {CALL}


async def test_making_a_thing_twice_is_making_it_once(stage: Stage) -> None:
    bridge = OpenBridge("bridge-1")
    await stage.do(
        PLAY,
        PLAY,
        RECORD,
        RECORD,
        DIAL,
        DIAL,
        bridge,
        bridge,
        Join("bridge-1", "caller"),
        Join("bridge-1", "caller"),
    )
    assert len(stage.ari.sent) == 5
    await stage.see(messages.PlaybackFinished(playback=Playback(mine("play-1"), state="done")))
    await stage.do(PLAY)
    assert len(stage.ari.sent) == 5


async def test_what_would_hold_up_all_calls_goes_by_http(stage: Stage) -> None:
    stage.ari.by_http.clear()
    await stage.do(
        Join("bridge-1", "caller"), PLAY, Answer("caller"), Join("bridge-2", "caller"), Answer("leg-1")
    )
    assert stage.ari.by_http == [
        f"POST channels/{CHANNEL}/answer",
        f"POST bridges/{mine('bridge-2')}/addChannel?channel={CHANNEL}",
    ]
    await stage.do(StopPlay("play-1"), RECORD, StopRecord("rec-1"), Join("bridge-3", "caller"))
    assert len(stage.ari.by_http) == 2


async def test_an_end_is_told_once(stage: Stage) -> None:
    await stage.do(DIAL)
    gone = messages.ChannelDestroyed(channel=leg(mine("leg-1"), "Ringing"), cause=17)
    ringing = messages.ChannelStateChange(channel=leg(mine("leg-1"), "Ringing"))
    assert await stage.see(ringing, ringing, gone, gone) == [
        LegRinging(AT, "leg-1"),
        LegHungUp(AT, "leg-1", 17),
    ]
    assert await stage.see(
        ringing, messages.StasisEnd(channel=inbound()), messages.StasisEnd(channel=inbound())
    ) == [LegHungUp(AT, "caller", 16)]
    assert await stage.see(messages.ChannelDtmfReceived(channel=inbound(), digit="1")) == []


async def test_an_answer_that_changes_nothing_is_told_all_the_same(stage: Stage) -> None:
    assert await stage.do(Answer("caller")) == [LegAnswered(AT, "caller")]
    assert await stage.see(messages.ChannelStateChange(channel=inbound(state="Up"))) == []


async def test_the_cause_is_in_the_hang_up_request(stage: Stage) -> None:
    request = messages.ChannelHangupRequest(channel=inbound(), cause=127, tech_cause=487)
    assert await stage.see(request, messages.StasisEnd(channel=inbound())) == [LegHungUp(AT, "caller", 127)]


async def test_the_cause_of_our_own_hang_up_is_ours(stage: Stage) -> None:
    await stage.do(HangUp("caller", 17))
    request = messages.ChannelHangupRequest(channel=inbound(), cause=32, soft=True)
    assert await stage.see(request, messages.StasisEnd(channel=inbound())) == [LegHungUp(AT, "caller", 17)]


async def test_adopting_a_caller_who_has_left_is_told(stage: Stage) -> None:
    arrival = stage.arrive("fe-2")
    await stage.see(messages.StasisEnd(channel=inbound("fe-2")))
    stage.switch.adopt(arrival, OTHER)
    assert stage.heard == []
    await settle()
    assert stage.hearing.events == [(OTHER, LegHungUp(AT, "caller", 16))]


async def test_rejecting(stage: Stage) -> None:
    arrival = stage.arrive("fe-2")
    stage.switch.reject(arrival, 17)
    await stage.see(messages.StasisEnd(channel=inbound("fe-2")))
    stage.switch.reject(arrival, 17)
    assert stage.ari.sent == ["DELETE channels/fe-2?reason_code=17"]
    assert stage.heard == []


async def test_a_missing_sound_is_told_at_once_and_logged_without_its_words(stage: Stage) -> None:
    with capture_logs() as logs:
        assert await stage.do(Play("play-1", "caller", "say:en-US:Call Bob at 5")) == [
            PlaybackEnded(AT, "play-1", ok=False)
        ]
    assert stage.ari.sent == []
    assert any(entry.get("kind") == "say" for entry in logs)
    assert "Bob" not in str(logs)


async def test_what_cannot_be_dialled_is_not_sent(stage: Stage) -> None:
    assert await stage.do(Dial("leg-1", "PJSIP/a&PJSIP/b", "+81", 20)) == [LegHungUp(AT, "leg-1", 20)]
    assert stage.ari.sent == []


async def test_commands_of_an_unknown_call_go_nowhere(stage: Stage) -> None:
    stage.switch.perform(OTHER, [Answer("caller")])
    stage.switch.release(OTHER)
    assert stage.ari.sent == []


async def test_a_request_without_an_answer_has_failed_and_is_undone(stage: Stage) -> None:
    stage.ari.answers[f"POST channels/{mine('leg-1')}"] = LATE
    assert await stage.do(DIAL) == [LegHungUp(AT, "leg-1", 20)]
    assert stage.ari.sent[-1] == f"DELETE channels/{mine('leg-1')}?reason_code=16"
    await stage.see(messages.StasisStart(channel=leg(mine("leg-1"), "Up"), args=["dialled"]))
    assert stage.ari.sent[-1] == f"DELETE channels/{mine('leg-1')}?reason_code=16"
    assert stage.heard == [LegHungUp(AT, "leg-1", 20)]


async def test_too_many_requests_while_connected_are_failures(stage: Stage) -> None:
    stage.ari.answers[f"POST channels/{CHANNEL}/play"] = LOST
    assert await stage.do(PLAY) == [PlaybackEnded(AT, "play-1", ok=False)]


async def test_release_ends_what_is_left(stage: Stage) -> None:
    await stage.do(DIAL, RECORD, OpenBridge("bridge-1"), PLAY)
    stage.ari.sent.clear()
    stage.switch.release(CALL)
    assert stage.ari.sent == [
        f"DELETE channels/{CHANNEL}?reason_code=16",
        f"DELETE channels/{mine('leg-1')}?reason_code=16",
        f"POST recordings/live/{mine('rec-1')}/stop",
        f"DELETE bridges/{mine('bridge-1')}",
        f"DELETE playbacks/{mine('play-1')}",
    ]
    assert await stage.see(messages.StasisEnd(channel=inbound())) == []
    await stage.connect([inbound("fe-3", "Down")])
    assert [arrival.channel for arrival in stage.hearing.arrivals] == [CHANNEL, "fe-3"]


async def test_a_caller_left_over_is_ended_after_the_gap(stage: Stage) -> None:
    stage.switch.release(CALL)
    await stage.connect([inbound(state="Up")])
    assert f"DELETE channels/{CHANNEL}?reason_code=16" in stage.ari.sent
    assert len(stage.hearing.arrivals) == 1
    await stage.connect([])
    await stage.connect([inbound()])
    assert len(stage.hearing.arrivals) == 2


# Recordings


def finished(talking_s: int | None = None) -> messages.RecordingFinished:
    return messages.RecordingFinished(
        recording=LiveRecording(mine("rec-1"), state="done", duration=1, talking_duration=talking_s)
    )


async def test_a_recording_without_silence_detection_is_told_as_it_is(stage: Stage) -> None:
    await stage.do(RECORD)
    assert await stage.see(finished()) == [RecordingEnded(AT, "rec-1", 1_000)]


async def test_a_recording_with_silence_detection_is_measured(stage: Stage) -> None:
    stage.ari.files[f"recordings/stored/{mine('rec-1')}/file"] = bytes(44 + 16 * 200)
    await stage.do(RECORD)
    assert await stage.see(finished(talking_s=1)) == [RecordingEnded(AT, "rec-1", 200, talking_ms=200)]


async def test_what_comes_after_a_recording_waits_for_its_measure(stage: Stage) -> None:
    for name in ("rec-1", "rec-2"):
        stage.ari.files[f"recordings/stored/{mine(name)}/file"] = WAV
    await stage.do(RECORD, Record("rec-2", "caller"))
    second = messages.RecordingFinished(
        recording=LiveRecording(mine("rec-2"), state="done", duration=1, talking_duration=1)
    )
    digit = messages.ChannelDtmfReceived(channel=inbound(), digit="1")
    assert await stage.see(finished(talking_s=1), digit, second, messages.StasisEnd(channel=inbound())) == [
        RecordingEnded(AT, "rec-1", 1_500, talking_ms=1_000),
        DigitPressed(AT, "caller", "1"),
        RecordingEnded(AT, "rec-2", 1_500, talking_ms=1_000),
        LegHungUp(AT, "caller", 16),
    ]


async def test_a_measured_recording_of_a_released_call_is_nobodys(stage: Stage) -> None:
    await stage.do(RECORD)
    stage.ari.on_event(finished(talking_s=1))
    stage.switch.release(CALL)
    await settle()
    assert stage.heard == []


async def test_one_that_cannot_be_measured_is_told_as_asterisk_has_it(stage: Stage) -> None:
    await stage.do(RECORD)
    assert await stage.see(finished(talking_s=1)) == [RecordingEnded(AT, "rec-1", 1_000, talking_ms=1_000)]


async def test_a_stopped_recording_whose_event_is_lost_is_found(stage: Stage) -> None:
    stage.ari.files[f"recordings/stored/{mine('rec-1')}/file"] = WAV
    stage.ari.answers["GET recordings/live"] = 404
    assert await stage.do(RECORD, StopRecord("rec-1")) == [RecordingEnded(AT, "rec-1", 1_500)]


async def test_a_recording_of_a_closed_bridge_whose_event_is_lost_is_found(stage: Stage) -> None:
    stage.ari.files[f"recordings/stored/{mine('rec-1')}/file"] = WAV
    stage.ari.answers["GET recordings/live"] = 404
    heard = await stage.do(OpenBridge("bridge-1"), Record("rec-1", "bridge-1"), CloseBridge("bridge-1"))
    assert heard == [RecordingEnded(AT, "rec-1", 1_500)]
    assert await stage.see(messages.BridgeDestroyed(bridge=Bridge(mine("bridge-1")))) == []


async def test_a_recording_that_still_runs_is_waited_for(stage: Stage) -> None:
    assert await stage.do(RECORD, StopRecord("rec-1")) == []
    assert stage.ari.sent.count(f"GET recordings/live/{mine('rec-1')}") > 1
    assert await stage.see(finished()) == [RecordingEnded(AT, "rec-1", 1_000)]


async def test_a_bridge_that_goes_by_itself_has_failed(stage: Stage) -> None:
    await stage.do(OpenBridge("bridge-1"))
    gone = messages.BridgeDestroyed(bridge=Bridge(mine("bridge-1")))
    assert await stage.see(gone, gone) == [CommandFailed(AT, "bridge-1", "the bridge is gone")]


async def test_fetch_and_discard(stage: Stage) -> None:
    stage.ari.files[f"recordings/stored/{mine('rec-1')}/file"] = WAV
    assert b"".join([piece async for piece in stage.switch.fetch(CALL, "rec-1")]) == WAV
    with pytest.raises(RecordingMissing):
        _ = [piece async for piece in stage.switch.fetch(CALL, "rec-2")]
    stage.ari.answers["DELETE recordings/stored"] = 404
    await stage.switch.discard(CALL, "rec-1")
    stage.ari.answers["DELETE recordings/stored"] = 500
    with pytest.raises(AriRefused):
        await stage.switch.discard(CALL, "rec-1")


async def test_a_dialled_leg_that_left_without_a_word_is_over(stage: Stage) -> None:
    await stage.do(DIAL)
    up = leg(mine("leg-1"), "Up")
    assert await stage.see(
        messages.StasisStart(channel=up, args=["dialled"]), messages.StasisEnd(channel=up)
    ) == [
        LegAnswered(AT, "leg-1"),
        LegHungUp(AT, "leg-1", 16),
    ]


# Devices


async def test_devices_are_reported_at_each_connect(stage: Stage) -> None:
    stage.ari.answers["GET endpoints"] = [
        {"technology": "PJSIP", "resource": "hanako", "state": "online", "channel_ids": []},
        {"technology": "PJSIP", "resource": "taro", "state": "offline", "channel_ids": []},
    ]
    await stage.connect([inbound()])
    assert stage.hearing.devices == {"PJSIP/hanako": True, "PJSIP/taro": False}
    stage.hearing.devices.clear()
    stage.ari.answers["GET endpoints"] = []
    await stage.connect([inbound()])
    assert stage.hearing.devices == {"PJSIP/hanako": False}


async def test_never_are_all_devices_subscribed_to(stage: Stage) -> None:
    await stage.connect()
    subscribed = [asked for asked in stage.ari.sent if "subscription" in asked]
    own = "deviceState:Stasis:flowengine"
    assert subscribed == [f"POST applications/flowengine/subscription?eventSource={own}"]


# After a gap


async def in_a_gap(stage: Stage, *commands: SwitchCommand) -> None:
    """Lose the connection, and these commands with it."""
    stage.ari.ready = False
    stage.ari.answers["down"] = LOST
    assert await stage.do(*commands) == []
    del stage.ari.answers["down"]


def sent_again(stage: Stage) -> list[str]:
    """What the switch sent after the look, besides what it always does."""
    always = ("GET", "POST applications/flowengine/subscription", "PUT deviceStates")
    return [asked for asked in stage.ari.sent if not asked.startswith(always)]


async def test_what_vanished_in_the_gap_has_ended(stage: Stage) -> None:
    stage.ari.files[f"recordings/stored/{mine('rec-1')}/file"] = WAV
    for path in ("GET playbacks", "GET recordings/live"):
        stage.ari.answers[path] = 404
    await stage.do(DIAL, PLAY, RECORD, Record("rec-2", "caller"), OpenBridge("bridge-1"))
    await in_a_gap(stage)
    await stage.connect()
    assert stage.heard == [
        LegHungUp(AT, "caller", 16),
        LegHungUp(AT, "leg-1", 16),
        PlaybackEnded(AT, "play-1"),
        CommandFailed(AT, "bridge-1", "the bridge is gone"),
        RecordingEnded(AT, "rec-1", 1_500),
        RecordingEnded(AT, "rec-2", 0, ok=False),
    ]


async def test_what_is_still_there_is_left_alone(stage: Stage) -> None:
    await stage.do(Answer("caller"), DIAL, PLAY, RECORD, OpenBridge("bridge-1"), Join("bridge-1", "caller"))
    heard = list(stage.heard)
    await in_a_gap(stage)
    await stage.connect([inbound(state="Up"), leg(mine("leg-1"), "Down")], {mine("bridge-1"): [CHANNEL]})
    assert stage.heard == heard
    assert sent_again(stage) == []


async def test_what_changed_in_the_gap_is_told(stage: Stage) -> None:
    await stage.do(DIAL, Dial("leg-2", "PJSIP/taro", "+81", 20), Answer("caller"))
    stage.hearing.events.clear()
    await in_a_gap(stage)
    up = leg(mine("leg-1"), "Up", "Stasis", "flowengine,dialled")
    await stage.connect([inbound(state="Up"), up, leg(mine("leg-2"), "Ringing")])
    assert stage.heard == [LegAnswered(AT, "leg-1"), LegRinging(AT, "leg-2")]


async def test_what_was_lost_in_the_gap_is_sent_again(stage: Stage) -> None:
    stage.ari.answers["GET playbacks"] = 404
    stage.ari.answers["GET recordings/live"] = 404
    bridge: list[SwitchCommand] = [OpenBridge("bridge-1"), Join("bridge-1", "caller")]
    await in_a_gap(stage, Answer("caller"), DIAL, PLAY, RECORD, *bridge)
    await stage.connect([inbound()])
    assert [asked.split("?")[0] for asked in sent_again(stage)] == [
        f"POST channels/{CHANNEL}/answer",
        f"POST channels/{mine('leg-1')}",
        f"POST channels/{CHANNEL}/play/{mine('play-1')}",
        f"POST channels/{CHANNEL}/record",
        f"POST bridges/{mine('bridge-1')}",
        f"POST bridges/{mine('bridge-1')}/addChannel",
    ]


async def test_what_was_sent_again_is_not_sent_a_third_time(stage: Stage) -> None:
    await in_a_gap(stage, DIAL)
    await stage.connect([inbound()])
    await in_a_gap(stage)
    await stage.connect([inbound()])
    assert not any(mine("leg-1") in asked for asked in stage.ari.sent)
    assert stage.heard == [LegHungUp(AT, "leg-1", 16)]


async def test_ends_that_were_lost_in_the_gap_are_asked_for_again(stage: Stage) -> None:
    await stage.do(DIAL, PLAY, RECORD, OpenBridge("bridge-1"))
    await in_a_gap(
        stage,
        HangUp("leg-1", 26),
        StopPlay("play-1"),
        StopRecord("rec-1"),
        CloseBridge("bridge-1"),
        HangUp("caller", 16),
    )
    await stage.connect([inbound(), leg(mine("leg-1"), "Ringing")], {mine("bridge-1"): []})
    assert sent_again(stage) == [
        f"DELETE channels/{CHANNEL}?reason_code=16",
        f"DELETE channels/{mine('leg-1')}?reason_code=26",
        f"DELETE playbacks/{mine('play-1')}",
        f"POST recordings/live/{mine('rec-1')}/stop",
        f"DELETE bridges/{mine('bridge-1')}",
    ]


async def test_what_a_call_does_not_know_is_ended(stage: Stage) -> None:
    await in_a_gap(stage)
    await stage.connect([inbound(), leg(mine("leg-7"), "Ringing")], {mine("bridge-7"): []})
    assert f"DELETE channels/{mine('leg-7')}?reason_code=16" in stage.ari.sent
    assert f"DELETE bridges/{mine('bridge-7')}" in stage.ari.sent


async def test_an_arrival_lost_in_the_gap_is_reported_once(stage: Stage) -> None:
    for _ in range(2):
        await stage.connect([inbound(), inbound("fe-2")])
    stage.arrive("fe-2")
    await stage.connect(
        [inbound(), leg("fe-9", "Ring", "Stasis", "another,+81"), leg("fe-8", "Ring", "Dial", "x")]
    )
    assert [arrival.channel for arrival in stage.hearing.arrivals] == [CHANNEL, "fe-2"]
    assert stage.hearing.arrivals[1].number == "+81312345678"


async def test_what_belongs_to_no_call_is_ended_after_a_grace(stage: Stage) -> None:
    orphans = [inbound(), leg(f"{OTHER}-leg-1", "Ringing"), inbound("fe-7", "Up")]
    await stage.connect(orphans, {f"{OTHER}-bridge-2": []})
    assert not any(asked.startswith("DELETE") for asked in stage.ari.sent)
    await asyncio.sleep(0.1)
    assert [asked for asked in stage.ari.sent if asked.startswith("DELETE")] == [
        f"DELETE channels/{OTHER}-leg-1",
        "DELETE channels/fe-7",
        f"DELETE bridges/{OTHER}-bridge-2",
    ]


async def test_a_call_of_an_earlier_life_is_resumed() -> None:
    stage = Stage()
    history: list[SwitchCommand | Event] = [
        Answer("caller"),
        LegAnswered(AT, "caller"),
        DIAL,
        LegAnswered(AT, "leg-1"),
        Dial("leg-2", "PJSIP/taro", "+81", 20),
        LegHungUp(AT, "leg-2", 26),
    ]
    async with stage.switch:
        stage.switch.resume(Arrival(CHANNEL, "+81312345678", "+81"), CALL, history)
        await stage.connect([inbound(state="Up")])
        assert stage.heard == [LegHungUp(AT, "leg-1", 16)]
        assert stage.hearing.arrivals == []
        assert await stage.see(messages.ChannelDtmfReceived(channel=inbound(), digit="1")) == [
            DigitPressed(AT, "caller", "1")
        ]
        await asyncio.sleep(0.1)
        assert not any(asked.startswith("DELETE") for asked in stage.ari.sent)


async def test_what_is_begun_during_the_look_is_not_judged_by_it(stage: Stage) -> None:
    stage.ari.answers["GET channels"] = [as_json(inbound())]
    stage.ari.ready = True
    looking = asyncio.create_task(stage.ari.connect())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert "GET channels" in stage.ari.sent
    stage.switch.perform(CALL, [DIAL])
    await looking
    assert stage.heard == []


async def test_a_look_that_fails_is_the_clients_to_repeat(stage: Stage) -> None:
    stage.ari.answers["GET bridges"] = 500
    with pytest.raises(AriError):
        await stage.ari.connect()


async def test_a_connection_without_events_is_given_up(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switch_module, "ECHO_S", 0.01)
    stage.ari.mute = True
    with pytest.raises(AriUnavailable, match="events do not arrive"):
        await stage.ari.connect()


async def test_the_real_client_fits() -> None:
    switch = AriSwitch(SETTINGS, Hearing(), lambda _call, _key: None, StandingClock())
    assert isinstance(switch.client, AriClient)
    assert not switch.client.ready
