"""Addresses of libraries: read as they are meant, refused with the mend, and never a secret repeated."""

import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.errors import RecordingRefused
from recordings.library import RecordingLibrary
from recordings.s3_address import S3Address
from recordings.storage_disk import MARK


@pytest.mark.parametrize(
    ("address", "read", "shown"),
    [
        ("s3://talks", S3Address("talks", "", None, None, "virtual"), "s3://talks"),
        ("s3://talks/", S3Address("talks", "", None, None, "virtual"), "s3://talks"),
        (
            "s3://talks/of/tokyo/?region=ap-northeast-1",
            S3Address("talks", "of/tokyo/", None, "ap-northeast-1", "virtual"),
            "s3://talks/of/tokyo",
        ),
        (
            "s3://talks/a?endpoint=http://127.0.0.1:9000&region=us-east-1",
            S3Address("talks", "a/", "http://127.0.0.1:9000", "us-east-1", "path"),
            "s3://talks/a at http://127.0.0.1:9000",
        ),
        (
            "s3://talks?endpoint=https%3A%2F%2Fstore.example&style=virtual",
            S3Address("talks", "", "https://store.example", None, "virtual"),
            "s3://talks at https://store.example",
        ),
    ],
)
def test_addresses(address: str, read: S3Address, shown: str) -> None:
    assert S3Address.parse(address) == read
    assert str(read) == shown


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("s3://", "it names no bucket; write s3://bucket/prefix"),
        ("s3:///prefix", "it names no bucket"),
        ("s3://b ucket", "it names no bucket"),
        ("s3://talks:9000/x", "it names no bucket"),
        ("s3://talks/a b", "its prefix has characters"),
        ("s3://talks/a/../b", "its prefix has characters"),
        ("s3://talks/a//b", "its prefix has characters"),
        ("s3://talks/a#b", "its prefix has characters"),
        ("s3://talks?endpoint=store.example", "its endpoint is not the address of a service"),
        ("s3://talks?endpoint=ftp://store.example", "its endpoint is not"),
        ("s3://talks?endpoint=http://store.example:99999", "its endpoint is not"),
        ("s3://talks?endpoint=", "its endpoint is not"),
        ("s3://talks?region=Tokyo!", "its region is not the name of one; write it like eu-central-1"),
        ("s3://talks?style=old", "its style is not known; known are path, virtual"),
        (
            "s3://talks?endpiont=http://x",
            "a setting that is not known: endpiont; known are endpoint, region, style",
        ),
        ("s3://talks?x", "it is no address"),
        ("s3://[talks", "it is no address"),
    ],
)
def test_wrong_addresses_are_told_with_the_mend(address: str, told: str) -> None:
    with pytest.raises(RecordingRefused) as caught:
        S3Address.parse(address)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "s3://AKME:hidden@talks/x",
        "s3://talks?endpoint=http://AKME:hidden@127.0.0.1:9000",
        "s3://talks?secret=hidden",
        "s3://talks?hidden",
        "s3://talks/hi dden",
    ],
)
def test_a_secret_in_an_address_is_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(RecordingRefused) as caught:
        S3Address.parse(address)
    assert "AKME" not in str(caught.value)
    assert "hidden" not in str(caught.value)


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_any_text_is_an_address_or_refused(rest: str) -> None:
    with suppress(RecordingRefused):
        address = S3Address.parse(f"s3://{rest}")
        assert str(address).startswith(f"s3://{address.bucket}")


def test_a_directory_is_an_address_too(tmp_path: Path) -> None:
    library = RecordingLibrary.at(str(tmp_path / "kept"), tmp_path / "spool")
    assert library.address == str(tmp_path / "kept")
    assert library.path("rec_1").parents[1] == tmp_path / "kept"
    assert [path.name for path in tmp_path.rglob("*")] == ["kept", MARK], "no spool is made for a disk"


def test_other_kinds_are_refused(tmp_path: Path) -> None:
    for address in ("file:///var/recordings", "gs://talks", "https://store.example/talks"):
        with pytest.raises(RecordingRefused, match="no such kind of library; name a directory, or write s3:"):
            RecordingLibrary.at(address, tmp_path / "spool")


def test_a_bucket_has_no_paths(tmp_path: Path) -> None:
    library = RecordingLibrary.at("s3://talks/x?endpoint=http://127.0.0.1:9", tmp_path / "spool")
    with pytest.raises(RecordingRefused, match="take its bytes from the library"):
        library.path("rec_1")


def test_without_its_client_the_mend_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    with pytest.raises(RecordingRefused, match=r"pip install 'flowengine\[s3\]'"):
        RecordingLibrary.at("s3://talks/x", tmp_path / "spool")
