"""`flowengine recordings` and `voicemail`: what is listed, saved, deleted and verified, and what is refused."""

import stat
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from flowengine.billing.periods import instant
from flowengine.cli import player
from flowengine.cli.columns import clock, columns, plain
from flowengine.cli.stored import moment
from flowengine.store.tables import Recording
from tests.cli.office import Office
from tests.cli.terminal import run, start

NONE = "rec_0000000000000000000000000a"
EVERY = [
    ["recordings", "list", "demo"],
    ["recordings", "show", NONE],
    ["recordings", "save", NONE, "x.wav"],
    ["recordings", "play", NONE],
    ["recordings", "delete", NONE, "--yes"],
    ["recordings", "verify"],
    ["voicemail", "list", "demo"],
    ["voicemail", "heard", NONE],
    ["storage", "show", "demo"],
    ["storage", "plan", "demo", "50k"],
    ["storage", "keep", "demo", "3"],
    ["storage", "audit"],
    ["notifications", "demo"],
    ["audio", "list", "demo"],
    ["audio", "remove", "demo", "a.wav"],
    ["audio", "rename", "demo", "a.wav", "b.wav"],
]
"""Every command over the database, as short as it can be."""


# What every command does alike


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_without_a_database_it_says_so_and_makes_none(words: list[str], no_settings: Path) -> None:
    ran = run(*words)
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith(f"flowengine: there is no database {no_settings}/flowengine.db yet: ")
    assert not no_settings.exists()


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_wrong_settings_are_told(
    words: list[str], no_settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOWENGINE_HTTP_PORT", "99999")
    ran = run(*words)
    assert (ran.code, ran.out) == (2, "")
    assert "FLOWENGINE_HTTP_PORT" in ran.err


@pytest.mark.parametrize("words", [each for each in EVERY if "demo" in each], ids=" ".join)
def test_an_unknown_account_is_named_with_a_near_one(words: list[str], office: Office) -> None:
    ran = run(*("deno" if word == "demo" else word for word in words))
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == 'flowengine: there is no account "deno", perhaps demo\n'


def test_a_database_of_another_revision_is_told(no_settings: Path) -> None:
    no_settings.mkdir()
    (no_settings / "flowengine.db").touch()
    ran = run("recordings", "list", "demo")
    assert (ran.code, ran.out) == (3, "")
    assert "flowengine db upgrade" in ran.err


@pytest.mark.parametrize(
    "words",
    [
        ["recordings", "show"],
        ["recordings", "play"],
        ["recordings", "delete", "--yes"],
        ["voicemail", "heard"],
    ],
    ids=" ".join,
)
def test_an_unknown_recording_is_named_and_that_of_another_account_is_unknown(
    words: list[str], office: Office
) -> None:
    theirs = office.record(office.other)
    ran = run(*words, NONE)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"flowengine: there is no recording {NONE}: ")
    ran = run(*words, theirs, "--account", "demo")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"flowengine: there is no recording {theirs} in the account demo: ")
    assert office.sound(theirs).is_file()


# List and show


def test_recordings_are_listed_newest_first_with_the_accounts_clock(office: Office) -> None:
    old = office.record(ms=61_200, purpose="talk", user="hanako")
    new = office.record(minutes=5, user="")
    theirs = office.record(office.other)
    ran = run("recordings", "list", "demo")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0].split() == ["id", "made", "purpose", "user", "caller", "length", "heard", "status"]
    assert lines[1].split() == [
        new,
        "2026-09-21",
        "23:18",
        "voicemail",
        "+819055550199",
        "0:01",
        "no",
        "kept",
    ]
    assert lines[2].split()[:5] == [old, "2026-09-21", "23:13", "talk", "hanako"]
    assert lines[2].split()[6] == "1:01"
    assert theirs not in ran.out
    assert "\x1b" not in ran.out


