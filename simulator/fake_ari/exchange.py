"""The exchange: the simulated world, told as events of ARI to the applications that hold its legs.

Requests change it through the modules under `operations`; what comes of them arrives here from the world, in order.
Order and fields of the events are those of Asterisk 22.10 (docs/fake-ari.md has what was measured).
"""

import asyncio
import itertools
import uuid
from collections.abc import Callable, Iterable
from typing import Any, Final

from simulator.fake_ari.apps import Application
from simulator.fake_ari.channel import CAUSE_TEXT, DIAL_STATUS, SIP_STATUS, Channel
from simulator.fake_ari.devices import Devices
from simulator.fake_ari.playing import Player
from simulator.fake_ari.recording import Recorder
from simulator.fake_ari.rooms import hears_keys, shown
from simulator.fake_ari.sounds import ENDLESS_US, Heard, Lengths
from simulator.fake_ari.telling import Telling
from simulator.things import Bridge, Leg, Observer, Phone, Playback, Recording
from simulator.world import NO_ANSWER, NORMAL, World

SYSTEM: Final = "fake"
VERSION: Final = "22.10.1-fake"
TRUNK: Final = "PJSIP/trunk"
NOBODY_THERE: Final = 42
"""The cause with which a call ends that no engine takes; the carrier hears 503 and tries its next route."""
SOFT_HANGUP: Final = 32
OUTGOING: Final = ("AppDial2", "(Outgoing Line)")
"""The dialplan application of a leg that is dialled, and its data."""
RTP_REPORT: Final = tuple((f"RTPAUDIOQOS{part}", "") for part in ("", "JITTER", "LOSS", "RTT", "MES"))
"""Variables that every hang-up sets: a flood that clients are to filter."""


class ObservedWorld(World):
    """A world that names its legs as Asterisk does and tells when somebody begins to talk."""

    def __init__(self, sounds: Callable[[str], int | None], start: int, new_id: Callable[[], str]) -> None:
        super().__init__(sounds, latency_us=0, start=start)
        self._new_id = new_id
        self.audio_changed: Callable[[Leg], None] = lambda _leg: None

    def arrive(
        self, number: str, caller: str, phone: Phone, *, caller_name: str = "", leg_id: str = ""
    ) -> Leg:
        """Call a number of ours."""
        leg_id = leg_id or self._new_id()
        return super().arrive(number, caller, phone, caller_name=caller_name, leg_id=leg_id)

    def talk(self, leg: Leg, talking: bool) -> None:
        """Begin or stop to talk."""
        super().talk(leg, talking)
        self.audio_changed(leg)

    def send(self, leg: Leg, sending: bool) -> None:
        """Begin or stop to send any audio at all."""
        super().send(leg, sending)
        self.audio_changed(leg)


