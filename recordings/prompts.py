"""Every prompt a caller may hear, ready as files before the call needs it.

A flow names sounds by key (`recordings.keys`). Publishing renders them; a live call only looks up. A rendered file is
never changed: its name is made of what it is and of what went into it (`recordings.rendered`), so a prompt being
played survives the publication of its successor, several engines may share a directory, and after a restart the names
alone tell what is there.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Protocol

from recordings import keys, rendered, sweeping
from recordings.errors import SoundError, SoundsUnavailable, SoundUnavailable
from recordings.keys import Url
from recordings.render import Audios, Order, Upload, Workshop, ordered
from recordings.rendered import Rendered, known
from recordings.speech import Speech

__all__ = ["Audios", "Progress", "PromptLibrary", "Rendered", "Upload", "Wanted"]

AT_ONCE: Final = 2
NOT_IN_A_MEDIA_URI: Final = frozenset(",&?#%\n\r\0")

Wanted = str | tuple[str, str]
"""An account and a sound key as its flows mean it; or the key alone, of a sound that is nobody's."""
Progress = Callable[[int, int], None]
"""Called with how many of how many sounds are done (rendered or failed)."""
Kept = Callable[[str, SoundError], None]
"""Called with the key of an address that could not be fetched anew, and why; what was fetched before is kept."""


class Fetches(Protocol):
    """Gets a file from the web: `recordings.fetch.Fetcher`."""

    async def fetch(self, address: str, target: Path) -> object:
        """Write what is at the address to `target`, whole or not at all. Raises `SoundUnavailable`."""
        ...


