"""Applying an account with its sounds: taken in, made before anything takes effect, and written out again."""

import asyncio
from pathlib import Path

import pytest

from flowengine.config import Settings, load
from flowengine.publishing import apply_account, export_account
from flowengine.sounds import AccountAudios, open_prompts, wanted
from flowengine.store.accounts import Plan
from flowengine.store.catalog import load_catalog, read_epoch
from flowengine.store.database import open_database
from flowengine.store.errors import AccountRefused, NotStored
from recordings import audio
from recordings.errors import SoundsUnavailable, SoundUnavailable
from recordings.prompts import PromptLibrary, Rendered
from recordings.shelf import Shelf
from tests.recordings.sounds import sine, wav_bytes

LOW, HIGH = (wav_bytes(sine(16_000, 0.5, (hz, 0.3)), 16_000) for hz in (500, 900))
HELLO = "audio:audio/hello.wav"
HOURS = "url:https://example.com/hours.wav"
FILE = """
format: flowengine-account/1
account: {key: KEY, name: Demo, country: JP, language: en-US, time_zone: Asia/Tokyo, currency: JPY}
numbers: ["NUMBER"]
flows:
  line:
    numbers: ["NUMBER"]
    publish: true
    document:
      format: flowengine/1
      name: Hello
      start: hello
      states:
        hello: {type: announcement, prompt: {audio: audio/hello.wav}, exits: {next: hours}}
        hours: {type: announcement, prompt: PROMPT}
"""
BY_ADDRESS = "{url: https://example.com/hours.wav}"


class Company:
    """An account folder on one installation."""

    def __init__(
        self, folder: Path, settings: Settings, key: str = "demo", number: str = "+815055550100"
    ) -> None:
        self.folder = folder
        self.settings = settings
        self.key, self.number = key, number
        (folder / "audio").mkdir(parents=True)
        self.sound(LOW)
        self.write()

    def sound(self, data: bytes) -> None:
        (self.folder / "audio" / "hello.wav").write_bytes(data)

    def write(self, prompt: str = "{say: We are open.}") -> None:
        text = FILE.replace("KEY", self.key).replace("NUMBER", self.number).replace("PROMPT", prompt)
        (self.folder / "account.yaml").write_text(text)

    async def apply(self, web: "Web | None" = None, *, prune: bool = False, dry_run: bool = False) -> Plan:
        file = self.folder / "account.yaml"
        return await apply_account(self.settings, file, prune=prune, dry_run=dry_run, fetcher=web)


class Web:
    """A server: gives its bytes, or refuses."""

    def __init__(self, data: bytes | None) -> None:
        self.data = data

    async def fetch(self, address: str, target: Path) -> None:
        if self.data is None:
            raise SoundUnavailable(address, "the server answers with status 503", "try again later")
        await asyncio.to_thread(target.write_bytes, self.data)


