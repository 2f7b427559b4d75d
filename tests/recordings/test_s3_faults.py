"""A bucket that refuses, hangs or breaks off: the recording waits in the spool, and nothing is kept too early."""

import asyncio
import itertools
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from time import perf_counter

import pytest
from aiohttp import web

from recordings import library as module
from recordings.errors import LibraryUnavailable, RecordingMissing, RecordingRefused
from recordings.library import RecordingLibrary
from recordings.s3_address import S3Address
from recordings.s3_client import Patience
from recordings.storage_disk import DiskStorage
from recordings.storage_s3 import S3Storage
from tests.recordings import buckets
from tests.recordings.rude_bucket import RudeBucket, rude
from tests.recordings.sounds import quiet, sine, stream, wav_bytes

TALK = wav_bytes(sine(8_000, 1.5, (440, 0.3)))
LONG = wav_bytes(sine(8_000, 4, (440, 0.3), (700, 0.2)) * 400)
"""26 minutes: four parts."""
OTHER = wav_bytes(quiet(8_000, 1))
SHORT = Patience(connect_s=1.0, silence_s=0.4, tries=1)
numbers = itertools.count()


@pytest.fixture(scope="module")
def good() -> Iterator[str]:
    with buckets.service() as endpoint:
        buckets.client(endpoint).create_bucket(Bucket=buckets.BUCKET)
        yield endpoint


@pytest.fixture
async def service(good: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RudeBucket]:
    for name, value in buckets.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    async with rude(good) as service:
        yield service


@pytest.fixture
def address(service: RudeBucket) -> str:
    return f"s3://{buckets.BUCKET}/faults/{next(numbers)}?endpoint={service.endpoint}"


@pytest.fixture
def library(address: str, tmp_path: Path) -> RecordingLibrary:
    return opened(address, tmp_path)


def opened(address: str, tmp_path: Path, patience: Patience = SHORT) -> RecordingLibrary:
    return RecordingLibrary(S3Storage(S3Address.parse(address), DiskStorage(tmp_path / "spool"), patience))


def of_sound(request: web.Request) -> bool:
    return request.method in ("PUT", "POST") and request.path.endswith(".wav")


def of_record(request: web.Request) -> bool:
    return request.method == "PUT" and request.path.endswith(".json")


def of_second_part(request: web.Request) -> bool:
    return request.query.get("partNumber") == "2"


FAULTS = [
    ("403 AccessDenied", r"refuses it \(403 AccessDenied\); give the engine's credentials the right"),
    ("403 SignatureDoesNotMatch", r"refuses it \(403 SignatureDoesNotMatch\); set AWS_ACCESS_KEY_ID"),
    ("404 NoSuchBucket", r"refuses it \(404 NoSuchBucket\); make the bucket"),
    ("503 SlowDown", r"refuses it \(503 SlowDown\); look at the service"),
    ("500 InternalError", r"refuses it \(500 InternalError\); look at the service"),
    (
        "page",
        r"(refuses it \(502|cannot be reached or breaks off \(ResponseParserError).*; look at the service",
    ),
    (
        "hang",
        r"cannot be reached or breaks off \((ReadTimeoutError|ConnectionClosedError)\); look at the service",
    ),
    ("cut", r"cannot be reached or breaks off \(\w+\); look at the service"),
]


