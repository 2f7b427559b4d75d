"""Commands over the database: settings read, tables checked, accounts and recordings found by what people type.

Whoever may read the settings and the database is the operator, and may see every account; what is asked of one account
is answered from that account alone.
"""

import asyncio
import contextlib
import re
import sys
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

import typer

from flowengine.cli.screen import MISSING, PROBLEMS, UNREADABLE, fail

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from flowengine.config import Settings
    from flowengine.store.database import Database
    from flowengine.store.recording_lists import Listed
    from recordings.library import RecordingLibrary

T = TypeVar("T")

AccountKey = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The key of the account.")]
OfAccount = Annotated[
    str | None, typer.Option("--account", help="Only of the account with this key; without it, of any.")
]
AGO: Final = re.compile(r"(\d{1,4})([hdw])")
UNITS: Final = {"h": "hours", "d": "days", "w": "weeks"}


class Unknown(Exception):
    """What was named is not there; the message names it and what may have been meant."""


class BadWord(Exception):
    """A word of the command line that cannot be read; the message says what is expected."""


class Company(NamedTuple):
    """An account: its id, its key, its name, and the zone its times are shown in."""

    id: str
    key: str
    name: str
    zone: ZoneInfo


@dataclass(frozen=True)
class Opened:
    """What a command works with."""

    settings: "Settings"
    database: "Database"

    async def company(self, key: str) -> Company:
        """The account with this key or id. Raises `Unknown`."""
        async with self.database.reading() as session:
            return await company(session, key)

    async def companies(self, key: str | None) -> list[Company]:
        """That account, or all of them by key. Raises `Unknown`."""
        if key is not None:
            return [await self.company(key)]
        async with self.database.reading() as session:
            return await _companies(session)

    async def recording(self, id: str, account: str | None) -> "tuple[Company, Listed]":
        """A recording and whose it is; that of another account is as unknown as none. Raises `Unknown`."""
        async with self.database.reading() as session:
            return await recording(session, id, account)

    def library(self) -> "RecordingLibrary":
        """Where the sounds of recordings are. Raises `RecordingRefused`."""
        from flowengine.library import open_library

        return open_library(self.settings)


def with_database(work: Callable[[Opened], Awaitable[T]]) -> T:
    """Do the work of a command over the database, or end with the exit code and the reason.

    1: what was named is not there, or cannot be done. 2: the settings or a word are wrong. 3: the database or the
    library cannot be used. What is logged meanwhile goes to standard error, beside the answer.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from flowengine.billing.plans import BadPlan
    from flowengine.config import BadConfig, load
    from flowengine.store.audios import AudioInUse, AudioRefused
    from flowengine.store.errors import NotDeletable, NotStored, StoreError
    from recordings.errors import BadAudio, RecordingDamaged, RecordingMissing, SoundError

    try:
        settings = load()
        _must_be_there(settings.database)
        with contextlib.redirect_stdout(sys.stderr):
            return asyncio.run(_opened(settings, work))
    except (BadConfig, BadWord, BadPlan) as error:
        fail(str(error), UNREADABLE)
    except (Unknown, NotStored, NotDeletable, AudioInUse, AudioRefused) as error:
        fail(str(error), PROBLEMS)
    except (BadAudio, RecordingMissing, RecordingDamaged) as error:
        fail(str(error), PROBLEMS)
    except (StoreError, SoundError) as error:
        fail(str(error), MISSING)
    except SQLAlchemyError as error:
        fail(f"the database did not do it: {str(error).splitlines()[0]}: try again, or look at it", MISSING)


async def company(session: "AsyncSession", key: str) -> Company:
    """The account with this key or id. Raises `Unknown`."""
    known = {each.key: each for each in await _companies(session)}
    found = known.get(key) or next((each for each in known.values() if each.id == key), None)
    if found is None:
        raise Unknown(f'there is no account "{key[:80]}"{near(key, known)}')
    return found


async def recording(session: "AsyncSession", id: str, account: str | None) -> "tuple[Company, Listed]":
    """A recording and whose it is, in one account or in all. Raises `Unknown`."""
    from sqlalchemy import select

    from flowengine.store import recording_lists
    from flowengine.store.tables import Recording

    wanted = None if account is None else await company(session, account)
    owner = await session.scalar(select(Recording.account_id).where(Recording.id == id))
    if owner is None or (wanted is not None and wanted.id != owner):
        where = "" if wanted is None else f" in the account {wanted.key}"
        raise Unknown(
            f"there is no recording {id[:80]}{where}: `flowengine recordings list ACCOUNT` shows them all"
        )
    of = wanted or await company(session, owner)
    return of, await recording_lists.find(session, owner, id)


def near(word: str, known: Iterable[str]) -> str:
    """Words to add to a complaint: what may have been meant."""
    found = get_close_matches(word, list(known), n=1)
    return f", perhaps {found[0]}" if found else ""


def moment(text: str | None, zone: ZoneInfo, now: datetime) -> int | None:
    """An instant as people write it: 2026-11-21, 2026-11-21T09:30, or 7d, 12h, 2w ago. Raises `BadWord`."""
    from flowengine.billing.periods import instant

    if text is None:
        return None
    if ago := AGO.fullmatch(text):
        return instant(now - timedelta(**{UNITS[ago[2]]: int(ago[1])}))
    try:
        read = datetime.fromisoformat(text)
        return instant(read if read.tzinfo else read.replace(tzinfo=zone))
    except (ValueError, OverflowError):
        raise BadWord(
            f"{text[:40]!r} is no time: write 2026-11-21 or 2026-11-21T09:30, or 7d, 12h, 2w for so long ago"
        ) from None


async def _opened(settings: "Settings", work: Callable[[Opened], Awaitable[T]]) -> T:
    from flowengine.store.database import open_database
    from flowengine.store.migrate import check_schema

    async with open_database(settings.database) as database:
        async with database.reading() as session:
            await check_schema(session)
        return await work(Opened(settings, database))


def _must_be_there(url: str) -> None:
    """A SQLite file that is not there would be made by opening it. Raises `DatabaseRefused`."""
    from flowengine.store.database import read_url
    from flowengine.store.errors import DatabaseRefused

    address = read_url(url)
    if address.get_backend_name() == "sqlite" and not Path(str(address.database)).exists():
        raise DatabaseRefused(
            f"there is no database {address.database} yet: start `flowengine serve` or `flowengine apply`,"
            " or set FLOWENGINE_DATA_DIR to the folder of the engine"
        )


async def _companies(session: "AsyncSession") -> list[Company]:
    from sqlalchemy import select

    from flowengine.billing.periods import time_zone
    from flowengine.store.tables import Account

    rows: Any = await session.execute(
        select(Account.id, Account.key, Account.name, Account.time_zone).order_by(Account.key)
    )
    return [Company(id_, key, name, time_zone(zone)) for id_, key, name, zone in rows]
