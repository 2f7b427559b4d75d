"""A library in a bucket of an S3-compatible service, behind a spool on a local disk.

The spool is a small library itself: a recording is whole and durable there before its first byte is sent, and leaves
it when the bucket has sound and record. Whatever the service does meanwhile, nothing is lost and nothing is called
kept too early; the same id kept again, or `deliver`, finishes it.
"""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

from recordings.errors import LibraryUnavailable, RecordingRefused
from recordings.kept import Record, place_of, record_place_of
from recordings.s3_address import S3Address
from recordings.s3_client import WAIT, Patience, S3Client
from recordings.storage import kept_before, record_of
from recordings.storage_disk import PROBE, DiskStorage

PART_BYTES: Final = 8 << 20
"""What is sent at once and held in memory; services take parts from 5 MiB."""
PROBING: Final = Patience(connect_s=1.0, silence_s=1.5, tries=1)


class S3Storage:
    """See `Storage`."""

    def __init__(self, address: S3Address, spool: DiskStorage, patience: Patience | None = None) -> None:
        """Raises `RecordingRefused` when the client is not installed or not set up. The service is not asked yet."""
        self._where = address
        self._spool = spool
        self._s3 = S3Client(address, patience or Patience())
        self._probing = S3Client(address, PROBING)

    @classmethod
    def at(cls, address: str, spool: DiskStorage) -> Self:
        """Behind an address as `S3Address.parse` takes it."""
        return cls(S3Address.parse(address), spool)

    @property
    def address(self) -> str:
        """See `Storage.address`."""
        return str(self._where)

    @property
    def directory(self) -> None:
        """See `Storage.directory`."""
        return

    def part(self, recording_id: str) -> Path:
        """See `Storage.part`."""
        return self._spool.part(recording_id)

    def put(self, recording_id: str, part: Path, record: Record) -> Record:
        """See `Storage.put`. When the bucket does not take it now, it waits in the spool."""
        self._spool.put(recording_id, part, record)
        try:
            return self.deliver(recording_id)
        except LibraryUnavailable:
            raise
        except RecordingRefused:
            self._spool.delete(recording_id)  # it never will, and whoever brought it still has it
            raise

    def waiting(self) -> list[str]:
        """See `Storage.waiting`."""
        return self._spool.ids()

    def deliver(self, recording_id: str) -> Record:
        """See `Storage.deliver`."""
        record = self._spool.find(recording_id)
        before = kept_before(self, recording_id, record)
        if before is None:
            with self._s3.talking(recording_id) as s3:
                self._send(s3, recording_id, record)
        self._spool.delete(recording_id)
        return before or record

    def find(self, recording_id: str) -> Record:
        """See `Storage.find`."""
        with self._s3.talking(recording_id) as s3:
            text: bytes = s3.get_object(**self._key(record_place_of(recording_id)))["Body"].read()
            sound = self._head(s3, place_of(recording_id))
        return record_of(recording_id, text, None if sound is None else sound["ContentLength"])

    def piece(self, recording_id: str, start: int, end: int) -> bytes:
        """See `Storage.piece`."""
        with self._s3.talking(recording_id) as s3:
            try:
                found = s3.get_object(**self._key(place_of(recording_id)), Range=f"bytes={start}-{end - 1}")
            except s3.exceptions.ClientError as error:
                if error.response["Error"].get("Code") == "InvalidRange":
                    return b""
                raise
            piece: bytes = found["Body"].read()
        return piece

    def delete(self, recording_id: str) -> bool:
        """See `Storage.delete`. The record goes first, and what waits in the spool goes too."""
        places = record_place_of(recording_id), place_of(recording_id)
        with self._s3.talking(recording_id) as s3:
            there = [self._head(s3, place) is not None for place in places]
            for place in places:
                s3.delete_object(**self._key(place))
        waited = self._spool.delete(recording_id)
        return waited or any(there)

    def sweep(self, before: float) -> int:
        """See `Storage.sweep`. In a bucket, parts are uploads that nobody finished."""
        swept = self._spool.sweep(before)
        with self._s3.talking("left parts") as s3:
            for upload in self._uploads(s3):
                if upload["Initiated"].timestamp() < before:
                    s3.abort_multipart_upload(
                        Bucket=self._where.bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                    )
                    swept += 1
        return swept

    def probe(self) -> None:
        """See `Storage.probe`. The spool is looked at too: without it nothing can be taken in."""
        self._spool.probe()
        with self._probing.talking("the library") as s3:
            s3.put_object(**self._key(PROBE), Body=b"A recording could be written now.\n")

    def _send(self, s3: Any, recording_id: str, record: Record) -> None:
        """Sound, a look whether it arrived, record."""
        sound = self._key(place_of(recording_id))
        about = {"ContentType": "audio/wav", "Metadata": {"sha256": record.sha256}}
        bodies = _bodies(self._spool.file(recording_id))
        if record.bytes <= PART_BYTES:
            body = b"".join(bodies)
            s3.put_object(**sound, **about, Body=body, ContentMD5=_md5(body))
        else:
            self._send_in_parts(s3, sound, about, bodies)
        arrived = self._head(s3, place_of(recording_id))
        if (
            arrived is None
            or arrived["ContentLength"] != record.bytes
            or arrived["Metadata"].get("sha256") != record.sha256
        ):
            reason = f"{self.address} took it, but does not have it whole"
            raise LibraryUnavailable(recording_id, reason, WAIT)
        note = record.to_json().encode()
        s3.put_object(
            **self._key(record_place_of(recording_id)),
            Body=note,
            ContentType="application/json",
            ContentMD5=_md5(note),
        )

    def _send_in_parts(
        self, s3: Any, sound: dict[str, str], about: dict[str, Any], bodies: Iterator[bytes]
    ) -> None:
        upload = {**sound, "UploadId": s3.create_multipart_upload(**sound, **about)["UploadId"]}
        try:
            parts = [
                {
                    "PartNumber": number,
                    "ETag": s3.upload_part(**upload, PartNumber=number, Body=body, ContentMD5=_md5(body))[
                        "ETag"
                    ],
                }
                for number, body in enumerate(bodies, start=1)
            ]
            s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
        except BaseException:
            with suppress(Exception):  # the first error is the one to tell, and `sweep` comes by later
                s3.abort_multipart_upload(**upload)
            raise

    def _uploads(self, s3: Any) -> Iterator[dict[str, Any]]:
        pages = s3.get_paginator("list_multipart_uploads")
        for page in pages.paginate(Bucket=self._where.bucket, Prefix=self._where.prefix):
            yield from page.get("Uploads", ())

    def _head(self, s3: Any, place: str) -> Any:
        """What the bucket says of an object, None when there is none."""
        try:
            return s3.head_object(**self._key(place))
        except s3.exceptions.ClientError as error:
            if error.response["Error"].get("Code") == "404":
                return None
            raise

    def _key(self, place: str) -> dict[str, str]:
        return {"Bucket": self._where.bucket, "Key": self._where.prefix + place}


def _bodies(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while body := file.read(PART_BYTES):
            yield body


def _md5(body: bytes) -> str:
    """What a service compares a body with on arrival; every S3-compatible one knows this checksum."""
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