def test_a_list_is_narrowed(office: Office) -> None:
    talk = office.record(purpose="talk", user="hanako")
    message = office.record(minutes=60, user="taro")
    for words, expected in (
        (["--purpose", "talk"], [talk]),
        (["--user", "taro"], [message]),
        (["--since", "2026-09-21T23:30"], [message]),
        (["--until", "2026-09-21T23:30"], [talk]),
        (["--since", "2026-09-21", "--until", "2026-09-23"], [message, talk]),
        (["--since", "2026-09-21T14:30+00:00"], [message]),
        (["--limit", "1"], [message]),
        (["--status", "all"], [message, talk]),
        (["--status", "deleted"], []),
    ):
        ran = run("recordings", "list", "demo", "--json", *words)
        assert (ran.code, ran.err) == (0, "")
        assert [each["id"] for each in ran.json] == expected, words
    assert run("voicemail", "heard", message).code == 0
    assert [each["id"] for each in run("recordings", "list", "demo", "--unheard", "--json").json] == [talk]
    assert "the newest 1: --limit shows more" in run("recordings", "list", "demo", "--limit", "1").out


def test_a_list_goes_on_over_pages(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    from flowengine.cli import kept

    monkeypatch.setattr(kept, "PAGE", 2)
    made = [office.record(minutes=minute) for minute in range(5)]
    assert [each["id"] for each in run("recordings", "list", "demo", "--json").json] == made[::-1]
    assert len(run("recordings", "list", "demo", "--json", "--limit", "3").json) == 3


@pytest.mark.parametrize(("word", "hours"), [("1h", 1), ("2d", 48), ("1w", 168), ("0h", 0)])
def test_a_time_may_be_told_from_now_on_backwards(word: str, hours: int) -> None:
    now = datetime(2026, 9, 21, 12, tzinfo=UTC)
    then = moment(word, ZoneInfo("Asia/Tokyo"), now)
    assert then == instant(now - timedelta(hours=hours))


@pytest.mark.parametrize("word", ["yesterday", "7", "2026-13-01", "7m", "0001-01-01x"])
def test_a_time_that_is_none_is_told(word: str, office: Office) -> None:
    ran = run("recordings", "list", "demo", "--since", word)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"flowengine: {word!r} is no time: write 2026-11-21")


def test_a_user_whom_the_account_has_not_is_told(office: Office) -> None:
    ran = run("recordings", "list", "demo", "--user", "hanaka")
    assert (ran.code, ran.err) == (1, "flowengine: the account demo has no user hanaka, perhaps hanako\n")
    assert run("recordings", "list", "demo", "--user", "hanako").out.splitlines()[-1] == "no recordings"


def test_the_shape_of_a_recording_for_programs(office: Office) -> None:
    id = office.record()
    shown = run("recordings", "show", id, "--json").json
    assert [shown] == run("recordings", "list", "demo", "--json").json
    assert list(shown) == [
        "id", "account", "call", "status", "purpose", "state", "user", "number", "caller", "made",
        "duration_ms", "complete", "ran_out", "problem", "size_bytes", "sha256", "heard", "transcript",
        "deleted_at", "deleted_by",
    ]  # fmt: skip
    assert (shown["account"], shown["made"]) == ("demo", "2026-09-21T23:13:20+09:00")
    lines = run("recordings", "show", id).out.splitlines()
    assert "heard:        no" in lines
    assert "duration_ms:  1000" in lines
    assert "transcript:" in lines


# Messages


def test_messages_are_listed_with_what_was_said(office: Office) -> None:
    heard, new = office.record(user=""), office.record(minutes=1, user="hanako")
    office.record(purpose="talk")
    office.change(Recording, new, transcript="Hello,\nthis is \x1b[31mTaro. 電話してください")
    assert run("voicemail", "heard", heard).out == f"{heard} is marked as heard\n"
    ran = run("voicemail", "list", "demo")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[1].split()[:5] == ["*", "2026-09-21", "23:14", "+819055550199", "hanako"]
    assert lines[1].endswith("Hello, this is ?[31mTaro. 電話してください")
    assert lines[2].startswith("   2026-09-21 23:13")
    assert lines[3:] == ["* nobody has listened to it yet"]
    assert [each["id"] for each in run("voicemail", "list", "demo", "--unheard", "--json").json] == [new]
    assert run("voicemail", "heard", heard, "--not", "--json").json == {"id": heard, "heard": False}
    assert len(run("voicemail", "list", "demo", "--unheard", "--json").json) == 2
    assert run("voicemail", "list", "other").out.splitlines()[-1] == "no messages"


