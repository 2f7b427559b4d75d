"""Notifications on their way to the admins: taken from the database, given to a program, tried again.

How people are reached (mail, chat, pager) is the operator's choice: `notify_command` names a program that gets one
notification as JSON on its standard input, and says by its exit code 0 that it has taken it. No shell is involved, and
whatever a caller or a carrier put into a name or number is data there. A program that fails or hangs is tried again for
some hours; a notification may come twice, and has an id to tell.
"""

import asyncio
import json
import shlex
from collections.abc import Mapping
from typing import Any, Final, Protocol

import structlog

from flowengine.call.events import SECOND
from flowengine.ports import Clock
from flowengine.storage.words import words
from flowengine.store import notifications as rows
from flowengine.store.database import Database
from flowengine.store.recordings import moment
from recordings.errors import SoundError
from recordings.process import run

log = structlog.get_logger(__name__)

POLL_S: Final = 2.0
COMMAND_S: Final = 20.0
"""How long a program may take over one notification."""
FIRST_PAUSE_S: Final = 10
LONGEST_PAUSE_S: Final = 3_600


class NotDelivered(Exception):
    """A notification did not arrive; the message says why and is shown to operators, not to the log."""


class Notify(Protocol):
    """A way to reach admins."""

    async def deliver(self, message: Mapping[str, Any]) -> None:
        """Deliver one notification, in bounded time. Raises `NotDelivered`; then it comes again later."""


class OnlyLog:
    """Reaches nobody: what happened stands in the log and in the database."""

    async def deliver(self, message: Mapping[str, Any]) -> None:
        """See `Notify.deliver`."""
        del message


class CommandNotify:
    """Runs a program for each notification."""

    def __init__(self, argv: list[str], seconds: float = COMMAND_S) -> None:
        self._argv = argv
        self._seconds = seconds

    async def deliver(self, message: Mapping[str, Any]) -> None:
        """See `Notify.deliver`."""
        text = json.dumps(message, ensure_ascii=False) + "\n"
        mend = "correct notify_command, or leave it empty"
        try:
            ended = await asyncio.to_thread(run, self._argv, seconds=self._seconds, mend=mend, text=text)
        except SoundError as error:
            raise NotDelivered(str(error)) from error
        if ended.code:
            raise NotDelivered(f"{self._argv[0]} ended with {ended.code}: {ended.complaint[-300:]}")


def notify_by(command: str) -> Notify:
    """The way that a command line names; none is the log.

    Raises:
        ValueError: the command line has an open quotation.
    """
    argv = shlex.split(command)
    return CommandNotify(argv) if argv else OnlyLog()


class Notices:
    """Delivers what is due."""

    def __init__(self, database: Database, notify: Notify, clock: Clock) -> None:
        self._database = database
        self._notify = notify
        self._clock = clock

    async def deliver_due(self) -> int:
        """Deliver each notification that is due, the oldest first; how many arrived."""
        arrived = 0
        async with self._database.reading() as session:
            if not await rows.is_due(session, self._clock.now()):
                return 0
        async with self._database.writing() as session:
            taken = await rows.take_due(session, self._clock.now())
        for notice in taken:
            arrived += await self._deliver(notice)
        return arrived

    async def run(self) -> None:
        """Deliver for ever."""
        while True:
            try:
                await self.deliver_due()
            except Exception:
                log.exception("notifications not looked at")
            await asyncio.sleep(POLL_S)

    async def _deliver(self, notice: rows.Notice) -> bool:
        problem = ""
        try:
            await self._notify.deliver(message_of(notice))
        except NotDelivered as error:
            problem = str(error)
        now = self._clock.now()
        async with self._database.writing() as session:
            if problem:
                await rows.not_delivered(session, notice.id, now + pause(notice.tries) * SECOND, problem)
            else:
                await rows.delivered(session, notice.id, now)
        known = {"notification": notice.id, "kind": notice.kind, "account": notice.account}
        if not problem:
            log.info("admins told", **known)
        elif notice.tries + 1 < rows.MOST_TRIES:
            log.warning("admins not told, trying again", **known)
        else:
            log.error("admins not told, given up", **known)
        return not problem


def message_of(notice: rows.Notice) -> dict[str, Any]:
    """What a program is given."""
    return {
        "id": notice.id,
        "account": notice.account_key,
        "kind": notice.kind,
        "at": moment(notice.at).isoformat(timespec="seconds"),
        "text": words(notice.kind, notice.data),
        "data": dict(notice.data),
    }


def pause(tries: int) -> int:
    """How many seconds to wait after so many earlier tries have failed, and one more."""
    return min(FIRST_PAUSE_S << min(tries, 20), LONGEST_PAUSE_S)
