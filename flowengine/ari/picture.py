"""What one call has on Asterisk, as far as this engine knows: the memory that translation itself does not have.

Three rules live here. A command that makes a thing is sent once, for Asterisk would play the same playback twice.
An end is told once, though Asterisk tells it in several ways. And what the connection swallowed is marked `unsure`,
to be settled by looking when it is back (`resync.py`).
"""

from collections.abc import Iterable
from typing import assert_never

import msgspec

from flowengine.ari.names import full_id
from flowengine.call import commands, events
from flowengine.call.commands import SwitchCommand
from flowengine.call.events import CALLER, Event


class Thing(msgspec.Struct):
    """A leg, playback, recording or bridge that is, or is about to be, on Asterisk."""

    made_by: SwitchCommand | None = None
    """None for the caller's leg, which nobody here made."""
    ended_by: SwitchCommand | None = None
    """The command that asked for its end; the end itself is not told yet."""
    answered_by: SwitchCommand | None = None
    joins: dict[str, SwitchCommand] = {}
    """Of a bridge: the commands that put legs into it, by leg."""
    unsure: bool = False
    """The command that makes it may have been lost on the way."""
    rang: bool = False
    up: bool = False

    @property
    def is_leg(self) -> bool:
        """The caller's leg or a dialled one."""
        return self.made_by is None or isinstance(self.made_by, commands.Dial)


class CallPicture:
    """The things of one call by short id. `channel` is Asterisk's id of the caller's leg."""

    def __init__(self, call: str, channel: str) -> None:
        self.call = call
        self.channel = channel
        self.things: dict[str, Thing] = {CALLER: Thing()}
        self.is_doubtful = False
        """What is up may be something else: another version of the call's machine has said it."""
        self.unknown_talk: tuple[str, str] | None = None
        """Bridge and leg in which the caller talks, and which the call's machine does not know."""
        self._made: set[str] = set()

    def channel_of(self, leg: str) -> str:
        """Asterisk's id of a leg."""
        return self.channel if leg == CALLER else full_id(self.call, leg)

    @property
    def bridges(self) -> frozenset[str]:
        """Short ids of the bridges of this call."""
        return frozenset(id for id, t in self.things.items() if isinstance(t.made_by, commands.OpenBridge))

    def commanded(self, command: SwitchCommand) -> bool:
        """Take note of a command; False when it only repeats what was asked before and is not to be sent."""
        match command:
            case commands.Dial(leg=id) | commands.Play(playback=id) | commands.Record(recording=id):
                return self._make(id, command)
            case commands.OpenBridge(bridge=id):
                return self._make(id, command)
            case commands.Join(bridge=id, leg=leg):
                bridge = self.things.get(id)
                if bridge is not None and leg in bridge.joins:
                    return False
                if bridge is not None:
                    bridge.joins[leg] = command
            case commands.Answer(leg=id):
                if (thing := self.things.get(id)) is not None:
                    thing.answered_by = command
            case commands.HangUp(leg=id) | commands.StopPlay(playback=id):
                self._end(id, command)
            case commands.StopRecord(recording=id) | commands.CloseBridge(bridge=id):
                self._end(id, command)
            case commands.Ring() | commands.StopRing() | commands.PauseRecord() | commands.ResumeRecord():
                pass
            case _:
                assert_never(command)
        return True

    def is_news(self, event: Event) -> bool:
        """Take note of an event; False when it was told before or is about a thing this call does not have."""
        match event:
            case events.LegRinging(leg=id):
                leg = self._leg(id)
                if leg is None or leg.rang or leg.up:
                    return False
                leg.rang = True
            case events.LegAnswered(leg=id):
                leg = self._leg(id)
                if leg is None or leg.up:
                    return False
                leg.up = True
                leg.unsure = False
            case events.DigitPressed(leg=id):
                return self._leg(id) is not None
            case events.LegHungUp(leg=id):
                return self._leg(id) is not None and self._drop(id)
            case events.PlaybackEnded(playback=id) | events.RecordingEnded(recording=id):
                return self._drop(id)
            case events.CommandFailed(id=id):
                return self._failed(id)
            case _:
                pass
        return True

    def lost(self, command: SwitchCommand) -> None:
        """The connection went before Asterisk answered: what this command makes may be there, or not."""
        self._doubt(command, unsure=True)

    def confirmed(self, command: SwitchCommand) -> None:
        """Asterisk has carried the command out."""
        self._doubt(command, unsure=False)

    def recall(self, history: Iterable[SwitchCommand | Event], unsure: Iterable[str] = ()) -> None:
        """Rebuild the picture from what was said and heard in an earlier life of the engine.

        `unsure` names things that are to be made (again) if they are not there; a leg that was answered is not one.
        """
        for item in history:
            if isinstance(item, SwitchCommand):
                self.commanded(item)
            else:
                self.is_news(item)
        for id in unsure:
            thing = self.things.get(id)
            if thing is not None and not thing.up:
                thing.unsure = True

    def know_talk(self, bridge: str, leg: str) -> None:
        """Caller and this leg talk in this bridge, and nothing else of the call is known."""
        self.unknown_talk = bridge, leg
        dialled = commands.Dial(leg, "", "", 0)
        self.things = {
            CALLER: Thing(up=True),
            leg: Thing(made_by=dialled, up=True),
            bridge: Thing(made_by=commands.OpenBridge(bridge)),
        }

    def recordings_on(self, bridge: str) -> list[str]:
        """Recordings of a bridge whose end is not told yet."""
        return [
            id
            for id, thing in self.things.items()
            if isinstance(thing.made_by, commands.Record) and thing.made_by.on == bridge
        ]

    def would_wait(self, command: SwitchCommand) -> bool:
        """Whether Asterisk would hold the request back until a sound or a recording on the leg has ended."""
        if not isinstance(command, commands.Answer | commands.Join):
            return False
        return any(
            thing.ended_by is None and command.leg == _occupied_by(thing.made_by)
            for thing in self.things.values()
        )

    def _failed(self, id: str) -> bool:
        """News, unless it is about a thing that ended, or a bridge that we closed."""
        thing = self.things.get(id)
        if thing is None:
            return id not in self._made
        if isinstance(thing.made_by, commands.OpenBridge):
            del self.things[id]
            return thing.ended_by is None
        return True

    def _leg(self, id: str) -> Thing | None:
        thing = self.things.get(id)
        return thing if thing is not None and thing.is_leg else None

    def _make(self, id: str, command: SwitchCommand) -> bool:
        if id in self._made:
            return False
        self._made.add(id)
        self.things[id] = Thing(made_by=command)
        return True

    def _end(self, id: str, command: SwitchCommand) -> None:
        if (thing := self.things.get(id)) is not None:
            thing.ended_by = command

    def _drop(self, id: str) -> bool:
        return self.things.pop(id, None) is not None

    def _doubt(self, command: SwitchCommand, *, unsure: bool) -> None:
        for thing in self.things.values():
            if thing.made_by is command:
                thing.unsure = unsure


def _occupied_by(command: SwitchCommand | None) -> str | None:
    match command:
        case commands.Play(leg=leg):
            return leg
        case commands.Record(on=on):
            return on
        case _:
            return None