@pytest.mark.parametrize(("answer", "told"), FAULTS, ids=[answer for answer, _ in FAULTS])
async def test_what_the_bucket_refuses_waits_and_arrives_later(
    library: RecordingLibrary,
    service: RudeBucket,
    answer: str,
    told: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    service.misbehave(answer)
    began = perf_counter()
    with pytest.raises(LibraryUnavailable, match=f"^rec_1: s3://{buckets.BUCKET}/faults/.*{told}") as caught:
        await library.keep("rec_1", stream([TALK]))
    with pytest.raises(LibraryUnavailable, match=f"^the library: s3://{buckets.BUCKET}/faults/"):
        await library.check()
    assert perf_counter() - began < 4
    assert await library.waiting() == ["rec_1"]
    for use in (library.find, library.read, library.verify, library.delete):
        with pytest.raises(LibraryUnavailable):
            await use("rec_1")
    with pytest.raises(LibraryUnavailable, match="rec_1"):
        await library.retry()
    told_at_all = caplog.text + repr(caught.value) + repr(caught.value.__cause__)
    for secret in (buckets.SECRET, buckets.ENVIRONMENT["AWS_ACCESS_KEY_ID"], "Authorization", "Signature="):
        assert secret not in told_at_all

    service.behave()
    service.release.set()
    await library.check()
    with pytest.raises(RecordingMissing):
        await library.find("rec_1")
    arrived = await library.retry()
    assert arrived == {"rec_1": await library.verify("rec_1")}
    assert await library.waiting() == []


async def test_nobody_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in buckets.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with socket.socket() as taken:  # bound and not listening: every connection is refused
        taken.bind(("127.0.0.1", 0))
        address = f"s3://{buckets.BUCKET}?endpoint=http://127.0.0.1:{taken.getsockname()[1]}"
        library = RecordingLibrary.at(address, tmp_path / "spool")
        began = perf_counter()
        with pytest.raises(LibraryUnavailable, match="cannot be reached"):
            await library.check()
        assert perf_counter() - began < 2.5
        with pytest.raises(LibraryUnavailable, match="cannot be reached"):
            await library.keep("rec_1", stream([TALK]))
        assert perf_counter() - began < 15, "the usual patience, three tries"
    assert await library.waiting() == ["rec_1"]


async def test_the_same_id_kept_again_finishes_what_waits(
    library: RecordingLibrary, service: RudeBucket
) -> None:
    service.misbehave("503 SlowDown")
    with pytest.raises(LibraryUnavailable):
        await library.keep("rec_1", stream([TALK]))
    with pytest.raises(LibraryUnavailable):
        await library.keep("rec_1", stream([], AssertionError("fetched again, and in vain")))
    service.behave()
    with pytest.raises(RecordingRefused, match="another recording"):
        await library.keep("rec_1", stream([OTHER]))
    kept = await library.keep("rec_1", stream([TALK]))
    assert await library.verify("rec_1") == kept
    assert await library.waiting() == []


async def test_after_a_restart_what_waits_is_still_there(
    library: RecordingLibrary, service: RudeBucket, address: str, tmp_path: Path
) -> None:
    service.misbehave("hang")
    with pytest.raises(LibraryUnavailable):
        await library.keep("rec_1", stream([wav_bytes(TALK[44:], declared=0)]), 1_000)
    service.behave()
    again = opened(address, tmp_path)
    arrived = (await again.retry())["rec_1"]
    assert (arrived.duration_ms, arrived.repaired, arrived.trimmed) == (1_000, True, True)
    assert await again.verify("rec_1") == arrived


async def test_some_arrive_and_the_rest_goes_on_waiting(
    library: RecordingLibrary, service: RudeBucket
) -> None:
    service.misbehave("503 SlowDown")
    for number in range(3):
        with pytest.raises(LibraryUnavailable):
            await library.keep(f"rec_{number}", stream([TALK]))
    service.misbehave("503 SlowDown", lambda request: "rec_1" in request.path)
    assert list(await library.retry()) == ["rec_0"]
    assert await library.waiting() == ["rec_1", "rec_2"]
    service.behave()
    assert list(await library.retry()) == ["rec_1", "rec_2"]


async def test_what_can_never_arrive_holds_up_nobody(
    library: RecordingLibrary, service: RudeBucket, address: str, tmp_path: Path
) -> None:
    service.misbehave("503 SlowDown")
    for id in ("rec_1", "rec_2", "rec_3"):
        with pytest.raises(LibraryUnavailable):
            await library.keep(id, stream([TALK]))
    service.behave()
    await opened(address, tmp_path / "another engine").keep("rec_1", stream([OTHER]))
    DiskStorage(tmp_path / "spool").file("rec_2").write_bytes(b"damaged")
    assert list(await library.retry()) == ["rec_3"]
    assert await library.waiting() == ["rec_1", "rec_2"]
    assert (await library.keep("rec_2", stream([TALK]))) == await library.verify("rec_2")
    assert (await library.find("rec_1")).bytes == len(OTHER), "nobody's recording is overwritten"


async def test_a_slow_service_is_asked_again(address: str, service: RudeBucket, tmp_path: Path) -> None:
    busy = iter([True, True])
    service.misbehave("503 SlowDown", lambda request: of_sound(request) and next(busy, False))
    library = opened(address, tmp_path, Patience(tries=3))
    kept = await library.keep("rec_1", stream([TALK]))
    assert await library.verify("rec_1") == kept
    assert [answer for _, path, answer in service.seen if path.endswith(".wav")].count("503 SlowDown") == 2


@pytest.mark.parametrize("answer", ["503 SlowDown", "cut", "hang"])
async def test_an_upload_in_parts_that_breaks_off(
    address: str, tmp_path: Path, service: RudeBucket, good: str, answer: str
) -> None:
    library = opened(address, tmp_path, Patience(silence_s=3.0, tries=1))
    service.misbehave(answer, of_second_part)
    with pytest.raises(LibraryUnavailable, match="rec_1"):
        await library.keep("rec_1", stream([LONG]))
    with pytest.raises(RecordingMissing):
        await library.find("rec_1")
    assert "Uploads" not in buckets.client(good).list_multipart_uploads(Bucket=buckets.BUCKET)
    service.behave()
    kept = await library.keep("rec_1", stream([LONG]))
    assert await library.verify("rec_1") == kept


async def test_a_sound_without_its_record_is_no_recording(
    library: RecordingLibrary, service: RudeBucket
) -> None:
    service.misbehave("cut", of_record)
    with pytest.raises(LibraryUnavailable):
        await library.keep("rec_1", stream([TALK]))
    with pytest.raises(RecordingMissing):
        await library.find("rec_1")
    with pytest.raises(RecordingMissing):
        await library.read("rec_1")
    service.behave()
    assert (await library.retry())["rec_1"] == await library.verify("rec_1")


@pytest.mark.parametrize("sound", [TALK, LONG], ids=["at once", "in parts"])
async def test_what_arrives_changed_is_not_kept(
    address: str, tmp_path: Path, service: RudeBucket, sound: bytes
) -> None:
    library = opened(address, tmp_path, Patience(silence_s=3.0, tries=1))
    service.misbehave("shorten", lambda request: of_sound(request) and request.method == "PUT")
    with pytest.raises(LibraryUnavailable, match=r"(does not have it whole|refuses it \(400)"):
        await library.keep("rec_1", stream([sound]))
    with pytest.raises(RecordingMissing):
        await library.find("rec_1")
    service.behave()
    assert (await library.retry())["rec_1"] == await library.verify("rec_1")


async def test_what_waits_can_be_deleted(library: RecordingLibrary, service: RudeBucket) -> None:
    service.misbehave("503 SlowDown", of_sound)
    with pytest.raises(LibraryUnavailable):
        await library.keep("rec_1", stream([TALK]))
    assert await library.delete("rec_1")
    assert await library.waiting() == []
    assert not await library.delete("rec_1")


async def test_a_bucket_that_goes_while_it_is_read(address: str, tmp_path: Path, service: RudeBucket) -> None:
    library = opened(address, tmp_path, Patience(silence_s=3.0, tries=1))
    await library.keep("rec_1", stream([LONG]))
    pieces = aiter(await library.read("rec_1"))
    await anext(pieces)
    service.misbehave("cut")
    with pytest.raises(LibraryUnavailable):
        await anext(pieces)
    service.behave()
    assert b"".join([piece async for piece in await library.read("rec_1", 1_000_000)]) == LONG[1_000_000:]


async def test_uploads_that_a_crash_left_are_swept(
    library: RecordingLibrary, address: str, good: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = address.split("?", maxsplit=1)[0].removeprefix(f"s3://{buckets.BUCKET}/")
    client = buckets.client(good)
    for key in (f"{prefix}/ab/rec_9.wav", "somebody/elses.wav"):
        client.create_multipart_upload(Bucket=buckets.BUCKET, Key=key)
    try:
        # The service says of every upload that it began in 2010.
        monkeypatch.setattr(module, "PART_STALE_S", 50 * 366 * 86_400.0)
        assert await asyncio.to_thread(library.sweep) == 0, "it may still be on its way"
        monkeypatch.undo()
        monkeypatch.setattr(module, "PART_STALE_S", 86_400.0)
        assert await asyncio.to_thread(library.sweep) == 1
        left = client.list_multipart_uploads(Bucket=buckets.BUCKET)["Uploads"]
        assert [upload["Key"] for upload in left] == ["somebody/elses.wav"]
    finally:
        for upload in client.list_multipart_uploads(Bucket=buckets.BUCKET).get("Uploads", ()):
            client.abort_multipart_upload(
                Bucket=buckets.BUCKET, Key=upload["Key"], UploadId=upload["UploadId"]
            )


async def test_credentials_are_looked_for_until_they_are_there(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    library = opened(address, tmp_path)
    with pytest.raises(
        LibraryUnavailable, match=r"there are no credentials for s3://.*; set AWS_ACCESS_KEY_ID"
    ):
        await library.check()
    with pytest.raises(LibraryUnavailable, match="there are no credentials"):
        await library.keep("rec_1", stream([TALK]))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKTESTTESTTEST")
    await library.check()
    assert (await library.retry())["rec_1"] == await library.verify("rec_1")


def test_settings_of_the_machine_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(
        RecordingRefused, match=r"cannot be read \(ProfileNotFound\); look at the variables AWS_\*"
    ):
        RecordingLibrary.at("s3://talks", tmp_path / "spool")


async def test_a_spool_that_is_gone(library: RecordingLibrary, tmp_path: Path) -> None:
    (tmp_path / "spool").rename(tmp_path / "away")
    for use in (library.check(), library.keep("rec_1", stream([TALK])), library.waiting()):
        with pytest.raises(LibraryUnavailable, match="/spool"):
            await use
    (tmp_path / "away").rename(tmp_path / "spool")
    await library.check()
    assert await library.keep("rec_1", stream([TALK])) == await library.verify("rec_1")
