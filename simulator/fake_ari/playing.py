"""Sounds that are played: lists of media, pausing and seeking, on top of the world's one sound after another.

The world is told that every sound that can be played at all is endless; its end is timed here, because only here is
it known that it was paused, or that another one of its list follows.
"""

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, Literal

from simulator.fake_ari.rest import Refused
from simulator.fake_ari.sounds import ENDLESS_US, SECOND, Heard
from simulator.things import Bridge, Gone, Leg, Playback

if TYPE_CHECKING:
    from simulator.fake_ari.exchange import Exchange

State = Literal["queued", "playing", "paused", "continuing", "done", "failed"]
OPERATIONS: Final = ("restart", "pause", "unpause", "reverse", "forward")
TOLD_OF_FAILURE: Final = frozenset({"sound", "tone", "number", "digits", "characters"})
"""Schemes of media whose failure is told. Of others Asterisk says that they started, and nothing ever after."""


class Playing:
    """One playback: a list of sounds and where in it we are. Times are microseconds."""

    def __init__(self, id: str, media: list[str], target: str, offset_us: int, skip_us: int) -> None:
        self.id = id
        self.key = ""
        """What the world calls it: ids of playbacks need not be unique here, but there they are."""
        self.media = media
        self.target = target
        self.skip_us = skip_us
        self.state: State = "queued"
        self.place = 0
        self.position_us = offset_us
        self.began = 0
        """When position 0 was, or would have been."""
        self.turn = 0
        """Counts whenever the end moves, so that an old timer is known."""

    @property
    def uri(self) -> str:
        """The sound that is played now."""
        return self.media[self.place]

    def json(self) -> dict[str, Any]:
        """The playback as ARI shows it."""
        shown = {"id": self.id, "media_uri": self.uri}
        if self.place + 1 < len(self.media):
            shown["next_media_uri"] = self.media[self.place + 1]
        return shown | {"target_uri": self.target, "language": "en", "state": self.state}


class Player:
    """Plays sounds in one exchange."""

    def __init__(self, exchange: "Exchange") -> None:
        self._exchange = exchange
        self._world = exchange.world
        self._now_on: dict[str, list[Playing]] = {}
        self._keys = itertools.count()

    def find(self, id: str) -> Playing:
        """A playback that is queued, playing or paused; of several, the first. Raises `Refused` (404)."""
        found = self._now_on.get(id)
        if not found:
            raise Refused(404, "Playback not found")
        return found[0]

    def play(self, playing: Playing, target_id: str) -> None:
        """Begin, after what is running there already; an id that is taken is played twice. Raises `Gone`."""
        uri = playing.media[0]
        playing.key = f"{playing.id}#{next(self._keys)}"
        made = self._world.play(playing.key, target_id, Heard(self._exchange.heard_as(uri), uri))
        # The world may have ended it already: then the end is told after this, and finds it.
        made.tag = playing
        self._now_on.setdefault(playing.id, []).append(playing)

    def stop(self, id: str) -> None:
        """Stop a playback, or take it out of the queue. Raises `Refused` (404)."""
        playing = self.find(id)
        try:
            self._world.stop_play(playing.key)
        except Gone:
            raise Refused(404, "Playback not found") from None

    def control(self, id: str, operation: str) -> None:
        """Pause, seek, go on. Raises `Refused`: 400, 404, 409."""
        if not operation:
            raise Refused(400, "Missing operation")
        if operation not in OPERATIONS:
            raise Refused(400, f"Invalid operation {operation}")
        playing = self.find(id)
        match playing.state, operation:
            case "playing", "pause":
                playing.position_us = self._world.now - playing.began
                playing.turn += 1
                playing.state = "paused"
            case "playing", "restart":
                self._go(playing, 0)
            case "playing", "forward":
                self._go(playing, self._world.now - playing.began + playing.skip_us)
            case "playing", "reverse":
                self._go(playing, max(0, self._world.now - playing.began - playing.skip_us))
            case "paused", "unpause":
                playing.state = "playing"
                self._go(playing, playing.position_us)
                self._tell("PlaybackStarted", playing)
            case ("playing", "unpause") | ("paused", "pause") | ("queued", "restart"):
                pass
            case _:
                raise Refused(409, f"Can only {operation} while media is playing")

    # What the world reports

    def started(self, playback: Playback) -> None:
        """A playback's first sound begins."""
        playing: Playing = playback.tag
        playing.state = "playing"
        self._tell("PlaybackStarted", playing)
        self._go(playing, playing.position_us)
        for leg in _listeners(playback):
            leg.phone.hears(leg, playback.sound)

    def ended(self, playback: Playback, ok: bool) -> None:
        """A playback is over: played, stopped, or impossible."""
        playing: Playing = playback.tag
        self._forget(playing)
        if not playback.started and not ok:
            playing.state = "playing"
            self._tell("PlaybackStarted", playing)  # Asterisk says so even of a sound that is not there
            if playing.uri.partition(":")[0] not in TOLD_OF_FAILURE:
                return
        playing.turn += 1
        playing.state = "done" if ok and playing.state != "failed" else "failed"
        self._tell("PlaybackFinished", playing)
        for leg in _listeners(playback):
            leg.phone.heard(leg, playback.sound)

    # Inside

    def _forget(self, playing: Playing) -> None:
        same = self._now_on[playing.id]
        same.remove(playing)
        if not same:
            del self._now_on[playing.id]

    def _go(self, playing: Playing, position_us: int) -> None:
        """Be at this position of the present sound now."""
        playing.turn += 1
        playing.began = self._world.now - position_us
        length_us = self._exchange.lengths(playing.uri)
        left_us = (ENDLESS_US if length_us is None else length_us) - position_us
        self._world.after(max(0, left_us), self._sound_over, (playing, playing.turn))

    def _sound_over(self, of: tuple[Playing, int]) -> None:
        playing, turn = of
        if playing.turn != turn or playing.key not in self._world.playbacks:
            return
        if playing.place + 1 == len(playing.media):
            self._world.stop_play(playing.key)
            return
        playing.state = "continuing"
        self._tell("PlaybackContinuing", playing)
        playing.place += 1
        playback = self._world.playbacks[playing.key]
        self._change_sound(playback, playing.uri)
        if self._exchange.lengths(playing.uri) is None:
            playing.state = "failed"
            self._world.stop_play(playing.key)
            return
        playing.state = "playing"
        self._tell("PlaybackStarted", playing)
        self._go(playing, 0)

    def _change_sound(self, playback: Playback, uri: str) -> None:
        legs = [playback.target] if isinstance(playback.target, Leg) else _listeners(playback)
        before, playback.sound = playback.sound, Heard(self._exchange.heard_as(uri), uri)
        for leg in legs:
            leg.phone.heard(leg, before)
            leg.phone.hears(leg, playback.sound)

    def _tell(self, kind: str, playing: Playing) -> None:
        self._exchange.tell_of_target(kind, playing.target, {"playback": playing.json()})


def _listeners(playback: Playback) -> Iterator[Leg] | list[Leg]:
    """The legs in the bridge that is played to; the world itself tells a leg that is played to."""
    return list(playback.target.legs) if isinstance(playback.target, Bridge) else []


def microseconds(ms: int) -> int:
    """Of milliseconds."""
    return ms * SECOND // 1_000
