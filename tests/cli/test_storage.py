"""`flowengine storage`, `notifications` and `audio`: what is shown and set, and what is refused."""

from pathlib import Path

import pytest

from flowengine.call.events import SECOND
from flowengine.cli.columns import bar
from flowengine.store import notifications, rooms
from flowengine.store.database import Database
from flowengine.store.tables import Account, Audio, Flow, LedgerAccount, Recording
from tests.cli.office import Office
from tests.cli.terminal import run
from tests.recordings.sounds import sine, wav_file
from tests.store.seed import NOON, flow

FREE_MS = 60_000_000


# Storage


def test_how_full_a_plan_is(office: Office) -> None:
    office.record(ms=90_000)
    office.record(office.other, ms=1_000)
    ran = run("storage", "show", "demo")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[:4] == [
        "plan free: 1.5 of 1,000.0 minutes used, 0 %",
        f"[#{'.' * 39}]",
        "0.0 held by recordings in the making, 998.5 left",
        "kept until somebody deletes them",
    ]
    assert lines[5].split() == ["day", "minutes", "kept", "deleted"]
    assert len(lines) == 6 + 30
    told = run("storage", "show", "demo", "--json", "--days", "2").json
    assert list(told) == [
        "account", "plan", "plan_ms", "stored_ms", "held_ms", "left_ms", "percent", "keep_months", "days",
    ]  # fmt: skip
    assert (told["account"], told["plan_ms"], told["stored_ms"]) == ("demo", FREE_MS, 90_000)
    assert told["left_ms"] == FREE_MS - 90_000
    assert [list(day) for day in told["days"]] == [["day", "stored_ms", "kept_ms", "deleted_ms"]] * 2


def test_the_chart_shows_the_day_something_was_kept(office: Office) -> None:
    office.record(ms=120_000)
    lines = run("storage", "show", "demo", "--days", "3650").out.splitlines()
    [day] = [line for line in lines if line.startswith("2026-09-21")]
    assert day.split() == ["2026-09-21", "2.0", "+2.0", "#" * 30]
    [before] = [line for line in lines if line.startswith("2026-09-20")]
    assert before.split() == ["2026-09-20", "0.0"]


def test_the_plan_of_an_account_is_changed_by_the_operator(office: Office) -> None:
    ran = run("storage", "plan", "demo", "50k")
    assert (ran.code, ran.out) == (0, "demo is on the plan 50k: 50,000.0 minutes left\n")
    assert run("storage", "plan", "demo", "50k", "--json").json["plan_ms"] == 3_000_000_000
    assert run("storage", "show", "demo", "--json").json["plan"] == "50k"
    assert run("storage", "show", "other", "--json").json["plan"] == "free"
    wrong = run("storage", "plan", "demo", "5k")
    assert (wrong.code, wrong.out) == (2, "")
    assert "'5k' is no storage plan: choose from free, 50k, 200k, 1m" in wrong.err


def test_a_plan_that_is_paid_is_not_given_away(office: Office) -> None:
    assert run("credits", "adjust", "demo", "100", "--reason", "gift").code == 0
    assert run("plan", "demo", "50k", "--yes").code == 0
    for name in ("free", "50k", "200k"):
        ran = run("storage", "plan", "demo", name)
        assert (ran.code, ran.out) == (1, "")
        assert f"demo pays for the plan 50k: change it with `flowengine plan demo {name}`" in ran.err
    assert run("storage", "show", "demo", "--json").json["plan"] == "50k"
    assert run("storage", "plan", "other", "50k").code == 0


def test_how_long_recordings_are_kept(office: Office) -> None:
    assert run("storage", "keep", "demo", "3").out.startswith("demo: recordings older than 3 months")
    assert "kept for 3 months, then deleted" in run("storage", "show", "demo").out
    assert run("storage", "keep", "demo", "0", "--json").json == {"account": "demo", "keep_months": 0}
    wrong = run("storage", "keep", "demo", "4")
    assert (wrong.code, wrong.out) == (2, "")
    assert "4 months: choose 3, 6, or 0" in wrong.err
    assert run("storage", "keep", "demo", "three").code == 2


def test_books_that_agree_and_books_that_do_not(office: Office) -> None:
    id = office.record(ms=60_000)
    office.record(office.other, ms=60_000)
    ran = run("storage", "audit")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "demo: 1 recordings, 1.0 minutes, the books agree",
        "other: 1 recordings, 1.0 minutes, the books agree",
    ]
    office.change(Recording, id, duration_ms=59_000)
    assert run("storage", "audit", "other").code == 0
    ran = run("storage", "audit", "demo")
    assert (ran.code, ran.err) == (1, "")
    assert "the books say 60,000 ms are stored, the recordings 59,000 ms" in ran.out
    office.change(Account, office.other.account, storage_plan="1m")
    told = run("storage", "audit", "--json")
    assert told.code == 1
    assert [(each["account"], each["agrees"]) for each in told.json] == [("demo", False), ("other", False)]
    assert list(told.json[0]) == [
        "account", "agrees", "recordings", "recorded_ms", "stored_ms", "plan_ms", "given_ms", "differences",
    ]  # fmt: skip
    assert "60,000,000 ms were given" in run("storage", "audit", "other").out


