"""Whose sound it is: uploads of accounts, sounds by address, what is swept when nobody wants it."""

import asyncio
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from recordings import audio, wav
from recordings.errors import BadAudio, SoundError, SoundsUnavailable, SoundUnavailable
from recordings.prompts import PromptLibrary, Upload, Wanted
from recordings.sweeping import DAY_S
from tests.recordings.sounds import ToneSpeech, sine, wav_bytes, wav_file

KEY = "audio:greeting"
ADDRESS = "url:https://example.com/hours.wav"
LOW, HIGH = (wav_bytes(sine(16_000, 0.5, (hz, 0.3)), 16_000) for hz in (500, 900))


class Uploads:
    """The uploads of some accounts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.known: dict[tuple[str, str], Upload] = {}

    def put(self, account: str, id: str, data: bytes) -> None:
        sha256 = hashlib.sha256(data).hexdigest()
        (self.folder / sha256).write_bytes(data)
        self.known[account, id] = Upload(sha256, self.folder / sha256)

    def find(self, account: str, id: str) -> Upload | None:
        return self.known.get((account, id))


class Web:
    """A server: gives its bytes, or refuses."""

    def __init__(self, data: bytes | None) -> None:
        self.data = data
        self.asked = 0

    async def fetch(self, address: str, target: Path) -> None:
        self.asked += 1
        if self.data is None:
            raise SoundUnavailable(address, "the server answers with status 503", "try again later")
        await asyncio.to_thread(target.write_bytes, self.data)


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    (tmp_path / "uploads").mkdir()
    return Uploads(tmp_path / "uploads")


@pytest.fixture
def web() -> Web:
    return Web(LOW)


@pytest.fixture
def opened(tmp_path: Path, uploads: Uploads, web: Web) -> Callable[[], PromptLibrary]:
    """Opens the library, as each process does."""
    (tmp_path / "shared").mkdir()
    return lambda: PromptLibrary(tmp_path / "prompts", ToneSpeech(), tmp_path / "shared", uploads, web)


def files(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "prompts").iterdir())


async def test_two_accounts_have_sounds_of_one_name(
    opened: Callable[[], PromptLibrary], uploads: Uploads
) -> None:
    uploads.put("acc_1", "greeting", LOW)
    uploads.put("acc_2", "greeting", HIGH)
    library = opened()
    wanted = [("acc_1", KEY), ("acc_2", KEY)]
    made = await library.render_all(wanted)
    for account, hz in (("acc_1", 500), ("acc_2", 900)):
        assert audio.tone_level(made[account, KEY].path, hz) > -24
        assert library.lookup(KEY, account) == made[account, KEY]
        assert opened().lookup(KEY, account) == made[account, KEY], "after a restart, too"
    assert library.lookup(KEY) is None
    assert library.lookup(KEY, "acc_3") is None
    with pytest.raises(SoundUnavailable, match="no such audio"):
        await library.render(KEY, "acc_3")


async def test_equal_uploads_are_rendered_once(
    opened: Callable[[], PromptLibrary], uploads: Uploads, tmp_path: Path
) -> None:
    for account, id in (("acc_1", "greeting"), ("acc_2", "greeting"), ("acc_2", "aud_1")):
        uploads.put(account, id, LOW)
    wanted = [("acc_1", KEY), ("acc_2", KEY), ("acc_2", "audio:aud_1")]
    made = await opened().render_all(wanted)
    assert len(set(made.values())) == 1
    assert len(files(tmp_path)) == 2


async def test_a_replaced_upload_is_another_sound_and_the_old_one_stays(
    opened: Callable[[], PromptLibrary], uploads: Uploads
) -> None:
    uploads.put("acc_1", "greeting", LOW)
    library = opened()
    old = await library.render(KEY, "acc_1")
    uploads.put("acc_1", "greeting", HIGH)
    assert library.lookup(KEY, "acc_1") is None, "never the wrong one"
    new = await library.render(KEY, "acc_1")
    assert new.path != old.path
    assert old.path.exists()


async def test_a_replacement_is_ready_before_it_is_asked_for(
    opened: Callable[[], PromptLibrary], uploads: Uploads, tmp_path: Path
) -> None:
    uploads.put("acc_1", "greeting", LOW)
    library = opened()
    old = await library.render(KEY, "acc_1")
    coming = Uploads(tmp_path / "uploads")
    coming.put("acc_1", "greeting", HIGH)
    assert library.lookup(KEY, "acc_1", coming) is None
    new = (await library.render_all([("acc_1", KEY)], audios=coming))["acc_1", KEY]
    assert library.lookup(KEY, "acc_1") == old, "nothing has changed for calls"
    assert library.lookup(KEY, "acc_1", coming) == new
    uploads.known = coming.known
    assert library.lookup(KEY, "acc_1") == new


async def test_an_account_may_use_what_the_operator_shares(
    opened: Callable[[], PromptLibrary], uploads: Uploads, tmp_path: Path
) -> None:
    wav_file(tmp_path / "shared" / "greeting.wav", sine(8_000, 0.5, (700, 0.3)))
    library = opened()
    shared = await library.render(KEY, "acc_1")
    assert library.lookup(KEY, "acc_1") == shared == library.lookup(KEY, "acc_2")
    uploads.put("acc_1", "greeting", HIGH)
    own = await library.render(KEY, "acc_1")
    assert own != shared
    assert library.lookup(KEY, "acc_2") == shared


async def test_both_rates_are_one_sound(opened: Callable[[], PromptLibrary], uploads: Uploads) -> None:
    for rate in (8_000, 16_000, 44_100):
        uploads.put("acc_1", "greeting", wav_bytes(sine(rate, 0.8, (500, 0.3)), rate))
        made = await opened().render(KEY, "acc_1")
        assert made.wide.name == f"{made.name}.wav16"
        assert wav.duration_ms(made.wide) == pytest.approx(made.duration_ms, abs=1)
        assert wav.whole(made.wide).rate_hz == 16_000
        levels = [audio.level_dbfs(path) for path in (made.path, made.wide)]
        assert levels[0] == pytest.approx(levels[1], abs=0.2)


async def test_half_a_sound_is_no_sound(opened: Callable[[], PromptLibrary], uploads: Uploads) -> None:
    uploads.put("acc_1", "greeting", LOW)
    made = await opened().render(KEY, "acc_1")
    made.wide.unlink()
    library = opened()
    assert library.lookup(KEY, "acc_1") is None
    await library.render(KEY, "acc_1")
    assert made.wide.exists()


# By address


async def test_an_address_is_fetched_once_and_anew_when_published(
    opened: Callable[[], PromptLibrary], web: Web
) -> None:
    library = opened()
    first = (await library.render_all([ADDRESS]))[ADDRESS]
    await library.render(ADDRESS)
    await library.render_all([ADDRESS])
    assert opened().lookup(ADDRESS) == first
    await opened().render_all([ADDRESS])
    assert web.asked == 1, "neither a call nor a start asks the server"
    web.data = HIGH
    kept: list[str] = []
    second = (await library.render_all([ADDRESS], fetch_anew=lambda key, _: kept.append(key)))[ADDRESS]
    assert (web.asked, kept) == (2, [])
    assert audio.tone_level(second.path, 900) > -24
    assert library.lookup(ADDRESS) == second
    web.data = LOW
    await library.render_all([ADDRESS], fetch_anew=lambda key, _: kept.append(key))
    assert library.lookup(ADDRESS) == first
    assert opened().lookup(ADDRESS) == first, "the newest counts, though its bytes were there before"


async def test_another_process_finds_what_was_published(
    opened: Callable[[], PromptLibrary], web: Web
) -> None:
    engine, publisher = opened(), opened()
    first = await engine.render(ADDRESS)
    web.data = HIGH
    second = (await publisher.render_all([ADDRESS], fetch_anew=lambda *_: None))[ADDRESS]
    assert engine.lookup(ADDRESS) == first
    await engine.render_all([ADDRESS])
    assert engine.lookup(ADDRESS) == second


@pytest.mark.parametrize("data", [None, b"<html>We moved</html>"])
async def test_what_cannot_be_fetched_again_stays_as_it_was(
    opened: Callable[[], PromptLibrary], web: Web, data: bytes | None
) -> None:
    library = opened()
    first = await library.render(ADDRESS)
    web.data = data
    kept: dict[str, SoundError] = {}
    made = await library.render_all([ADDRESS], fetch_anew=kept.__setitem__)
    assert made == {ADDRESS: first}
    assert list(kept) == [ADDRESS]
    assert "503" in str(kept[ADDRESS]) or isinstance(kept[ADDRESS], BadAudio)


async def test_a_first_fetch_that_fails_is_a_failure(
    opened: Callable[[], PromptLibrary], web: Web, tmp_path: Path
) -> None:
    web.data = None
    kept: dict[str, SoundError] = {}
    with pytest.raises(SoundsUnavailable, match="503"):
        await opened().render_all([ADDRESS, "tone:beep"], fetch_anew=kept.__setitem__)
    assert kept == {}
    assert not [name for name in files(tmp_path) if name.startswith("url-")]


# Sweeping


async def test_what_nobody_wants_goes_after_a_day(
    opened: Callable[[], PromptLibrary], uploads: Uploads, web: Web, tmp_path: Path
) -> None:
    uploads.put("acc_1", "greeting", LOW)
    library = opened()
    wanted: list[Wanted] = [("acc_1", KEY), ADDRESS, "tone:beep"]
    kept = await library.render_all([*wanted, "say:en::Old words"])
    words = kept["say:en::Old words"]
    web.data = HIGH
    newer = (await library.render_all([ADDRESS], fetch_anew=lambda *_: None))[ADDRESS]
    assert await library.sweep(wanted, older_than_s=0.0) == 0, "a running call may play it"
    for path in (tmp_path / "prompts").iterdir():
        os.utime(path, (1, 1))
    os.utime(newer.path, (2, 2))
    assert await library.sweep([*wanted, "audio:no such", "nonsense"]) == 2
    assert library.lookup("say:en::Old words") is None
    assert not words.path.exists()
    assert not words.wide.exists()
    assert library.lookup(ADDRESS) == newer
    for each in wanted:
        account, key = ("", each) if isinstance(each, str) else each
        assert library.lookup(key, account) is not None
    assert len(files(tmp_path)) == 6
    assert all(path.stat().st_mtime > DAY_S for path in (tmp_path / "prompts").iterdir()), "wanted just now"


async def test_a_sweep_clears_half_sounds_and_leaves_strangers(
    opened: Callable[[], PromptLibrary], tmp_path: Path
) -> None:
    library = opened()
    beep = await library.render("tone:beep")
    beep.path.unlink()
    stranger = tmp_path / "prompts" / "README.txt"
    stranger.touch()
    for path in (beep.wide, stranger):
        os.utime(path, (1, 1))
    assert await library.sweep(["tone:beep"]) == 0
    assert files(tmp_path) == ["README.txt"]
