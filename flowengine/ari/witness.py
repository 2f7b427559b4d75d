"""The witness: what Asterisk itself wrote down about legs that ended while no engine was there to hear it.

Minutes are owed up to the end of a call, so the end of a call that ended unheard must not be guessed. On each node a
hangup handler leaves a line per leg (`[witness]` in `asterisk_conf/extensions.conf`):

    20261121T213123.089457 CHANNEL_ID Q850_CAUSE STATE

The lines lie among the recordings, in a file for each ten minutes, named like a sound: so ARI itself hands them out
and deletes them, from a node on any machine, and nothing has to be rotated. A line is written before the leg is gone,
and survives the death of Asterisk; not that of its machine, but that ends every call anyway. Docs: `docs/witness.md`.

Asterisk writes its own time. It is set against ours at each question, so that two machines need not agree.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, Protocol

import msgspec
import structlog

from flowengine.ari.errors import AriError, AriRefused
from flowengine.ari.rest import AriResponse, Method, QueryValue
from flowengine.ari.translate import NOT_FOUND, known_cause
from flowengine.call import causes
from flowengine.call.events import Instant
from flowengine.ports import Clock

log = structlog.get_logger(__name__)

PREFIX: Final = "flowengine-ended-"
LOOK_BACK_S: Final = 7 * 86_400
"""How long an engine may be away and still learn of every end; also how long the lines are kept."""
SAME_TIME_US: Final = 50_000
"""A difference of two clocks smaller than this is not told from the time a question takes."""

_SEGMENT: Final = timedelta(minutes=10)
_SEGMENT_NAME: Final = re.compile(re.escape(PREFIX) + r"(\d{8}T\d{3})")
# Looked for and not matched: a line that was torn by a power cut has the next one at its end.
_LINE: Final = re.compile(rb"(\d{8}T\d{6}\.\d{6}) (\S+) (\d{1,3}) (\S+)$")
_STAMP: Final = "%Y%m%dT%H%M%S.%f"
_LONGEST_LINE: Final = 512
_LANE: Final = "witness"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Ended(msgspec.Struct, frozen=True):
    """The end of one leg, as its node saw it."""

    at: Instant
    """By this engine's clock; never before what was asked `since`, nor in the future."""
    cause: int
    """Q.850; NORMAL when the other side gave none."""
    was_up: bool
    """Whether the leg was ever answered."""
    proof: Literal["line", "lost", "none"] = "line"
    """What `at` rests on. `lost`: Asterisk died with the leg up, and that was its last proof of life. `none`: Asterisk
    lived and left no line, as where it has no witness; it is when the leg was last known."""


class Ari(Protocol):
    """What is needed of the `AriClient`."""

    def send(
        self, method: Method, path: str, query: Mapping[str, QueryValue] | None = None, *, lane: str = ""
    ) -> "asyncio.Future[AriResponse]":
        """Send; the future has the answer or an `AriError`."""
        ...

    def download(self, path: str) -> AsyncIterator[bytes]:
        """The bytes of `path`, in pieces; raises `AriError`."""
        ...


class Line(msgspec.Struct, frozen=True):
    """One line of the witness. `at` is the node's time."""

    at: Instant
    channel: str
    cause: int
    was_up: bool


