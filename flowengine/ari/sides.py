"""A talk recorded with its sides apart: two recordings on Asterisk, one to everybody else.

A bridge is recorded as one channel. So two snoop channels listen to the caller's leg, one to what the caller says and
one to what the caller hears, and each is recorded. Everything is called `<recording>-left` and `<recording>-right`:
the names alone tell what belongs together, in this life of the engine or a later one. Where Asterisk lets nobody
snoop, the bridge is recorded as one channel after all.
"""

import asyncio
import tempfile
from array import array
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import BinaryIO, Final

import msgspec
import structlog

from flowengine.ari import stored
from flowengine.ari.client import AriClient, AriResponse
from flowengine.ari.names import full_id, sides_of, split_id, whole_of
from flowengine.ari.picture import CallPicture
from flowengine.ari.translate import record_query
from flowengine.call import commands
from flowengine.call.events import CALLER, RecordingEnded

log = structlog.get_logger(__name__)

SPIES: Final = ("in", "out")
"""What of the caller's leg is listened to: left what comes from the caller, right what goes to the caller."""
HEADER: Final = stored.WAV_HEADER_BYTES
PIECE: Final = 1 << 16


class _Pair(msgspec.Struct):
    command: commands.Record
    ended: dict[str, RecordingEnded] = {}


class SidesApart:
    """Makes recordings of two sides. `fall_back` records the bridge as one channel instead."""

    def __init__(
        self, client: AriClient, app: str, fall_back: Callable[[CallPicture, commands.Record], None]
    ) -> None:
        self._client = client
        self._app = app
        self._fall_back = fall_back
        self._pairs: dict[tuple[str, str], _Pair] = {}

    def _begin(self, picture: CallPicture, command: commands.Record) -> None:
        """Let two channels listen to the caller; each is recorded when it comes into Stasis (`entered`)."""
        call = picture.call
        self._pairs[call, command.recording] = _Pair(command)
        for snoop, spy in zip(sides_of(full_id(call, command.recording)), SPIES, strict=True):
            answer = self._client.send(
                "POST",
                f"channels/{picture.channel_of(CALLER)}/snoop/{snoop}",
                {"spy": spy, "app": self._app},
                lane=call,
            )
            answer.add_done_callback(partial(self._asked, picture, command))

    def entered(self, channel: str) -> bool:
        """Record a snoop channel of ours that came into Stasis; False when this is none."""
        found = self._pair(channel)
        if found is None:
            return False
        call, pair = found
        self._client.send(
            "POST", f"channels/{channel}/record", record_query(channel, pair.command), lane=call
        )
        return True

    def takes(self, picture: CallPicture, command: commands.SwitchCommand) -> bool:
        """Begin, stop, pause or resume both sides; False when this command is for no such recording."""
        match command:
            case commands.Record(sides=apart) if apart:
                self._begin(picture, command)
            case commands.StopRecord(recording=id) if _is_apart(picture, id):
                for part in sides_of(full_id(picture.call, id)):
                    self._client.send("DELETE", f"channels/{part}", lane=picture.call)
            case commands.PauseRecord(recording=id) if _is_apart(picture, id):
                for part in sides_of(full_id(picture.call, id)):
                    self._client.send("POST", f"recordings/live/{part}/pause", lane=picture.call)
            case commands.ResumeRecord(recording=id) if _is_apart(picture, id):
                for part in sides_of(full_id(picture.call, id)):
                    self._client.send("DELETE", f"recordings/live/{part}/pause", lane=picture.call)
            case _:
                return False
        return True

    def heard(self, call: str, event: RecordingEnded) -> RecordingEnded | None:
        """The end of a whole recording, told when its second side has ended; other ends as they are."""
        recording = whole_of(event.recording)
        if recording is None:
            return event
        pair = self._pairs.get((call, recording))
        if pair is None:
            return None
        pair.ended[event.recording] = event
        if len(pair.ended) < len(SPIES):
            return None
        del self._pairs[call, recording]
        both = pair.ended.values()
        longest_ms = max(each.duration_ms for each in both)
        return RecordingEnded(event.at, recording, longest_ms, ok=any(each.ok for each in both))

    def forget(self, call: str) -> None:
        """The call is released: end what still listens."""
        for recording in [id for of, id in self._pairs if of == call]:
            del self._pairs[call, recording]
            for part in sides_of(full_id(call, recording)):
                self._client.send("DELETE", f"channels/{part}", lane=call)

    def _pair(self, name: str) -> tuple[str, _Pair] | None:
        ours = split_id(name)
        if ours is None or (recording := whole_of(ours[1])) is None:
            return None
        pair = self._pairs.get((ours[0], recording))
        return None if pair is None else (ours[0], pair)

    def _asked(
        self, picture: CallPicture, command: commands.Record, answer: "asyncio.Future[AriResponse]"
    ) -> None:
        refused = None if answer.cancelled() else answer.exception()
        if refused is None or self._pairs.pop((picture.call, command.recording), None) is None:
            return
        log.warning("sides not recorded apart", call=picture.call, why=str(refused))
        for part in sides_of(full_id(picture.call, command.recording)):
            self._client.send("DELETE", f"channels/{part}", lane=picture.call)
        mixed = msgspec.structs.replace(command, sides=())
        if (thing := picture.things.get(command.recording)) is not None:
            thing.made_by = mixed
            self._fall_back(picture, mixed)