def test_a_talk_is_no_message(office: Office) -> None:
    talk = office.record(purpose="talk")
    ran = run("voicemail", "heard", talk)
    assert ran.code == 1
    assert f"recording {talk} is a talk, and no message" in ran.err


# Save and play


def test_a_sound_is_saved_as_it_was_kept(office: Office, tmp_path: Path) -> None:
    id, file = office.record(), tmp_path / "out.wav"
    ran = run("recordings", "save", id, file)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"{file}: 0:01, 16,044 bytes, checksum as kept\n"
    assert file.read_bytes() == office.sound(id).read_bytes()


def test_a_file_is_not_replaced_unless_told(office: Office, tmp_path: Path) -> None:
    id, file = office.record(), tmp_path / "out.wav"
    file.write_text("mine")
    ran = run("recordings", "save", id, file)
    assert (ran.code, ran.err) == (
        2,
        f"flowengine: {file}: is there already: choose another name, or --force\n",
    )
    assert file.read_text() == "mine"
    assert run("recordings", "save", id, file, "--force").code == 0
    assert file.read_bytes()[:4] == b"RIFF"
    assert run("recordings", "save", id, tmp_path).code == 2
    nowhere = run("recordings", "save", id, tmp_path / "no" / "out.wav")
    assert (nowhere.code, nowhere.out) == (2, "")
    assert "No such file or directory" in nowhere.err


def test_a_damaged_sound_is_not_written(office: Office, tmp_path: Path) -> None:
    id, file = office.record(), tmp_path / "out.wav"
    sound = office.sound(id)
    sound.chmod(0o600)
    sound.write_bytes(sound.read_bytes()[:-1] + b"\x55")
    ran = run("recordings", "save", id, file)
    assert (ran.code, ran.out) == (1, "")
    assert "its bytes are not those that were kept" in ran.err
    assert [each.name for each in tmp_path.iterdir()] == ["var"]


def test_an_unmounted_library_is_told_and_not_made_anew(office: Office, tmp_path: Path) -> None:
    id = office.record()
    folder = office.settings.recordings_dir
    folder.rename(tmp_path / "elsewhere")
    folder.mkdir()
    for words in (["save", id, tmp_path / "out.wav"], ["verify"], ["delete", id, "--yes"]):
        ran = run("recordings", *words)
        assert (ran.code, ran.out) == (3, "")
        assert f"there is no library in {folder}" in ran.err
    assert list(folder.iterdir()) == []
    assert run("recordings", "show", id, "--json").json["status"] == "kept"


