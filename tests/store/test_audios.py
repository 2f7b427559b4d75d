"""Sounds of an account: names and ids, whose they are, and where they are in use."""

import hashlib

import pytest

from flowengine.store import audios, flows
from flowengine.store.audios import AudioInUse, AudioRefused, Place, Uploaded
from flowengine.store.catalog import load_catalog, read_epoch
from flowengine.store.database import Database
from flowengine.store.errors import NotStored
from tests.store.seed import Seed, flow, seed

ONE, TWO = (Uploaded(hashlib.sha256(data).hexdigest(), len(data), 1_000) for data in (b"one", b"other"))


async def add(database: Database, of: Seed, name: str = "hello.wav", sound: Uploaded = ONE) -> str:
    async with database.writing() as session:
        return await audios.add_audio(session, of.account, name, sound)


async def epoch(database: Database) -> int:
    async with database.reading() as session:
        return await read_epoch(session)


async def save(database: Database, of: Seed, audio: str, *, published: bool) -> None:
    """Let the draft, or the published document, of the account's flow play a sound."""
    spoken = flow(
        goodbye={"audio": audio},
        states={
            "message": {"type": "announcement", "prompt": {"audio": audio}, "exits": {"next": "boss"}},
            "boss": {
                "type": "user_transfer",
                "user": "hanako",
                "queue": {"max_waiting": 1, "music": {"audio": audio}},
            },
        },
    )
    async with database.writing() as session:
        if published:
            await flows.publish(session, of.account, of.flow, spoken)
        else:
            await flows.save_draft(session, of.account, of.flow, spoken, revision=1)


async def test_added_listed_and_in_the_catalogue(database: Database) -> None:
    of, other = await seed(database), await seed(database, "other", "+815055550101")
    before = await epoch(database)
    id_ = await add(database, of)
    theirs = await add(database, other, sound=TWO)
    assert id_.startswith("aud_")
    assert await epoch(database) == before + 2
    async with database.reading() as session:
        listed = await audios.list_audios(session, of.account)
        assert [(row.id, row.name, row.sha256, row.size_bytes, row.duration_ms) for row in listed] == [
            (id_, "hello.wav", ONE.sha256, 3, 1_000)
        ]
        assert await audios.names(session, of.account) == {id_: ONE.sha256, "hello.wav": ONE.sha256}
        assert (await load_catalog(session)).audios == {
            of.account: {id_: ONE.sha256, "hello.wav": ONE.sha256},
            other.account: {theirs: TWO.sha256, "hello.wav": TWO.sha256},
        }
        assert await audios.shelved(session) == {ONE.sha256, TWO.sha256}


async def test_a_name_is_taken_once(database: Database) -> None:
    of = await seed(database)
    first = await add(database, of)
    with pytest.raises(AudioRefused, match=r'another sound called "hello\.wav"'):
        await add(database, of, sound=TWO)
    second = await add(database, of, "b.wav")
    async with database.writing() as session:
        with pytest.raises(AudioRefused, match="another sound"):
            await audios.rename_audio(session, of.account, second, "hello.wav")
        await audios.rename_audio(session, of.account, second, "b.wav")
        await audios.rename_audio(session, of.account, first, "c.wav")
        await audios.rename_audio(session, of.account, second, "hello.wav")
    async with database.reading() as session:
        assert {row.name: row.id for row in await audios.list_audios(session, of.account)} == {
            "c.wav": first,
            "hello.wav": second,
        }


@pytest.mark.parametrize(
    "name",
    ["", "/etc/passwd", "../x.wav", "a//b", "a/../b", "c:x", "a\\b", "a\nb", "x" * 401, f"aud_{'0' * 26}"],
)
async def test_names_that_cannot_be(database: Database, name: str) -> None:
    of = await seed(database)
    with pytest.raises(AudioRefused, match="give it a name such as"):
        await add(database, of, name)
    id_ = await add(database, of)
    async with database.writing() as session:
        with pytest.raises(AudioRefused):
            await audios.rename_audio(session, of.account, id_, name)


async def test_replaced(database: Database) -> None:
    of = await seed(database)
    id_ = await add(database, of)
    await save(database, of, id_, published=True)
    before = await epoch(database)
    async with database.writing() as session:
        await audios.replace_audio(session, of.account, id_, TWO)
    assert await epoch(database) == before + 1
    async with database.reading() as session:
        assert (await load_catalog(session)).audios[of.account]["hello.wav"] == TWO.sha256


PLACES = [(None, "goodbye"), ("boss", "queue.music"), ("message", "prompt")]


@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize("by_id", [False, True])
async def test_what_is_in_use_stays(database: Database, published: bool, by_id: bool) -> None:
    of = await seed(database)
    id_ = await add(database, of)
    await save(database, of, id_ if by_id else "hello.wav", published=published)
    version = "published" if published else "draft"
    async with database.writing() as session:
        with pytest.raises(
            AudioInUse, match=rf"flow message-line \({version}\), state boss, queue.music"
        ) as refused:
            await audios.remove_audio(session, of.account, id_)
        assert sorted(refused.value.places, key=lambda place: (place.state or "", place.field)) == [
            Place("message-line", version, state, field) for state, field in PLACES
        ]
        assert await audios.audio_uses(session, of.account, id_) == list(refused.value.places)
        if by_id:
            await audios.rename_audio(session, of.account, id_, "other.wav")
        else:
            with pytest.raises(AudioInUse):
                await audios.rename_audio(session, of.account, id_, "other.wav")


async def test_what_is_not_in_use_goes(database: Database) -> None:
    of, other = await seed(database), await seed(database, "other", "+815055550101")
    id_ = await add(database, of)
    await save(database, other, "hello.wav", published=True)
    await save(database, of, "hello.wav", published=False)
    async with database.writing() as session:
        await flows.delete_flow(session, of.account, of.flow)
        await audios.remove_audio(session, of.account, id_)
    async with database.reading() as session:
        assert await audios.list_audios(session, of.account) == []
        assert await audios.shelved(session) == set()


async def test_nobody_reaches_the_sounds_of_another_account(database: Database) -> None:
    of, other = await seed(database), await seed(database, "other", "+815055550101")
    id_ = await add(database, of)
    async with database.writing() as session:
        with pytest.raises(NotStored):
            await audios.remove_audio(session, other.account, id_)
        with pytest.raises(NotStored):
            await audios.replace_audio(session, other.account, id_, TWO)
        with pytest.raises(NotStored):
            await audios.rename_audio(session, other.account, id_, "x")
        with pytest.raises(NotStored):
            await audios.audio_uses(session, other.account, id_)
        assert await audios.names(session, other.account) == {}
