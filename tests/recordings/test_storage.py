"""What every storage promises, on a disk and in a bucket: whole or not there, by ranges, checked, deleted."""

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from recordings.errors import RangeRefused, RecordingDamaged, RecordingMissing, RecordingRefused
from recordings.kept import PIECE_BYTES, place_of
from recordings.library import RecordingLibrary
from tests.recordings import buckets
from tests.recordings.sounds import quiet, sine, stream, wav_bytes

TALK = wav_bytes(sine(8_000, 1.5, (440, 0.3)))
LONG = wav_bytes(sine(8_000, 4, (440, 0.3), (700, 0.2)) * 400)
"""26 minutes, 25.6 MB: a bucket gets it in four parts."""
numbers = itertools.count()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with buckets.service() as endpoint:
        buckets.client(endpoint).create_bucket(Bucket=buckets.BUCKET)
        yield endpoint


@pytest.fixture(params=["disk", "bucket"])
def address(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "disk":
        return str(tmp_path / "kept")
    for name, value in buckets.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    endpoint = request.getfixturevalue("endpoint")
    return f"s3://{buckets.BUCKET}/of-test/{next(numbers)}?endpoint={endpoint}"


@pytest.fixture
def library(address: str, tmp_path: Path) -> RecordingLibrary:
    return RecordingLibrary.at(address, tmp_path / "spool")


async def whole(library: RecordingLibrary, id: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([piece async for piece in await library.read(id, start, end)])


def damage(library: RecordingLibrary, address: str, id: str, content: bytes | None) -> None:
    """Change what is kept behind the library's back; None deletes the sound."""
    if not address.startswith("s3:"):
        path = library.path(id)
        path.unlink() if content is None else path.write_bytes(content)
        return
    where, endpoint = address.split("?endpoint=")
    key = where.removeprefix(f"s3://{buckets.BUCKET}/") + "/" + place_of(id)
    if content is None:
        buckets.client(endpoint).delete_object(Bucket=buckets.BUCKET, Key=key)
    else:
        buckets.client(endpoint).put_object(Bucket=buckets.BUCKET, Key=key, Body=content)


async def test_kept_found_and_read_after_a_restart(
    library: RecordingLibrary, address: str, tmp_path: Path
) -> None:
    kept = await library.keep("rec_1", stream([TALK]))
    assert (kept.duration_ms, kept.bytes, kept.place) == (1_500, len(TALK), place_of("rec_1"))
    again = RecordingLibrary.at(address, tmp_path / "spool")
    assert await again.find("rec_1") == kept
    assert await again.verify("rec_1") == kept
    assert await whole(again, "rec_1") == TALK
    assert await again.waiting() == []


async def test_a_long_one_arrives_whole_and_in_pieces(library: RecordingLibrary, tmp_path: Path) -> None:
    source = tmp_path / "long.wav"
    source.write_bytes(LONG)
    kept = await library.keep("rec_1", source)
    assert kept.bytes == len(LONG)
    reading = await library.read("rec_1")
    assert reading.size == len(LONG)
    pieces = [piece async for piece in reading]
    assert b"".join(pieces) == LONG
    assert max(map(len, pieces)) <= PIECE_BYTES
    assert await library.verify("rec_1") == kept


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, 1), (0, 44), (44, 46), (10_000, 20_000), (len(TALK) - 1, len(TALK)), (0, len(TALK)), (7, None)],
)
async def test_ranges(library: RecordingLibrary, start: int, end: int | None) -> None:
    await library.keep("rec_1", stream([TALK]))
    assert await whole(library, "rec_1", start, end) == TALK[start:end]


@pytest.mark.parametrize(
    ("start", "end"),
    [(-1, 5), (5, 5), (6, 5), (len(TALK), None), (0, len(TALK) + 1), (10**12, 10**12 + 1)],
)
async def test_wrong_ranges_are_told(library: RecordingLibrary, start: int, end: int | None) -> None:
    await library.keep("rec_1", stream([TALK]))
    with pytest.raises(RangeRefused, match=f"rec_1: bytes from {start} up to .* are not in its {len(TALK)}"):
        await library.read("rec_1", start, end)


async def test_the_same_again_is_harmless_and_another_sound_is_refused(library: RecordingLibrary) -> None:
    first = await library.keep("rec_1", stream([TALK]))
    assert await library.keep("rec_1", stream([TALK])) == first
    with pytest.raises(RecordingRefused, match="another recording"):
        await library.keep("rec_1", stream([wav_bytes(quiet(8_000, 1))]))
    assert await whole(library, "rec_1") == TALK


async def test_deleted_is_deleted(library: RecordingLibrary) -> None:
    await library.keep("rec_1", stream([TALK]))
    assert await library.delete("rec_1")
    assert not await library.delete("rec_1")
    for use in (library.find, library.read, library.verify):
        with pytest.raises(RecordingMissing, match="rec_1: there is no such recording"):
            await use("rec_1")


async def test_deleted_while_it_is_read(library: RecordingLibrary) -> None:
    await library.keep("rec_1", stream([LONG]))
    pieces = aiter(await library.read("rec_1"))
    assert LONG.startswith(await anext(pieces))
    await library.delete("rec_1")
    with pytest.raises(RecordingMissing):
        await anext(pieces)


async def test_damage_is_told(library: RecordingLibrary, address: str) -> None:
    await library.keep("rec_1", stream([TALK]))
    reading = await library.read("rec_1", 30_000 - 20_000)
    damage(library, address, "rec_1", TALK[:-1] + b"\x55")
    with pytest.raises(RecordingDamaged, match="not those that were kept"):
        await library.verify("rec_1")
    damage(library, address, "rec_1", TALK[:9_000])
    with pytest.raises(RecordingDamaged, match="9000 bytes instead of"):
        await library.find("rec_1")
    with pytest.raises(RecordingDamaged, match="it ends after 10000 bytes"):
        [piece async for piece in reading]
    damage(library, address, "rec_1", None)
    with pytest.raises(RecordingDamaged, match="sound is gone"):
        await library.find("rec_1")
    kept = await library.keep("rec_1", stream([TALK]))
    assert await library.verify("rec_1") == kept, "the switch may still have it"


async def test_it_can_be_written_now(library: RecordingLibrary) -> None:
    await asyncio.gather(*(library.check() for _ in range(5)))


async def test_there_is_nothing_to_sweep_or_to_retry(library: RecordingLibrary) -> None:
    await library.keep("rec_1", stream([LONG]))
    assert await asyncio.to_thread(library.sweep) == 0
    assert await library.retry() == {}


async def test_many_at_once(library: RecordingLibrary) -> None:
    ids = [f"rec_{number}" for number in range(20)]
    kept = await asyncio.gather(*(library.keep(id, stream([TALK])) for id in ids))
    assert {each.place for each in kept} == {place_of(id) for id in ids}
    assert await asyncio.gather(*(library.verify(id) for id in ids)) == kept
