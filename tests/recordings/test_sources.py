"""The id of an upload never leads out of the audio directory, and a strange one never reaches the disk at all."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.containers import recognise
from recordings.errors import BadAudio, SoundUnavailable
from recordings.sources import ID_LIMIT, located
from tests.recordings.sounds import quiet, wav_file

_recorders: list[list[str]] = []


def _heard(event: str, told: tuple[object, ...]) -> None:
    """An audit hook, which stays for good: it tells only the recorder of now. `open` is not only files being read."""
    if _recorders and event in ("open", "os.listdir", "os.scandir", "subprocess.Popen") and told:
        _recorders[-1].append(str(told[0]))


sys.addaudithook(_heard)


@contextmanager
def recorded() -> Iterator[list[str]]:
    """Every path that is opened or looked at."""

    def recording(look: Callable[..., Any]) -> Callable[..., Any]:
        def looked(path: Any, *given: Any, **more: Any) -> Any:
            touched.append(os.fspath(path) if not isinstance(path, int) else str(path))
            return look(path, *given, **more)

        return looked

    touched: list[str] = []
    _recorders.append(touched)
    try:
        with (
            patch.object(os, "stat", recording(os.stat)),
            patch.object(os, "lstat", recording(os.lstat)),
            patch.object(os, "readlink", recording(os.readlink)),
        ):
            yield touched
    finally:
        _recorders.pop()


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    """An audio directory with a sound, and beside it what must not be reached."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name).resolve()
        audio = home / "audio"
        (audio / "music").mkdir(parents=True)
        wav_file(audio / "hello.wav", quiet(8_000, 0.1))
        wav_file(audio / "music" / "waltz.wav", quiet(8_000, 0.1))
        wav_file(home / "secret.wav", quiet(8_000, 0.1))
        wav_file(home / "audio-secret.wav", quiet(8_000, 0.1))
        (audio / "link.wav").symlink_to(home / "secret.wav")
        (audio / "up").symlink_to(home)
        (audio / "inside.wav").symlink_to(audio / "hello.wav")
        (audio / "round.wav").symlink_to(audio / "round.wav")
        os.mkfifo(audio / "pipe.wav")
        yield audio


@pytest.mark.parametrize("id", ["hello", "hello.wav", "music/waltz", "inside"])
def test_an_upload_is_found(root: Path, id: str) -> None:
    with recorded() as touched:
        assert located(root, id).is_relative_to(root)
    assert touched, "otherwise the recorder would prove nothing"


STRANGE = (
    *(
        "",
        ".",
        "..",
        "/",
        "//",
        "./hello",
        "../secret",
        "../secret.wav",
        "music/../../secret",
        "music/../hello",
    ),
    *("/etc/hostname", "//etc/hostname", "hello/", "/hello", "music//waltz", "music/./waltz", "..\\secret"),
    *(
        "music\\waltz",
        "C:\\secret",
        "\\\\host\\share",
        "hello\0.wav",
        "\0",
        "../secret\0.wav",
        "hello\n",
        "a\rb",
    ),
    *(
        "\u202ehello",
        "hello\u200b",
        "\ufeffhello",
        "\udc80",
        "\ud800\udc00",
        "hel\u00adlo",
        "\x7f",
        "\x1b[2J",
    ),
    *("a" * (ID_LIMIT + 1), "../" * 200, "\u2028", "\u00a0hello"),
)


@pytest.mark.parametrize("id", STRANGE)
def test_a_strange_id_never_reaches_the_disk(root: Path, id: str) -> None:
    with recorded() as touched, pytest.raises(SoundUnavailable) as caught:
        located(root, id)
    assert touched == []
    assert str(caught.value).isprintable()
    assert "it is not the name of an audio file" in str(caught.value)


ALIKE = (
    *(
        "．．/secret",
        "‥/secret",
        "..／secret",
        "..∕secret",
        "..⁄secret",
        "․․/secret",
        "%2e%2e/secret",
        "..%2fsecret",
    ),
    *(
        "..;/secret",
        "...",
        ".../secret",
        "~/secret",
        "~root",
        "$HOME/secret",
        "file:secret",
        "-rf",
        "hello*",
        "|id",
    ),
    *("link", "link.wav", "up/secret", "up/audio-secret", "round", "pipe", "music", "secret", "-secret"),
    *("a" * 300, "b/" * 150 + "c", "héllo", "hello.WAV", "HELLO"),
)


@pytest.mark.parametrize("id", ALIKE)
def test_what_looks_like_a_way_out_is_none(root: Path, id: str) -> None:
    with recorded() as touched, pytest.raises(SoundUnavailable, match="there is no such audio"):
        located(root, id)
    opened = [path for path in touched if path.endswith("secret.wav") and not Path(path).is_relative_to(root)]
    # A link may be looked at to see where it leads: that is how it is known, and all that is done.
    assert not opened or id in ("link", "link.wav", "up/secret", "up/audio-secret")


@given(st.text(st.sampled_from("./\\\0a~%．／ \n\u202e") | st.characters(), max_size=30))
def test_no_id_leads_out(root: Path, id: str) -> None:
    found: list[Path] = []
    complaints: list[str] = []
    with recorded() as touched:
        try:
            found.append(located(root, id))
        except SoundUnavailable as error:
            complaints.append(str(error))
    assert all(path.is_relative_to(root) for path in found)
    assert all(said.isprintable() for said in complaints)
    around = {str(each) for each in (root, *root.parents)}
    assert all(path in around or Path(path).is_relative_to(root) for path in touched), touched


@pytest.mark.parametrize(
    "name", ["../secret.wav", "/etc/hostname", "a\0b.wav", "..\\secret.mp3", "\u202evaw.exe", ""]
)
def test_the_name_of_an_upload_is_compared_and_never_opened(root: Path, name: str) -> None:
    source = root / "hello.wav"
    refusals: list[str] = []
    with recorded() as touched:
        try:
            recognise(source, name)
        except BadAudio as error:
            refusals.append(str(error))
    assert set(touched) == {str(source)}
    assert [said.isprintable() for said in refusals] in ([], [True])
    assert len(refusals) == (1 if name.endswith("mp3") else 0)
