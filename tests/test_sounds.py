"""Which upload a flow means, what is wanted, and how Asterisk is told of a sound."""

from pathlib import Path

import pytest

from flowengine.config import BadConfig, load
from flowengine.flow import document
from flowengine.routing.directory import Catalog, PublishedFlow
from flowengine.sounds import AccountAudios, SharedAudio, media_of, sounds_of, wanted
from recordings.prompts import Rendered, Upload
from recordings.shelf import Shelf

NAME = f"say-{'0' * 40}-{'1' * 24}"


def flow(text: str) -> document.Flow:
    hello = {"type": "announcement", "prompt": {"say": text}}
    return document.parse(
        {
            "format": "flowengine/1",
            "name": text,
            "start": "hello",
            "states": {"hello": hello},
            "language": "en",
        }
    )


@pytest.mark.parametrize(
    ("place", "media"),
    [
        ("", f"sound:/here/prompts/{NAME}"),
        ("/mnt/prompts", f"sound:/mnt/prompts/{NAME}"),
        ("/mnt/prompts/", f"sound:/mnt/prompts/{NAME}"),
        ("http://engine:8080/sounds", f"sound:http://engine:8080/sounds/{NAME}.wav"),
        ("https://[fd00::1]/sounds/", f"sound:https://[fd00::1]/sounds/{NAME}.wav"),
    ],
)
def test_asterisk_is_told_where_it_sees_a_sound(place: str, media: str) -> None:
    rendered = Rendered(Path(f"/here/prompts/{NAME}.wav"), 1_000)
    assert media_of(rendered, load(switch="asterisk", prompts_as=place)) == media
    assert media_of(rendered, load(prompts_as=place)) == f"sound:/here/prompts/{NAME}", "it sees what we see"


@pytest.mark.parametrize(
    "place", ["prompts", "ftp://engine/x", "http://", "/mnt/a,b", "http://e/x?y", "http://e/x#y"]
)
def test_places_asterisk_could_not_be_told(place: str) -> None:
    with pytest.raises(BadConfig, match="FLOWENGINE_PROMPTS_AS"):
        load(prompts_as=place)


def test_uploads_are_found_by_account_and_name(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    sha256 = "0" * 64
    audios = AccountAudios(shelf, {"acc_1": {"hello.wav": sha256}})
    assert audios.find("acc_1", "hello.wav") == Upload(sha256, tmp_path / "00" / sha256)
    assert audios.find("acc_1", "other.wav") is None
    assert audios.find("acc_2", "hello.wav") is None
    other = "1" * 64
    audios.known = {"acc_1": {"hello.wav": other}, "acc_2": {}}
    assert audios.find("acc_1", "hello.wav") == Upload(other, tmp_path / "11" / other)
    audios.known = {}
    assert audios.find("acc_1", "hello.wav") == Upload(other, tmp_path / "11" / other), (
        "a call may still be on it"
    )
    assert audios.find("acc_2", "hello.wav") is None


def test_what_the_operator_shares(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "hello.wav").touch()
    (tmp_path / "secret.wav").touch()
    shared = SharedAudio(tmp_path / "shared")
    assert ["hello" in shared, "hello.wav" in shared] == [True, True]
    assert [each in shared for each in ("other", "../secret.wav", "../secret", "", 1)] == [False] * 5
    assert "hello.wav" not in SharedAudio(None)


def test_every_flow_with_a_number_is_wanted_once() -> None:
    first, second = (PublishedFlow(f"flw_{n}", f"acc_{n}", "v", flow(f"Hello {n}")) for n in (1, 2))
    catalog = Catalog(numbers={"+811": first, "+812": first, "+813": second, "+814": None})
    found = wanted(catalog)
    assert len(found) == len(set(found))
    assert ("acc_1", "say:en::Hello 1") in found
    assert ("acc_2", "say:en::Hello 2") in found
    assert ("acc_1", "say:en::Hello 2") not in found
    assert found == [*sounds_of("acc_1", [first.flow]), *sounds_of("acc_2", [second.flow])]
    assert {key for account, key in found if account == "acc_1"} >= {"tone:beep", "builtin:minute-left:en"}
