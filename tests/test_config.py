"""Settings: where they come from, what is refused and how it is told, and that secrets stay secret."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from flowengine.config import BadConfig, Settings, load


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("FLOWENGINE_"):
            monkeypatch.delenv(name)


@pytest.fixture
def set_(monkeypatch: pytest.MonkeyPatch) -> Any:
    def set_all(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"FLOWENGINE_{name.upper()}", value)

    return set_all


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "flowengine.toml"
    monkeypatch.setenv("FLOWENGINE_CONFIG", str(path))
    return path


def why(**given: Any) -> str:
    with pytest.raises(BadConfig) as caught:
        load(**given)
    return str(caught.value)


def test_without_any_setting_the_engine_runs_by_itself() -> None:
    found = load()
    assert found.switch == "embedded"
    assert found.http_host == "127.0.0.1"
    assert found.database == f"sqlite+aiosqlite:///{Path('var').resolve()}/flowengine.db"
    assert (found.prompts_dir, found.recordings_dir) == (Path("var/prompts"), Path("var/recordings"))


def test_an_argument_goes_before_the_environment_and_that_before_the_file(set_: Any, file: Path) -> None:
    file.write_text('country = "DE"\nhttp_port = 1\nlog_level = "debug"\n')
    set_(http_port="2", log_level="error")
    found = load(log_level="warning")
    assert (found.country, found.http_port, found.log_level) == ("DE", 2, "warning")


def test_an_empty_variable_is_as_good_as_none(set_: Any) -> None:
    plain = load()
    set_(country="", database_url="", http_port="", ari_password="", audio_dir="", config="")
    assert load() == plain


def test_a_database_can_be_named(set_: Any) -> None:
    set_(database_url="postgresql://flow@db/flow")
    assert load().database == "postgresql://flow@db/flow"


def test_all_problems_are_told_at_once_and_each_by_its_names(set_: Any) -> None:
    set_(http_port="70000", switch="freeswitch", country="Japan", drain_s="-1", ari_app="a b")
    told = why().splitlines()
    assert len(told) == 5
    assert "FLOWENGINE_HTTP_PORT (http_port in the file): Input should be less than or equal to 65535" in told
    assert any("FLOWENGINE_SWITCH" in line and "'embedded' or 'asterisk'" in line for line in told)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e9", "soon"])
def test_a_time_to_drain_is_a_number_of_seconds(set_: Any, value: str) -> None:
    set_(drain_s=value)
    assert why().startswith("FLOWENGINE_DRAIN_S (drain_s in the file): Input should be")


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8088",
        "ftp://host",
        "http://",
        "http://host:99999",
        "http://host:x",
        "http://[::1",
        "//host",
    ],
)
def test_an_address_of_asterisk_that_is_none(set_: Any, url: str) -> None:
    set_(ari_url=url)
    assert why().endswith("expected an address like http://127.0.0.1:8088")


def test_a_password_has_no_place_in_an_address(set_: Any) -> None:
    set_(ari_url="http://flow:s3cret@host:8088")
    assert "ari_password" in why()
    assert "s3cret" not in why()


def test_an_address_loses_its_last_slash(set_: Any) -> None:
    set_(ari_url="https://asterisk.example:8089/")
    assert load().ari_url == "https://asterisk.example:8089"


def test_an_empty_address_to_listen_on_would_be_every_address(file: Path) -> None:
    file.write_text('http_host = ""\n')
    assert why().startswith("FLOWENGINE_HTTP_HOST")


@pytest.mark.parametrize("folder", ["/data?x", "/data&more", "a,b", "50%", "line\nbreak"])
def test_a_folder_that_no_address_can_carry(set_: Any, folder: str) -> None:
    set_(data_dir=folder)
    assert why().startswith("FLOWENGINE_DATA_DIR (data_dir in the file): choose a folder without")


def test_a_home_folder_is_found_and_an_unknown_one_told(set_: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/flow")
    set_(data_dir="~/data", audio_dir="~/sounds")
    assert load().data_dir == Path("/home/flow/data")
    assert load().audio_dir == Path("/home/flow/sounds")
    set_(data_dir="~nobody-of-that-name/data")
    assert "~nobody-of-that-name" in why()


# The file


def test_a_file_that_is_not_there(file: Path) -> None:
    assert why() == f"FLOWENGINE_CONFIG names {file}, which is not a file: correct it, or leave it empty"
    file.mkdir()
    assert "is not a file" in why()


@pytest.mark.parametrize("content", [b"port = = 1", b"[section", b"\xff\xfe", b"a = 1\na = 2", b"\x00"])
def test_a_file_that_is_no_toml(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    assert why().startswith(f"{file} is not TOML")


def test_a_setting_that_does_not_exist(file: Path) -> None:
    file.write_text('databse_url = "x"\nswitches = 1\nnonsense = 2\n')
    assert why().splitlines() == [
        "databse_url in the file: there is no such setting, perhaps database_url: correct or remove it",
        "switches in the file: there is no such setting, perhaps switch: correct or remove it",
        "nonsense in the file: there is no such setting: correct or remove it",
    ]


def test_a_misspelt_variable_is_not_passed_over(set_: Any) -> None:
    set_(datadir="/data", ari_passwort="s3cret")
    assert why().splitlines() == [
        "FLOWENGINE_ARI_PASSWORT: there is no such setting: write FLOWENGINE_ARI_PASSWORD",
        "FLOWENGINE_DATADIR: there is no such setting: write FLOWENGINE_DATA_DIR",
    ]


def test_variables_of_the_tools_are_nobodys_misspelling(set_: Any) -> None:
    plain = load()
    set_(asterisk="/usr/sbin/asterisk", cache="/tmp/cache", python="python3.12")
    assert load() == plain


_TOML_VALUES = st.one_of(
    st.booleans().map(lambda value: str(value).lower()),
    st.integers(-(10**9), 10**9).map(str),
    st.sampled_from(['""', '"x"', "[1]", "{ a = 1 }", "1.5", "nan", "1979-05-27", '"\\u0000"', '"s3cret"']),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.dictionaries(st.sampled_from([*Settings.model_fields, "other"]), _TOML_VALUES))
@example(values={"ari_password": "[1]"})
@example(values=dict.fromkeys(Settings.model_fields, '"s3cret"'))
def test_any_file_is_taken_or_refused_by_name(file: Path, values: dict[str, str]) -> None:
    file.write_text("".join(f"{name} = {value}\n" for name, value in values.items()))
    told = ""
    try:
        load()
    except BadConfig as error:
        told = str(error)
    for line in told.splitlines():
        assert any(f"({name} in the file)" in line or f"{name} in the file" in line for name in values)
    assert "s3cret" not in told


# Secrets


def test_secrets_are_never_shown(set_: Any) -> None:
    set_(ari_password="s3cret-ari", database_url="postgresql://flow:s3cret-db@host/flow")
    found = load()
    assert "s3cret" not in repr(found)
    assert "s3cret" not in str(found)
    assert found.ari_password.get_secret_value() == "s3cret-ari"


def test_a_wrong_secret_is_not_shown_either(file: Path) -> None:
    file.write_text("ari_password = [7123456]\ndatabase_url = 7123456\n")
    assert why().count("Input should be a valid string") == 2
    assert "7123456" not in why()


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load().http_port = 1
