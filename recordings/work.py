"""Threads of a library's own, and a time limit for all that is done in them.

A volume that hangs (a network disk whose server is gone) holds the thread that touches it, and no time limit can free
it. So nothing of it may run in threads that others need, the number of held threads is bounded, and whoever waits is
told after a while that the volume does not answer.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, ParamSpec, TypeVar

from recordings.errors import LibraryUnavailable

P = ParamSpec("P")
T = TypeVar("T")

THREADS: Final = 8
CHECK_S: Final = 2.0
TIDY_S: Final = 2.0
MEND: Final = "look whether its volume or service hangs; when it answers, the library goes on by itself"


class Work:
    """Runs blocking work of one library, `THREADS` pieces at a time."""

    def __init__(self, address: str) -> None:
        """`address` names the library in errors."""
        self._address = address
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="recordings")

    async def do(
        self, name: str, seconds: float, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `work` for the recording `name`. Raises `LibraryUnavailable` when it takes longer than `seconds`."""
        return await self.wait(self.start(work, *args, **kwargs), name, seconds)

    def start(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        """Begin `work`; what came of it, or will."""
        return self._threads.submit(work, *args, **kwargs)

    async def wait(self, begun: "Future[T]", name: str, seconds: float) -> T:
        """Wait for begun work. Raises `LibraryUnavailable` when it takes longer than `seconds`."""
        return await waited(begun, name, self._address, seconds)


class Steps:
    """Work on one recording, step after step, and an end that waits for a step that nobody waits for any more."""

    def __init__(self, work: Work, name: str) -> None:
        self._work = work
        self._name = name
        self._last: Future[Any] | None = None

    async def do(self, seconds: float, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """See `Work.do`."""
        self._last = begun = self._work.start(step, *args, **kwargs)
        return await self._work.wait(begun, self._name, seconds)

    async def end(self, tidy: Callable[[], None] | None, over: Callable[[], None]) -> None:
        """Run `tidy` in a thread, then `over`, when the last step is over: soon, or when a held thread comes back.

        It is waited for, but not long: a volume that hangs is left alone with what is to be tidied there.
        """
        if self._last is not None and not self._last.done():
            self._last.add_done_callback(lambda _: _both(tidy, over))  # in the thread that was held
        elif tidy is None:
            over()
        else:
            begun = self._work.start(tidy)
            begun.add_done_callback(lambda _: over())
            with suppress(LibraryUnavailable):
                await self._work.wait(begun, self._name, TIDY_S)


def _both(tidy: Callable[[], None] | None, over: Callable[[], None]) -> None:
    try:
        if tidy is not None:
            tidy()
    finally:
        over()


class Check:
    """Looks whether a library works: one look at a time, in a thread of its own, shared by all who ask.

    A look that hangs is not joined by another; when it comes back at last, that is the news everybody gets.
    """

    def __init__(self, look: Callable[[], None], address: str) -> None:
        """`look` blocks, and raises `LibraryUnavailable` when the library does not work."""
        self._look = look
        self._address = address
        self._running: Future[LibraryUnavailable | None] | None = None

    async def __call__(self, seconds: float = CHECK_S) -> None:
        """Raises `LibraryUnavailable` when it does not work or does not answer within `seconds`."""
        if self._running is None or self._running.done():
            self._running = Future()
            self._running.set_running_or_notify_cancel()
            threading.Thread(
                target=self._report, args=(self._running,), name="recordings-check", daemon=True
            ).start()
        trouble = await waited(self._running, "the library", self._address, seconds)
        if trouble is not None:
            raise trouble

    def _report(self, to: "Future[LibraryUnavailable | None]") -> None:
        try:
            self._look()
        except LibraryUnavailable as trouble:
            to.set_result(trouble)
        except BaseException as error:
            to.set_exception(error)
        else:
            to.set_result(None)


async def waited(future: "Future[T]", name: str, address: str, seconds: float) -> T:
    """Wait for a thread. Raises `LibraryUnavailable` after `seconds`; the thread goes on alone."""
    try:
        async with asyncio.timeout(seconds):
            return await asyncio.wrap_future(future)
    except TimeoutError as error:
        raise LibraryUnavailable(name, f"{address} has not answered for {seconds:.1f} s", MEND) from error
