"""Sounds and recordings of the simulated world: what runs on a leg or in a bridge, how long, and how it ends.

On a leg one thing runs at a time and the others wait for it, as Asterisk does. Recordings count the audio received
from the telephone, so limit and silence stand still while it sends none.
"""

from simulator.sounds import Sounds
from simulator.things import (
    Bridge,
    Conflict,
    EndOfRecording,
    Gone,
    Leg,
    Observer,
    Playback,
    Recording,
    SoundLengths,
)
from simulator.virtual_time import VirtualTime


class Media(VirtualTime):
    """The part of the world that makes and takes sound. `World` puts the legs and bridges to it."""

    def __init__(self, sounds: SoundLengths | None, start: int, latency_us: int) -> None:
        super().__init__(start, latency_us)
        self.observer = Observer()
        self.legs: dict[str, Leg] = {}
        self.bridges: dict[str, Bridge] = {}
        self.playbacks: dict[str, Playback] = {}
        self.recordings: dict[str, Recording] = {}
        self.stored: dict[str, Recording] = {}
        """Finished recordings, until they are discarded."""
        self._sounds: SoundLengths = sounds or Sounds()

    @property
    def observer(self) -> Observer:
        """Who is told what happens."""
        return self._observer

    @observer.setter
    def observer(self, observer: Observer) -> None:
        self._observer = observer
        listens = {name for name, told in vars(Observer).items() if getattr(type(observer), name) is not told}
        self._tells_starts = not listens.isdisjoint({"playback_started", "recording_started"})
        self._tells_leaving = "leg_leaving" in listens

    def play(self, playback_id: str, target_id: str, sound: str) -> Playback:
        """Play a sound to a leg or a bridge, after what is already running there. Raises as `record` does."""
        target = self._target(target_id)
        if playback_id in self.playbacks:
            raise Conflict(f"there is a playback {playback_id} already")
        playback = self.playbacks[playback_id] = Playback(playback_id, target, sound)
        target.media.append(playback)
        if len(target.media) == 1:
            self._later(self._begin, playback)
        return playback

    def stop_play(self, playback_id: str) -> None:
        """Cut a sound short. Raises `Gone`."""
        playback = self.playbacks.get(playback_id)
        if playback is None:
            raise Gone(f"no playback {playback_id}")
        self._later(self._played, playback)

    def record(
        self,
        recording_id: str,
        target_id: str,
        *,
        limit_us: int = 0,
        silence_us: int = 0,
        end_on: str = "",
    ) -> Recording:
        """Record a leg or a bridge; a leg's limit and silence run on the audio received from it.

        Args:
            recording_id: chosen by the caller.
            target_id: a leg or a bridge.
            limit_us: longest recording, 0 for no limit.
            silence_us: silence that ends it, 0 for none.
            end_on: the key that ends it, "any" for every key, "" for none.

        Raises:
            Gone: no such leg or bridge.
            Conflict: a dialled leg is not answered, or there is a recording with that id, running or stored.
        """
        target = self._target(target_id)
        if recording_id in self.recordings or recording_id in self.stored:
            raise Conflict(f"there is a recording {recording_id} already")
        recording = Recording(recording_id, target, limit_us, silence_us, end_on)
        self.recordings[recording_id] = recording
        if isinstance(target, Bridge):
            target.recordings.append(recording)
            self._later(self._begin, recording)
        else:
            target.media.append(recording)
            if len(target.media) == 1:
                self._later(self._begin, recording)
        return recording

    def stop_record(self, recording_id: str) -> None:
        """Complete a recording. Raises `Gone`."""
        self._later(self._recorded, self._live(recording_id))

    def pause_record(self, recording_id: str) -> None:
        """Leave out what is heard from now on. Raises `Gone`."""
        self._pause(self._live(recording_id), paused=True)

    def resume_record(self, recording_id: str) -> None:
        """Go on with a paused recording. Raises `Gone`."""
        self._pause(self._live(recording_id), paused=False)

    def drop_record(self, recording_id: str) -> None:
        """Stop a running recording and throw it away. Raises `Gone`."""
        recording = self._live(recording_id)
        self._recorded(recording)
        self.stored.pop(recording_id, None)

    def discard(self, recording_id: str) -> None:
        """Delete a stored recording. Raises `Gone`."""
        if self.stored.pop(recording_id, None) is None:
            raise Gone(f"no stored recording {recording_id}")

    # Inside

    def _live(self, recording_id: str) -> Recording:
        try:
            return self.recordings[recording_id]
        except KeyError:
            raise Gone(f"no running recording {recording_id}") from None

    def _target(self, target_id: str) -> Leg | Bridge:
        target = self.legs.get(target_id) or self.bridges.get(target_id)
        if target is None:
            raise Gone(f"no leg or bridge {target_id}")
        if isinstance(target, Leg) and not target.inbound and not target.up:
            raise Conflict(f"leg {target_id} is not answered")
        return target

    def _clear_media(self, target: Leg | Bridge) -> None:
        running = list(target.media)
        target.media.clear()
        for each in running:
            if isinstance(each, Recording):
                self._recorded(each, "hang_up")
            else:
                self._played(each, ok=False)

    def _begin(self, media: Playback | Recording) -> None:
        if not media.open or media.started:
            return
        if isinstance(media, Recording):
            self._begin_recording(media)
            return
        length_us = self._sounds(media.sound)
        if length_us is None:
            self._played(media, ok=False)
            return
        media.started = True
        if self._tells_starts:
            self._ready.append((self._observer.playback_started, (media,)))
        if isinstance(media.target, Leg):
            self._ready.append((media.target.phone.hears, (media.target, media.sound)))
        self.after(length_us, self._played, media)

    def _played(self, playback: Playback, ok: bool = True) -> None:
        if not playback.open:
            return
        playback.open = False
        del self.playbacks[playback.id]
        self._ready.append((self._observer.playback_ended, (playback, ok)))
        target = playback.target
        if playback.started and isinstance(target, Leg):
            self._ready.append((target.phone.heard, (target, playback.sound)))
        self._next_media(target, playback)

    def _next_media(self, target: Leg | Bridge, done: Playback | Recording) -> None:
        media = target.media
        if not media:
            return
        if media[0] is not done:
            if done in media:
                media.remove(done)
            return
        del media[0]
        if media:
            self._begin(media[0])

    def _begin_recording(self, recording: Recording) -> None:
        recording.started = True
        recording.since = self.now
        target = recording.target
        if self._tells_starts:
            self._ready.append((self._observer.recording_started, (recording,)))
        if isinstance(target, Leg):
            recording.sending, recording.talking = target.sending, target.talking
        else:
            recording.sending = recording.talking = True
        self._watch(recording)

    def _audio_changed(self, leg: Leg) -> None:
        first = leg.media[0] if leg.media else None
        if isinstance(first, Recording) and first.started:
            self._account(first)
            first.sending, first.talking = leg.sending, leg.talking
            self._watch(first)

    def _account(self, recording: Recording) -> None:
        """Add the time since the last change, as what it was."""
        passed = self.now - recording.since
        recording.since = self.now
        if not recording.sending or recording.paused:
            return
        recording.received_us += passed
        if recording.talking:
            recording.talked_us += passed
            recording.quiet_us = 0
        else:
            recording.quiet_us += passed

    def _watch(self, recording: Recording) -> None:
        """Set the instant at which limit or silence will end this recording, if audio goes on as it is."""
        recording.deadline = 0
        if not recording.sending or recording.paused:
            return
        left = recording.limit_us - recording.received_us if recording.limit_us else None
        if recording.silence_us and not recording.talking:
            quiet_left = recording.silence_us - recording.quiet_us
            left = quiet_left if left is None else min(left, quiet_left)
        if left is not None:
            recording.deadline = self.now + max(left, 0)
            self.at(recording.deadline, self._recording_due, recording)

    def _pause(self, recording: Recording, *, paused: bool) -> None:
        if recording.started:
            self._account(recording)
        recording.paused = paused
        if recording.started:
            self._watch(recording)

    def _recording_due(self, recording: Recording) -> None:
        if recording.open and recording.deadline == self.now:
            self._account(recording)
            at_limit = recording.limit_us and recording.received_us >= recording.limit_us
            self._recorded(recording, "limit" if at_limit else "silence")

    def _recorded(self, recording: Recording, by: EndOfRecording = "stopped") -> None:
        if not recording.open:
            return
        if recording.started:
            self._account(recording)
        recording.open = False
        recording.ended_by = by
        del self.recordings[recording.id]
        self.stored[recording.id] = recording
        self._ready.append((self._observer.recording_ended, (recording,)))
        target = recording.target
        if isinstance(target, Bridge):
            target.recordings.remove(recording)
        else:
            self._next_media(target, recording)