class Engine:
    """What a running engine knows: the catalogue, and prompts that are looked up."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.audios = AccountAudios(Shelf(settings.uploads_dir))
        self.prompts: PromptLibrary = open_prompts(settings, self.audios)
        self.epoch = 0

    async def follow(self) -> bool:
        """Take the catalogue over if it is another one, as `flowengine.serve` does."""
        async with open_database(self.settings.database) as database, database.reading() as session:
            epoch = await read_epoch(session)
            if epoch == self.epoch:
                return False
            self.epoch, self.catalog = epoch, await load_catalog(session)
        coming = AccountAudios(Shelf(self.settings.uploads_dir), self.catalog.audios)
        await self.prompts.render_all(wanted(self.catalog), audios=coming)
        self.audios.known = self.catalog.audios
        return True

    def plays(self, account: str, key: str) -> Rendered:
        found = self.prompts.lookup(key, account)
        assert found is not None
        return found


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(data_dir=tmp_path / "var")


@pytest.fixture
def company(tmp_path: Path, settings: Settings) -> Company:
    return Company(tmp_path / "demo", settings)


async def test_sounds_are_taken_in_and_ready_before_the_engine_hears_of_them(
    company: Company, settings: Settings
) -> None:
    made = await company.apply()
    assert [str(each).splitlines()[0] for each in made.changes][1] == "+ create audio audio/hello.wav"
    (company.folder / "audio" / "hello.wav").unlink()
    engine = Engine(settings)
    for account, key in [
        (made.account, key) for key in made.sounds if key == HELLO or key.startswith("say:")
    ]:
        engine.audios.known = {made.account: made.audios}
        assert engine.plays(account, key).duration_ms > 300, "found without being made"
    assert (await company.apply()).changes == (), "the file beside is not needed any more"


async def test_a_changed_sound_reaches_a_running_engine(company: Company, settings: Settings) -> None:
    made = await company.apply()
    engine = Engine(settings)
    assert await engine.follow()
    old = engine.plays(made.account, HELLO)
    assert audio.tone_level(old.path, 500) > -24
    assert (await company.apply()).changes == ()
    assert not await engine.follow(), "nothing new, nothing told"
    company.sound(HIGH)
    assert len((await company.apply()).changes) == 1
    assert await engine.follow()
    assert audio.tone_level(engine.plays(made.account, HELLO).path, 900) > -24
    assert old.path.exists(), "a running call may be playing it"


async def test_two_companies_have_a_hello_of_their_own(
    company: Company, tmp_path: Path, settings: Settings
) -> None:
    other = Company(tmp_path / "other", settings, "other", "+815055550101")
    other.sound(HIGH)
    accounts = [(await each.apply()).account for each in (company, other)]
    engine = Engine(settings)
    await engine.follow()
    for account, hz in zip(accounts, (500, 900), strict=True):
        assert audio.tone_level(engine.plays(account, HELLO).path, hz) > -24


async def test_a_dry_run_takes_nothing_in(company: Company, settings: Settings) -> None:
    assert "create audio" in str((await company.apply(dry_run=True)).changes[1])
    assert not settings.uploads_dir.exists()
    assert not settings.prompts_dir.exists()


async def test_a_sound_that_is_none_refuses_everything(company: Company) -> None:
    company.sound(b"RIFF, but a letter")
    with pytest.raises(SoundsUnavailable, match=r"audio/hello\.wav: it is not audio"):
        await company.apply()
    company.sound(LOW)
    assert "create account" in str((await company.apply(dry_run=True)).changes[0]), "nothing was stored"


async def test_a_lost_upload_is_brought_again(company: Company, settings: Settings) -> None:
    made = await company.apply()
    shelf = Shelf(settings.uploads_dir)
    shelf.remove(made.audios["audio/hello.wav"])
    assert (await company.apply()).changes == ()
    assert made.audios["audio/hello.wav"] in shelf


async def test_addresses_are_fetched_at_each_apply(company: Company, settings: Settings) -> None:
    company.write(BY_ADDRESS)
    web = Web(None)
    with pytest.raises(SoundsUnavailable, match="503"):
        await company.apply(web)
    web.data = LOW
    made = await company.apply(web)
    engine = Engine(settings)
    await engine.follow()
    assert audio.tone_level(engine.plays(made.account, HOURS).path, 500) > -24
    web.data = None
    again = await company.apply(web)
    assert [(note.code, note.severity) for note in again.notes if note.code == "sound_kept"] == [
        ("sound_kept", "warning")
    ]
    assert "503" in again.notes[-1].message
    assert not await engine.follow()
    web.data = HIGH
    assert (await company.apply(web)).changes == ()
    assert await engine.follow(), "told, though no row of the account changed"
    assert audio.tone_level(engine.plays(made.account, HOURS).path, 900) > -24


async def test_the_operators_folder_is_for_everybody(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    (shared / "audio").mkdir(parents=True)
    (shared / "audio" / "hello.wav").write_bytes(HIGH)
    settings = load(data_dir=tmp_path / "var", audio_dir=shared)
    company = Company(tmp_path / "demo", settings)
    (company.folder / "audio" / "hello.wav").unlink()
    made = await company.apply()
    assert made.audios == {}
    engine = Engine(settings)
    await engine.follow()
    assert audio.tone_level(engine.plays(made.account, HELLO).path, 900) > -24


async def test_exported_and_applied_again(company: Company, settings: Settings, tmp_path: Path) -> None:
    await company.apply()
    written = await export_account(settings, "demo", tmp_path / "out")
    assert written == tmp_path / "out" / "demo.yaml"
    assert (tmp_path / "out" / "audio" / "hello.wav").read_bytes() == LOW
    assert (await apply_account(settings, written, prune=True)).changes == ()
    elsewhere = load(data_dir=tmp_path / "elsewhere")
    made = await apply_account(elsewhere, written)
    engine = Engine(elsewhere)
    await engine.follow()
    assert audio.tone_level(engine.plays(made.account, HELLO).path, 500) > -24


async def test_an_export_writes_nothing_outside_its_folder(
    company: Company, settings: Settings, tmp_path: Path
) -> None:
    await company.apply()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "audio").symlink_to(tmp_path / "demo" / "audio")
    with pytest.raises(SoundsUnavailable, match="cannot lie beside"):
        await export_account(settings, "demo", tmp_path / "out")
    with pytest.raises(NotStored):
        await export_account(settings, "none", tmp_path / "none")


async def test_a_sound_that_changes_while_it_is_read_is_not_mixed_up(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = Shelf.add

    async def changed(self: Shelf, source: Path, name: str) -> object:
        company.sound(HIGH)
        return await add(self, source, name)

    monkeypatch.setattr(Shelf, "add", changed)
    with pytest.raises(AccountRefused, match="changed while it was read"):
        await company.apply()