class Witness:
    """Reads what one Asterisk wrote down. `clock` is the engine's own."""

    def __init__(self, ari: Ari, clock: Clock) -> None:
        self._ari = ari
        self._clock = clock

    async def ended(self, channels: Collection[str], since: Instant) -> dict[str, Ended]:
        """When and why each of these legs ended; one without a line is missing in the answer.

        Ask only for legs that are gone, so that the search can stop at the last one found. `since` is when this engine
        last knew of any of them: no end is sought before, nor told earlier. At most `LOOK_BACK_S` are searched.
        Raises `AriError`.
        """
        found: dict[str, Ended] = {}
        missing = {channel.encode() for channel in channels}
        if not missing:
            return found
        ahead_us = await self._ahead_us()
        now = self._clock.now()
        for name in segments(since + ahead_us, now + ahead_us):
            async for text in self._segment(name):
                # Most lines are of other legs; to take each apart would cost many times this look.
                if _channel(text) in missing and (line := line_of(text)) is not None:
                    at = min(max(line.at - ahead_us, since), now)
                    found.setdefault(line.channel, Ended(at, line.cause, line.was_up))
            missing.difference_update(channel.encode() for channel in found)
            if not missing:
                break
        return found

    async def ends(self, gone: Mapping[str, Instant], started_at: Instant | None = None) -> dict[str, Ended]:
        """The end of each of these legs, by the best proof there is; what the switch asks after a gap.

        `gone` says for each leg that is no more when it was last known, before which it did not end. `started_at` is
        Asterisk's own time of its start, unless its life is known to be the same: a leg older than that and without a
        line ended at the last proof of life. Any other without a line ended when it was last known, as nobody is
        charged for minutes of which there is no proof. Raises `AriError`.
        """
        if not gone:
            return {}
        since = min(gone.values())
        found = await self.ended(gone, since)
        sign, started = None, 0
        if started_at is not None and len(found) < len(gone):
            sign = await self.last_sign(since, started_at)
            started = started_at - await self._ahead_us()
        ends = {}
        for channel, last_known in gone.items():
            end = found.get(channel)
            if end is None:
                proof: Literal["lost", "none"] = "lost" if last_known < started else "none"
                end = Ended(sign or since, causes.NORMAL, was_up=False, proof=proof)
            ends[channel] = msgspec.structs.replace(end, at=max(end.at, last_known))
        return ends

    async def last_sign(self, since: Instant, started_at: Instant) -> Instant | None:
        """The last proof, after `since`, that this Asterisk lived before its start at `started_at`; None without one.

        `started_at` is Asterisk's own time, as `liveness` has it. Raises `AriError`.
        """
        ahead_us = await self._ahead_us()
        before = stamp_of(started_at).encode()
        for name in segments(since + ahead_us, started_at):
            latest = b""
            async for text in self._segment(name):
                found = _LINE.search(text)
                if found is not None and latest < found[1] < before:
                    latest, last = found[1], text
            if latest and (line := line_of(last)) is not None:
                at = line.at - ahead_us
                return at if at > since else None
        return None

    async def prune(self) -> int:
        """Delete lines nobody will ask for any more, by their file; returns how many files. Raises `AriError`."""
        oldest = segment_of(self._clock.now() + await self._ahead_us() - LOOK_BACK_S * 1_000_000)
        stored = (await self._ari.send("GET", "recordings/stored", lane=_LANE)).body
        pruned = 0
        for name in _names(stored):
            if name < oldest:
                try:
                    await self._ari.send("DELETE", f"recordings/stored/{name}", lane=_LANE)
                except AriRefused as refused:
                    if refused.status != NOT_FOUND:
                        raise
                pruned += 1
        return pruned

    async def prune_daily(self) -> None:
        """Prune now and once a day, until cancelled; without Asterisk, at the next time."""
        while True:
            try:
                await self.prune()
            except AriError as error:
                log.warning("witness not pruned", why=str(error))
            await asyncio.sleep(86_400)

    async def _ahead_us(self) -> int:
        """By how much the clock of the node is ahead of ours."""
        asked = self._clock.now()
        answer = (await self._ari.send("GET", "asterisk/ping", lane=_LANE)).body
        answered = self._clock.now()
        stamp = answer.get("timestamp") if isinstance(answer, dict) else None
        if not isinstance(stamp, str):
            return 0  # an Asterisk that does not tell the time is taken to have ours
        difference = instant_of(stamp) - (asked + answered) // 2
        return difference if abs(difference) >= SAME_TIME_US + (answered - asked) // 2 else 0

    async def _segment(self, name: str) -> AsyncIterator[bytes]:
        """The whole lines of one file, in the order of their writing; none if there is no such file."""
        rest = b""
        try:
            async for piece in self._ari.download(f"recordings/stored/{name}/file"):
                *whole, rest = (rest + piece).split(b"\n")
                rest = rest[-_LONGEST_LINE:]
                for text in whole:
                    yield text
        except AriRefused as refused:
            if refused.status != NOT_FOUND:
                raise


def line_of(text: bytes) -> Line | None:
    """Read one line without its end; None for what is none, such as one that a power cut has torn."""
    found = _LINE.search(text)
    if found is None:
        return None
    stamp, channel, cause, state = found.groups()
    try:
        at = datetime.strptime(stamp.decode(), _STAMP).replace(tzinfo=UTC)
        return Line(_instant(at), channel.decode(), known_cause(int(cause)), state == b"Up")
    except ValueError:
        return None


def instant_of(stamp: str) -> Instant:
    """A time as ARI writes it, such as `2026-11-21T21:31:22.245+0000`. Raises `AriError`."""
    try:
        return _instant(datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%S.%f%z"))
    except ValueError:
        raise AriError(f"Asterisk's time {stamp[:40]!r} cannot be read") from None


def segment_of(at: Instant) -> str:
    """The name of the file which has the lines of that time (of the node)."""
    return PREFIX + stamp_of(at)[:12]


def stamp_of(at: Instant) -> str:
    """A time as it stands in a line."""
    return (_EPOCH + timedelta(microseconds=at)).strftime(_STAMP)


def segments(since: Instant, until: Instant) -> Iterator[str]:
    """The names of the files that can have a line between the two, newest first."""
    since = max(since, until - LOOK_BACK_S * 1_000_000)
    # One more on either side: name and time of a line are taken a moment apart.
    at, step = until + 1_000_000, _SEGMENT // timedelta(microseconds=1)
    oldest = segment_of(since - 1_000_000)
    while (name := segment_of(at)) >= oldest:
        yield name
        at -= step


def _channel(text: bytes) -> bytes:
    fields = text.rsplit(b" ", 3)
    return fields[1] if len(fields) == 4 else b""


def _names(stored: Any) -> list[str]:
    """The names of the witness's files in Asterisk's list of recordings."""
    names = (each.get("name", "") for each in stored or () if isinstance(each, dict))
    return [name for name in names if _SEGMENT_NAME.fullmatch(name)]


def _instant(at: datetime) -> Instant:
    return (at - _EPOCH) // timedelta(microseconds=1)