def test_a_balance_that_is_not_its_transfers_is_told(office: Office) -> None:
    office.record(ms=60_000)

    async def spoil(database: Database) -> None:
        async with database.writing() as session:
            row = await session.get_one(LedgerAccount, (office.of.account, rooms.STORED))
            row.balance += 7

    office.do(spoil)
    ran = run("storage", "audit", "demo")
    assert ran.code == 1
    assert "storage.stored is 60,007 (0 held), its transfers say 60,000 (0)" in ran.out


# Notifications


def test_what_admins_were_told_and_whether_it_reached_them(office: Office) -> None:
    async def tell(database: Database) -> None:
        async with database.writing() as session:
            for number, of in enumerate((office.of, office.of, office.other)):
                data = {"many": number + 1, "months": 3}
                at = NOON + number * SECOND
                await notifications.notify(session, of.account, f"n:{number}", "retention_deleted", at, data)
            [first, second, _] = await notifications.take_due(session, NOON + 60 * SECOND)
            await notifications.delivered(session, first.id, NOON + 61 * SECOND)
            await notifications.not_delivered(session, second.id, NOON + 90 * SECOND, "mail: refused")

    office.do(tell)
    ran = run("notifications", "demo")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[1:] == [
        "2026-09-21 23:13  not yet, 1 tries  2 recordings older than 3 months were deleted.",
        "2026-09-21 23:13  yes               1 recordings older than 3 months were deleted.",
    ]
    told = run("notifications", "demo", "--json").json
    assert [(each["delivered"], each["problem"]) for each in told] == [(False, "mail: refused"), (True, "")]
    assert {each["account"] for each in told} == {"demo"}
    assert list(told[0]) == [
        "id", "account", "kind", "at", "text", "data", "tries", "delivered", "problem",
    ]  # fmt: skip
    assert len(run("notifications", "demo", "--json", "--limit", "1").json) == 1
    assert run("notifications", "other", "--limit", "5").out.count("recordings older") == 1


# Sounds


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    return wav_file(tmp_path / "welcome.wav", sine(8_000, 1.5, (440.0, 0.5)))


def test_a_sound_is_added_listed_renamed_and_removed(office: Office, wav: Path) -> None:
    ran = run("audio", "add", "demo", wav, "--json")
    assert (ran.code, ran.err) == (0, "")
    assert list(ran.json) == ["id", "account", "name", "sha256", "size_bytes", "duration_ms", "added"]
    assert (ran.json["name"], ran.json["duration_ms"]) == ("welcome.wav", 1_500)
    shelved = list((office.settings.uploads_dir).rglob(ran.json["sha256"]))
    assert [each.read_bytes() for each in shelved] == [wav.read_bytes()]
    listed = run("audio", "list", "demo").out.splitlines()
    assert listed[1].split()[:2] == ["welcome.wav", "0:02"]
    assert run("audio", "list", "other").out.splitlines()[1:] == ["no sounds"]
    renamed = run("audio", "rename", "demo", "welcome.wav", "audio/hello.wav")
    assert (renamed.code, renamed.out) == (0, "audio/hello.wav: renamed\n")
    assert run("audio", "remove", "other", ran.json["id"]).code == 1
    assert run("audio", "remove", "demo", ran.json["id"]).out == "audio/hello.wav is removed\n"
    assert run("audio", "list", "demo", "--json").json == []


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (["add", "demo", "none.wav"], 2, "none.wav: there is no such file"),
        (["add", "demo", "{wav}"], 1, 'another sound called "welcome.wav"'),
        (["add", "demo", "{wav}", "--name", "../x.wav"], 1, "a sound cannot be called '../x.wav'"),
        (["add", "demo", "{noise}"], 1, "noise.wav: "),
        (["remove", "demo", "welcom.wav"], 1, 'no sound "welcom.wav", perhaps welcome.wav'),
        (["rename", "demo", "welcome.wav", "a:b"], 1, "a sound cannot be called 'a:b'"),
    ],
)
def test_what_cannot_be_done_with_a_sound(
    words: list[str], code: int, complaint: str, office: Office, wav: Path
) -> None:
    noise = wav.with_name("noise.wav")
    noise.write_bytes(b"no sound at all" * 100)
    assert run("audio", "add", "demo", wav).code == 0
    ran = run("audio", *(word.format(wav=wav, noise=noise) for word in words))
    assert (ran.code, ran.out) == (code, "")
    assert complaint in ran.err
    assert len(run("audio", "list", "demo", "--json").json) == 1


def test_a_sound_in_use_stays_and_every_place_is_named(office: Office, wav: Path) -> None:
    assert run("audio", "add", "demo", wav, "--name", "audio/welcome.wav").code == 0
    message = {"type": "voicemail", "prompt": {"audio": "audio/welcome.wav"}}
    draft = flow(states={"message": message}).model_dump(mode="json", exclude_none=True)
    office.change(Flow, office.of.flow, draft=draft)
    for words in (["remove", "demo", "audio/welcome.wav"], ["rename", "demo", "audio/welcome.wav", "x.wav"]):
        ran = run("audio", *words)
        assert (ran.code, ran.out) == (1, "")
        assert "flow message-line (draft), state message, " in ran.err
    office.change(Audio, run("audio", "list", "demo", "--json").json[0]["id"], name="other.wav")
    assert run("audio", "remove", "demo", "other.wav").code == 0


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [(0, 10, "...."), (1, 1_000, "#..."), (5, 10, "##.."), (20, 10, "####"), (1, 0, "....")],
)
def test_bars(part: int, whole: int, shown: str) -> None:
    assert bar(part, whole, 4) == shown