def test_a_recording_is_played(office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    id = office.record(ms=100)
    fake = tmp_path / "player"
    fake.write_text(
        f"#!{sys.executable}\nimport sys, time, pathlib\n"
        f"pathlib.Path({str(tmp_path / 'heard.wav')!r}).write_bytes(pathlib.Path(sys.argv[1]).read_bytes())\n"
        "time.sleep(0.2)\n"
    )
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(player, "PLAYERS", ((str(fake),),))
    ran = run("recordings", "play", id)
    assert (ran.code, ran.err) == (0, "")
    assert (tmp_path / "heard.wav").read_bytes() == office.sound(id).read_bytes()
    assert run("recordings", "show", id, "--json").json["heard"] is False


# Delete


def test_recordings_are_deleted_for_good_and_the_proof_stays(office: Office) -> None:
    first, second, theirs = office.record(), office.record(minutes=1), office.record(office.other)
    sounds = [office.sound(each) for each in (first, second, theirs)]
    ran = run("recordings", "delete", first, theirs, first, "--yes", "--by", "taro", "--json")
    assert (ran.code, ran.err, ran.json) == (0, "", {"asked": 2, "deleted": 2})
    assert [each.exists() for each in sounds] == [False, True, False]
    shown = run("recordings", "show", first, "--json").json
    assert (shown["status"], shown["deleted_by"]) == ("deleted", "taro")
    assert shown["deleted_at"].endswith("+09:00")
    assert run("recordings", "delete", first, "--yes").out == "0 deleted, 1 had been deleted before\n"
    assert run("storage", "show", "demo", "--json").json["stored_ms"] == 1_000
    gone = run("recordings", "play", first)
    assert (gone.code, gone.out) == (1, "")
    assert "was deleted by taro" in gone.err


def test_one_that_is_not_there_keeps_all_the_others(office: Office) -> None:
    id = office.record()
    assert run("recordings", "delete", id, NONE, "--yes").code == 1
    office.change(Recording, id, status="lost")
    ran = run("recordings", "delete", id, "--yes")
    assert (ran.code, ran.out) == (1, "")
    assert f"recording {id} is lost" in ran.err
    office.change(Recording, id, status="kept")
    assert office.sound(id).is_file()


def test_nothing_is_deleted_without_a_yes(office: Office) -> None:
    id = office.record()
    ran = run("recordings", "delete", id)
    assert (ran.code, ran.out) == (2, "")
    assert "1 recordings would be deleted for good: add --yes" in ran.err
    assert run("recordings", "delete", id, "--yes", "--by", "retention").code == 2
    assert office.sound(id).is_file()


# Verify


def test_every_damaged_or_missing_sound_is_named(office: Office) -> None:
    well, damaged, gone, other = (office.record(minutes=minute) for minute in range(4))
    theirs = office.record(office.other)
    assert run("recordings", "verify", "--json").json == {"verified": 5, "bad": []}
    assert run("recordings", "verify").out == "5 recordings verified, 0 damaged or gone\n"
    sound = office.sound(damaged)
    sound.chmod(0o600)
    sound.write_bytes(sound.read_bytes()[:-1] + b"\x55")
    office.sound(gone).unlink()
    office.sound(gone).with_suffix(".json").unlink()
    office.change(Recording, other, sha256="0" * 64)
    ran = run("recordings", "verify", "demo", "--json")
    assert (ran.code, ran.json["verified"]) == (1, 4)
    assert {each["id"]: each["account"] for each in ran.json["bad"]} == dict.fromkeys(
        (damaged, gone, other), "demo"
    )
    assert "another sound than the database knows" in str(ran.json)
    told = run("recordings", "verify", "demo")
    assert (told.code, told.err) == (1, "")
    assert f"{damaged} (demo): its bytes are not those that were kept" in told.out
    assert "4 recordings verified, 3 damaged or gone" in told.out
    assert well not in told.out
    assert run("recordings", "verify", "other").code == 0
    assert theirs not in told.out


def test_only_what_is_asked_for_comes_to_standard_output(office: Office) -> None:
    id = office.record()
    office.sound(id).with_suffix(".json").write_text("{")
    ran = start("recordings", "verify", "--json", env={"FLOWENGINE_DATA_DIR": str(office.folder)})
    assert (ran.code, ran.err) == (1, "")
    assert ran.json["bad"][0]["id"] == id


# Columns


def test_columns_line_up_with_kanji_and_marks() -> None:
    lines = columns(("name", "n", "more"), [("代表", "7", "x"), ("cafe\u0301", "12", "")], right=["n"])
    assert lines == ["name   n  more", "代表   7  x", "cafe\u0301  12"]


@pytest.mark.parametrize(
    ("ms", "shown"),
    [(0, "0:00"), (1, "0:01"), (1_000, "0:01"), (59_001, "0:59"), (59_500, "1:00"), (3_600_000, "1:00:00")],
)
def test_lengths(ms: int, shown: str) -> None:
    assert clock(ms) == shown


def test_names_are_shown_and_never_obeyed() -> None:
    assert plain("a\x1b[2J\r\nb\u202ec") == "a?[2J  b?c"
