"""Notifications reach a program as data, once when it takes them, and again later when it does not."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import structlog

from flowengine.call.events import SECOND
from flowengine.storage.notices import CommandNotify, NotDelivered, Notices, OnlyLog, notify_by, pause
from flowengine.storage.words import words
from flowengine.store import notifications
from flowengine.store.database import Database
from flowengine.store.notifications import LEASE, MOST_TRIES, Notice
from tests.storage.things import Hands
from tests.store.seed import NOON, Seed, seed

MESSAGE = {
    "recording": "rec_1",
    "caller": "+819055550199",
    "number": "+815055550100",
    "user": "hanako",
    "duration_ms": 31_500,
}


class Mail:
    """Takes notifications, unless it is broken."""

    def __init__(self) -> None:
        self.got: list[Mapping[str, Any]] = []
        self.is_broken = False

    async def deliver(self, message: Mapping[str, Any]) -> None:
        if self.is_broken:
            raise NotDelivered("no route to +819055550199")
        self.got.append(message)


async def _notify(database: Database, of: Seed, key: str = "voicemail:rec_1", at: int = NOON) -> bool:
    async with database.writing() as session:
        return await notifications.notify(session, of.account, key, "voicemail", at, MESSAGE)


async def _stored(database: Database, of: Seed) -> list[Notice]:
    async with database.reading() as session:
        return await notifications.notices(session, of.account)


async def test_a_notification_is_told_once_by_its_key(database: Database) -> None:
    of = await seed(database)
    assert await _notify(database, of)
    assert not await _notify(database, of)
    mail = Mail()
    notices = Notices(database, mail, Hands(NOON))
    assert (await notices.deliver_due(), await notices.deliver_due()) == (1, 0)
    (got,) = mail.got
    assert got == {
        "id": got["id"],
        "account": "demo",
        "kind": "voicemail",
        "at": "2026-09-21T14:13:20+00:00",
        "text": "New message for hanako from +819055550199 to +815055550100, 32 s.",
        "data": MESSAGE,
    }
    (stored,) = await _stored(database, of)
    assert (stored.delivered_at, stored.tries, stored.problem) == (NOON, 1, "")


async def test_what_did_not_arrive_comes_again_later_and_later_and_not_for_ever(database: Database) -> None:
    of = await seed(database)
    await _notify(database, of)
    mail, clock = Mail(), Hands(NOON)
    mail.is_broken = True
    notices = Notices(database, mail, clock)
    for tries in range(MOST_TRIES):
        assert await notices.deliver_due() == 0
        (stored,) = await _stored(database, of)
        assert (stored.tries, stored.problem) == (tries + 1, "no route to +819055550199")
        clock.at += pause(tries) * SECOND - 1
        assert await notices.deliver_due() == 0
        assert (await _stored(database, of))[0].tries == tries + 1
        clock.at += 1
    mail.is_broken = False
    assert await notices.deliver_due() == 0
    assert clock.at - NOON > 6 * 3_600 * SECOND


async def test_it_arrives_when_the_program_works_again(database: Database) -> None:
    of = await seed(database)
    await _notify(database, of)
    mail, clock = Mail(), Hands(NOON)
    mail.is_broken = True
    notices = Notices(database, mail, clock)
    await notices.deliver_due()
    mail.is_broken = False
    clock.at += pause(0) * SECOND
    assert await notices.deliver_due() == 1
    (stored,) = await _stored(database, of)
    assert (stored.delivered_at, stored.problem) == (clock.at, "")


async def test_the_oldest_comes_first_and_two_engines_take_each_once(database: Database) -> None:
    of = await seed(database)
    for n in (3, 1, 2):
        await _notify(database, of, f"k{n}", NOON + n)
    async with database.writing() as session:
        first = await notifications.take_due(session, NOON + 9, many=2)
    async with database.writing() as session:
        second = await notifications.take_due(session, NOON + 9)
    assert [each.at - NOON for each in first + second] == [1, 2, 3]
    async with database.writing() as session:
        assert await notifications.take_due(session, NOON + 9 + LEASE - 1) == []
        assert len(await notifications.take_due(session, NOON + 9 + LEASE)) == 3


async def test_no_number_of_a_caller_is_logged(database: Database) -> None:
    of = await seed(database)
    await _notify(database, of)
    mail, clock = Mail(), Hands(NOON)
    mail.is_broken = True
    with structlog.testing.capture_logs() as logs:
        await Notices(database, mail, clock).deliver_due()
        clock.at += LEASE
        await Notices(database, OnlyLog(), clock).deliver_due()
    assert [each["event"] for each in logs] == ["admins not told, trying again", "admins told"]
    assert "5555" not in json.dumps(logs)


def _program(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "program.py"
    path.write_text(text)
    return [sys.executable, str(path), str(tmp_path / "out")]


async def test_a_program_gets_json_on_its_input_and_no_shell_sees_it(tmp_path: Path) -> None:
    copies = _program(tmp_path, "import sys; open(sys.argv[1], 'w').write(sys.stdin.read())")
    message = {"kind": "voicemail", "data": {"caller": "$(touch x); '録音'\n\""}}
    await CommandNotify(copies).deliver(message)
    assert json.loads((tmp_path / "out").read_text()) == message


async def test_a_program_that_fails_hangs_or_is_not_there_has_not_delivered(tmp_path: Path) -> None:
    fails = _program(tmp_path, "import sys; print('no route', file=sys.stderr); sys.exit(3)")
    with pytest.raises(NotDelivered, match="ended with 3: no route"):
        await CommandNotify(fails).deliver({})
    hangs = _program(tmp_path, "import time; time.sleep(60)")
    with pytest.raises(NotDelivered, match=r"did not finish within 0\.5 s"):
        await CommandNotify(hangs, seconds=0.5).deliver({})
    with pytest.raises(NotDelivered, match="correct notify_command"):
        await CommandNotify([str(tmp_path / "nowhere")]).deliver({})


def test_a_command_line_is_split_and_none_is_the_log() -> None:
    assert isinstance(notify_by(""), OnlyLog)
    assert isinstance(notify_by("mail 'the admins'"), CommandNotify)
    with pytest.raises(ValueError, match="quotation"):
        notify_by("mail 'the admins")


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        (
            "storage_80",
            {"percent": 81, "stored_ms": 48_600_000, "plan_ms": 60_000_000},
            "81 % of the storage plan are used: 810 of 1,000 minutes.",
        ),
        ("storage_100", {"plan_ms": 60_000_000}, "new recordings are not saved"),
        ("voicemail", {**MESSAGE, "user": ""}, "New message from +819055550199"),
        ("recording_lost", {**MESSAGE, "problem": "it is gone"}, "is lost: it is gone."),
        ("retention_deleted", {"many": 3, "months": 6}, "3 recordings older than 6 months were deleted."),
        ("credits_low", {}, "credits_low."),
    ],
)
def test_a_notification_is_a_sentence(kind: str, data: dict[str, Any], said: str) -> None:
    assert said in words(kind, data)