def _is_apart(picture: CallPicture, recording: str) -> bool:
    thing = picture.things.get(recording)
    return thing is not None and isinstance(thing.made_by, commands.Record) and bool(thing.made_by.sides)


async def read_any(client: AriClient, name: str) -> AsyncIterator[bytes]:
    """A finished recording as WAV, however it was made. Raises `RecordingMissing`, `AriError`."""
    if await stored.is_stored(client, name) or not await stored.is_stored(client, sides_of(name)[0]):
        pieces = stored.read(client, name)
    else:
        pieces = read(client, name)
    async for piece in pieces:
        yield piece


async def delete_any(client: AriClient, name: str) -> None:
    """Delete a finished recording, however it was made; what is not there is deleted already. Raises `AriError`."""
    if not await stored.delete(client, name):
        for part in sides_of(name):
            await stored.delete(client, part)


async def read(client: AriClient, name: str) -> AsyncIterator[bytes]:
    """Both sides of a finished recording as one stereo WAV, in pieces. Raises `RecordingMissing`, `AriError`.

    A side that ended sooner is silent for the rest. A side whose header was never finished, because Asterisk died,
    leaves the header of the whole unfinished, too, so that the library knows that its end may be missing.
    """
    with tempfile.TemporaryFile() as left, tempfile.TemporaryFile() as right:
        sizes = [
            await _take(client, part, into) for part, into in zip(sides_of(name), (left, right), strict=True)
        ]
        finished = all(_is_finished(each) for each in (left, right))
        yield _header(2 * max(sizes) if finished else 0)
        left.seek(HEADER)
        right.seek(HEADER)
        while True:
            pieces = [each.read(PIECE) for each in (left, right)]
            length = max(len(piece) & ~1 for piece in pieces)
            if not length:
                break
            both = array("h", bytes(2 * length))
            for at, piece in enumerate(pieces):
                both[at::2] = array("h", piece[: len(piece) & ~1].ljust(length, b"\0"))
            yield both.tobytes()


async def _take(client: AriClient, part: str, into: BinaryIO) -> int:
    """Read one side into a file; how many bytes of sound it has."""
    size = 0
    async for piece in stored.read(client, part):
        into.write(piece)
        size += len(piece)
    return max(0, size - HEADER) & ~1


def _is_finished(side: BinaryIO) -> bool:
    side.seek(HEADER - 4)
    return any(side.read(4))


def _header(sound_bytes: int) -> bytes:
    """The header of a WAV file with two channels at 8 kHz, 16 bit."""
    rate, frame = 8_000, 4
    numbers = ((16, 4), (1, 2), (2, 2), (rate, 4), (rate * frame, 4), (frame, 2), (16, 2))
    shape = b"".join(number.to_bytes(size, "little") for number, size in numbers)
    body = sound_bytes + HEADER - 8 if sound_bytes else 0
    return (
        b"RIFF"
        + body.to_bytes(4, "little")
        + b"WAVEfmt "
        + shape
        + b"data"
        + sound_bytes.to_bytes(4, "little")
    )
