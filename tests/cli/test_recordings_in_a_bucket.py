"""`flowengine recordings` over a library that was moved from the disk to a bucket."""

from pathlib import Path

import pytest

from tests.cli.office import Office
from tests.cli.terminal import run
from tests.recordings.buckets import BUCKET, ENVIRONMENT, SECRET, client, service


def test_recordings_moved_to_a_bucket_are_saved_verified_and_deleted(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    id, file = office.record(), tmp_path / "out.wav"
    sound = office.sound(id)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with service() as endpoint:
        bucket = client(endpoint)
        bucket.create_bucket(Bucket=BUCKET)
        for each in (sound, sound.with_suffix(".json")):
            key = f"tokyo/{each.relative_to(office.settings.recordings_dir)}"
            bucket.put_object(Bucket=BUCKET, Key=key, Body=each.read_bytes())
        monkeypatch.setenv("FLOWENGINE_RECORDINGS_AT", f"s3://{BUCKET}/tokyo?endpoint={endpoint}")
        saved = run("recordings", "save", id, file)
        assert (saved.code, saved.err) == (0, "")
        assert file.read_bytes() == sound.read_bytes()
        assert run("recordings", "verify", "--json").json == {"verified": 1, "bad": []}
        assert run("recordings", "delete", id, "--yes").out == "1 deleted\n"
        left = [each["Key"] for each in bucket.list_objects_v2(Bucket=BUCKET).get("Contents", [])]
        assert [key for key in left if key.endswith((".wav", ".json"))] == []
    other = office.record(minutes=1)
    gone = run("recordings", "verify")
    assert (gone.code, gone.out) == (3, "")
    assert SECRET not in gone.err
    assert run("recordings", "show", other, "--json").json["status"] == "kept"


def test_a_wrong_address_is_told(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWENGINE_RECORDINGS_AT", "s3://")
    ran = run("recordings", "verify")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith("flowengine: ")