class PromptLibrary:
    """Renders sound keys into a directory and remembers what is there."""

    def __init__(
        self,
        directory: Path,
        speech: Speech,
        audio_root: Path | None = None,
        audios: Audios | None = None,
        fetcher: Fetches | None = None,
    ) -> None:
        """Reads the directory (blocking, some 0.2 ms a sound). Raises `SoundUnavailable` if it cannot serve.

        Args:
            directory: of the rendered files; Asterisk reads it, or asks the engine for them.
            speech: speaks texts.
            audio_root: of files that every account may name by path, where it has no upload of that name.
            audios: the uploads of accounts.
            fetcher: without one, an address that was not fetched before is refused.
        """
        self._directory = directory.resolve()
        self._speech = speech
        self._audios = audios
        self._fetcher = fetcher
        self._workshop = Workshop(self._directory, speech, audio_root.resolve() if audio_root else None)
        self._ready: dict[str, Rendered] = {}
        """By name, see `recordings.rendered`."""
        self._rendering: dict[str, asyncio.Task[Rendered]] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)
        if NOT_IN_A_MEDIA_URI & set(str(self._directory)):
            mend = "choose a directory of letters, digits, `-`, `_` and `.`"
            raise SoundUnavailable(str(self._directory), "Asterisk cannot be told a path like this", mend)
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            sweeping.clear_left_overs(self._directory)
            self._ready = rendered.found(self._directory)
        except OSError as error:
            mend = "give the engine a prompt directory it may write"
            raise SoundUnavailable(
                str(self._directory), f"it cannot be used ({error.strerror})", mend
            ) from error

    @property
    def directory(self) -> Path:
        """Where the rendered files are."""
        return self._directory

    def lookup(self, key: str, account: str = "", audios: Audios | None = None) -> Rendered | None:
        """The rendered sound, if there is one. Touches memory only, so a live call may ask.

        `audios`: uploads as they will be, instead of those of now.
        """
        try:
            return self._ready.get(self._ordered(key, account, audios).name)
        except SoundUnavailable:
            return None

    async def render(self, key: str, account: str = "") -> Rendered:
        """Render a sound, or find it rendered. Several callers who want the same share the work.

        An address is fetched only if it never was. Raises `SoundUnavailable`, `BadAudio`, `SpeechRefused`,
        `ToolFailed`, `ToolMissing`.
        """
        return await self._shared(self._ordered(key, account), None)

    async def render_all(
        self,
        wanted: Iterable[Wanted],
        progress: Progress | None = None,
        fetch_anew: Kept | None = None,
        audios: Audios | None = None,
    ) -> dict[Wanted, Rendered]:
        """Render everything; a failure stops none of the others. What another engine rendered here is found first.

        With `fetch_anew` (publishing), addresses are fetched again, and it is told of those that could not be: they
        sound as they did before. `audios` are the uploads as they will be, so that a replaced one is ready before
        `lookup` is asked for it. Raises `SoundsUnavailable` with all failures when everything else is rendered.
        """
        order = list(dict.fromkeys(wanted))
        done: dict[Wanted, Rendered] = {}
        failures: dict[Wanted, SoundError] = {}
        await self.refresh()

        async def one(each: Wanted) -> None:
            account, key = ("", each) if isinstance(each, str) else each
            try:
                done[each] = await self._shared(self._ordered(key, account, audios), fetch_anew)
            except SoundError as error:
                failures[each] = error
            if progress:
                progress(len(done) + len(failures), len(order))

        async with asyncio.TaskGroup() as group:
            for each in order:
                group.create_task(one(each))
        if failures:
            raise SoundsUnavailable(_by_key({each: failures[each] for each in order if each in failures}))
        return {each: done[each] for each in order}

    async def refresh(self) -> None:
        """Look what other processes rendered into the directory, and what is gone from it."""
        before = dict(self._ready)
        try:
            there = await asyncio.to_thread(rendered.found, self._directory)
        except OSError:
            return  # What is in memory may still be played; whoever renders now will be told what is wrong.
        meanwhile = {name: each for name, each in self._ready.items() if before.get(name) is not each}
        self._ready = there | meanwhile

    async def sweep(self, wanted: Iterable[Wanted], older_than_s: float = sweeping.DAY_S) -> int:
        """Delete renderings that nobody has wanted for so long; gives how many sounds are gone.

        What is wanted is marked so: a sound goes at the earliest `older_than_s` after the last sweep that wanted it,
        and never within a day. `wanted` must name the sounds of running calls, too.
        """
        names = set()
        for each in wanted:
            account, key = ("", each) if isinstance(each, str) else each
            try:
                names.add(self._ordered(key, account).name)
            except SoundUnavailable:
                continue
        await self.refresh()
        keep = {path.name for name in names if (path := self._path(name)) is not None}
        gone = await asyncio.to_thread(sweeping.sweep, self._directory, keep, older_than_s)
        await self.refresh()
        return gone

    def _path(self, name: str) -> Path | None:
        there = self._ready.get(name)
        return None if there is None else there.path

    def _ordered(self, key: str, account: str, audios: Audios | None = None) -> Order:
        return ordered(key, account, audios or self._audios, self._speech)

    async def _shared(self, order: Order, fetch_anew: Kept | None) -> Rendered:
        """One rendering for all who want the same at the same time."""
        anew = fetch_anew is not None and isinstance(order.sound, Url)
        name = f"{order.name} anew" if anew else order.name
        task = self._rendering.get(name)
        if task is None:
            task = asyncio.create_task(self._render(order, fetch_anew if anew else None))
            self._rendering[name] = task
            task.add_done_callback(lambda done: self._rendered(name, done))
        return await asyncio.shield(task)

    async def _render(self, order: Order, fetch_anew: Kept | None) -> Rendered:
        async with self._turns:
            try:
                made = await self._make(order, fetch_anew)
            except OSError as error:
                mend = "free some space, and let the engine write its prompt directory"
                reason = f"it cannot be written ({error.strerror})"
                raise SoundUnavailable(keys.shown(order.key), reason, mend) from error
        self._ready[order.name] = made
        return made

    async def _make(self, order: Order, fetch_anew: Kept | None) -> Rendered:
        room = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=self._directory, prefix=sweeping.ROOM))
        try:
            if isinstance(order.sound, Url):
                return await self._fetched(order, order.sound.address, room, fetch_anew)
            return await asyncio.to_thread(self._workshop.make, order, room)
        finally:
            await asyncio.to_thread(shutil.rmtree, room, ignore_errors=True)

    async def _fetched(self, order: Order, address: str, room: Path, fetch_anew: Kept | None) -> Rendered:
        before = self._ready.get(order.name)
        before = before and await asyncio.to_thread(known, before.path)
        if before is not None and fetch_anew is None:
            return before
        try:
            if self._fetcher is None:
                mend = "publish its flow again, or upload the file and choose it as audio"
                raise SoundUnavailable(keys.shown(order.key), "it was never fetched", mend)
            await self._fetcher.fetch(address, room / "source")
            return await asyncio.to_thread(self._workshop.make, order, room)
        except SoundError as error:
            if before is None or fetch_anew is None:
                raise
            fetch_anew(order.key, error)
            return before

    def _rendered(self, name: str, task: asyncio.Task[Rendered]) -> None:
        self._rendering.pop(name, None)
        if not task.cancelled():
            task.exception()  # Retrieved here too: whoever asked may be gone, and the next who asks tries again.


def _by_key(failures: dict[Wanted, SoundError]) -> dict[str, SoundError]:
    """Failures by key; by key and account where two accounts fail with the same key."""
    told: dict[str, SoundError] = {}
    for each, failure in failures.items():
        account, key = ("", each) if isinstance(each, str) else each
        told[f"{key} ({account})" if key in told else key] = failure
    return told