class Exchange(Telling, Observer):
    """Everything ARI can see.

    Args:
        inbound_app: the application that every call enters, with the called number as argument.
        start: the first instant, microseconds since the Unix epoch, UTC.
        heard_as: what a telephone hears of a media URI, so that scripts can wait for words.
    """

    def __init__(self, inbound_app: str, start: int, heard_as: Callable[[str], str]) -> None:
        self.began_at = start
        self.closing = False
        """Nobody is to wait any more."""
        self.inbound_app = inbound_app
        self.heard_as = heard_as
        self._numbers = itertools.count()
        self._names = itertools.count()
        self.world = ObservedWorld(self._length, start, self.new_id)
        self.world.observer = self
        super().__init__(self.world)
        self.variables: dict[str, str] = {}
        self.player = Player(self)
        self.recorder = Recorder(self)
        self.lengths = Lengths(self.recorder.length)
        self.devices = Devices(self)
        self.world.audio_changed = self.recorder.audio_changed

    # What operations use

    def new_id(self) -> str:
        """An id for a channel, as Asterisk makes them."""
        return f"{SYSTEM}-{self.began_at // 1_000_000}.{next(self._numbers)}"

    def new_channel(self, id: str, endpoint: str) -> Channel:
        """A channel that nothing is known of yet."""
        name = f"{endpoint}-{next(self._names):08x}"
        made = self.channels[id] = Channel(id, name, endpoint, str(uuid.uuid4()), self.world.now)
        return made

    def settle(self) -> None:
        """Let be told what the last change led to, before the answer to it."""
        self.world.run(until=self.world.now)

    async def idle(self, channel: Channel) -> None:
        """Wait until nothing is played on a channel: Asterisk carries out its commands one after another."""
        while channel.leg is not None and channel.leg.media and channel.leg.open and not self.closing:
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            channel.waiting.append(done)
            await done

    def enter(self, channel: Channel, app: Application, args: tuple[str, ...]) -> None:
        """Put a channel into the hands of an application."""
        channel.enter(app.name, args)
        app.held.add(channel.id)
        app.channels[channel.id] += 1
        self.tell("StasisStart", channel, args=list(args))

    def leave(self, channel: Channel) -> None:
        """Take a channel out of the hands of its application."""
        if not channel.app:
            return
        self.tell("StasisEnd", channel)
        app = self.apps.find(channel.app)
        channel.app = ""
        app.held.discard(channel.id)
        app.channels[channel.id] -= 1
        self.apps.tidy(app)

    def gone(self, channel: Channel, cause: int, tech_cause: int | None) -> None:
        """A channel is no more: the last thing told of it."""
        channel.app_name, channel.app_data = OUTGOING if channel.wanted_app[0] else ("", "")
        more = {} if tech_cause is None else {"tech_cause": tech_cause}
        text = CAUSE_TEXT.get(cause, "Unknown")
        self.tell("ChannelDestroyed", channel, cause=cause, cause_txt=text, **more)
        self.channels.pop(channel.id, None)
        for app in self.apps:
            app.forget_channel(channel.id)
            self.apps.tidy(app)
        channel.wake()

    def set_variables(self, channel: Channel, values: Iterable[tuple[str, str]]) -> None:
        """Set variables of a channel."""
        for name, value in values:
            channel.variables[name] = value
            self.tell("ChannelVarset", channel, variable=name, value=value)

    # What the world reports of legs

    def arrived(self, leg: Leg) -> None:
        """A call came in: it enters the application, or ends when nobody listens there."""
        channel = self.new_channel(leg.id, TRUNK)
        channel.leg = leg
        leg.tag = channel
        channel.caller = (leg.caller_name, leg.caller)
        channel.context, channel.exten, channel.priority = "from-trunk", leg.number, 2
        self.tell_of_new(channel, channel.json())
        app = self.apps.active(self.inbound_app)
        if app is not None:
            self.enter(channel, app, (leg.number,))
        elif leg.open:
            self.world.hang_up(leg.id, NOBODY_THERE)

    def leg_ringing(self, leg: Leg) -> None:
        """A dialled telephone rings."""
        self.tell("ChannelStateChange", leg.tag)
        self.tell_dial(leg.tag, "RINGING")
        self.devices.look_at(leg.tag.endpoint)

    def leg_answered(self, leg: Leg) -> None:
        """A leg is up. A dialled one enters its application now."""
        channel: Channel = leg.tag
        self.tell("ChannelStateChange", channel)
        self.devices.look_at(channel.endpoint)
        if leg.inbound:
            return
        self.tell_dial(channel, "ANSWER")
        name, args = channel.wanted_app
        if channel.app or not name:
            return
        app = self.apps.active(name)
        if app is not None:
            self.enter(channel, app, args)
        elif leg.open:
            self.world.hang_up(leg.id, NORMAL)

    def leg_leaving(self, leg: Leg, cause: int) -> None:
        """The end of a leg was asked for."""
        channel: Channel = leg.tag
        if leg.up:
            self.set_variables(channel, RTP_REPORT)
        given_up = not leg.inbound and not leg.up and not leg.leaving and cause == NO_ANSWER
        if leg.leaving or (given_up and channel.app):
            self.tell("ChannelHangupRequest", channel, cause=SOFT_HANGUP, soft=True)
        elif leg.up:
            self.tell("ChannelHangupRequest", channel)
        elif not given_up:
            tech = {"tech_cause": SIP_STATUS[cause]} if cause in SIP_STATUS else {}
            self.tell("ChannelHangupRequest", channel, cause=cause, **tech)
        if not leg.inbound and not leg.up and not channel.app and not given_up:
            self.tell_dial(channel, DIAL_STATUS.get(cause, "NOANSWER"))

    def leg_hung_up(self, leg: Leg, cause: int) -> None:
        """A leg is gone."""
        channel: Channel = leg.tag
        self.leave(channel)
        self.gone(channel, cause, None if leg.up else SIP_STATUS.get(cause))
        self.devices.look_at(channel.endpoint)

    def digit(self, leg: Leg, digit: str, duration_us: int) -> None:
        """A key was pressed."""
        self.tell("ChannelDtmfReceived", leg.tag, digit=digit, duration_ms=duration_us // 1_000)

    def tell_dial(self, channel: Channel, status: str) -> None:
        """Tell how dialling goes on."""
        self.tell_of_channel("Dial", channel, self.dialling(channel, status))

    def dialling(self, channel: Channel, status: str) -> dict[str, Any]:
        """How dialling is, as the event tells it."""
        dialstring = "" if channel.app and status else channel.dialstring
        return {"dialstatus": status, "forward": "", "dialstring": dialstring, "peer": channel.json()}

    # What it reports of the rest

    def playback_started(self, playback: Playback) -> None:
        """A sound begins."""
        self.player.started(playback)
        self._hear_keys(playback.target)

    def playback_ended(self, playback: Playback, ok: bool) -> None:
        """A sound is over."""
        self.player.ended(playback, ok)
        self._ended_on(playback.target)

    def recording_started(self, recording: Recording) -> None:
        """A recording begins."""
        self.recorder.started(recording)
        self._hear_keys(recording.target)

    def recording_ended(self, recording: Recording) -> None:
        """A recording is complete."""
        self.recorder.ended(recording)
        self._ended_on(recording.target)

    def bridge_opened(self, bridge: Bridge) -> None:
        """A bridge is there."""
        self.tell_of_bridge("BridgeCreated", bridge.id, {"bridge": shown(bridge)})

    def bridge_closed(self, bridge: Bridge) -> None:
        """A bridge is gone."""
        self.tell_of_bridge("BridgeDestroyed", bridge.id, {"bridge": shown(bridge)})
        for app in self.apps:
            del app.bridges[bridge.id]

    def entered(self, bridge: Bridge, leg: Leg) -> None:
        """A leg entered a bridge."""
        self.recorder.bridge_changed(bridge)
        fields = {"bridge": shown(bridge, entering=True), "channel": leg.tag.json()}
        self.tell_of_bridge("ChannelEnteredBridge", bridge.id, fields)
        self._hear_keys(bridge)
        if len(bridge.legs) == 2:
            one, other = (each.tag for each in bridge.legs)
            self._connect(one, other.caller)
            self._connect(other, one.caller)

    def left(self, bridge: Bridge, leg: Leg) -> None:
        """A leg left a bridge; the others stay."""
        self.recorder.bridge_changed(bridge)
        fields = {"bridge": shown(bridge), "channel": leg.tag.json()}
        self.tell_of_bridge("ChannelLeftBridge", bridge.id, fields)
        self._hear_keys(bridge)
        if len(bridge.legs) == 1:
            self._connect(bridge.legs[0].tag, ("", ""))
        if leg.open and leg.tag.app:  # who hangs up leaves his application listening
            self.apps.find(leg.tag.app).bridges[bridge.id] -= 1

    def reachable(self, endpoint: str, is_reachable: bool) -> None:
        """A telephone came into reach, or went out of it."""
        self.devices.registered(endpoint, is_reachable)

    def _connect(self, channel: Channel, other: tuple[str, str]) -> None:
        """Show a channel whom it talks to."""
        if channel.connected != other:
            channel.connected = other
            self.tell("ChannelConnectedLine", channel)

    def _hear_keys(self, target: Leg | Bridge) -> None:
        """Keys pressed in a bridge are told when its sound goes through the switch, asked for or not."""
        if isinstance(target, Bridge):
            target.dtmf_events = hears_keys(target)

    def _ended_on(self, target: Leg | Bridge) -> None:
        self._hear_keys(target)
        if isinstance(target, Leg) and not target.media:
            target.tag.wake()

    def _length(self, sound: str) -> int | None:
        """For the world everything that can be played is endless: see `playing`."""
        uri = sound.uri if isinstance(sound, Heard) else sound
        return None if self.lengths(uri) is None else ENDLESS_US
