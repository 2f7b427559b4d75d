"""Settings of an installation: environment variables (FLOWENGINE_...), over an optional TOML file.

Everything is validated at the start, all problems at once, and secrets are never printed.
"""

import os
import shlex
import tomllib
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from flowengine.billing.currencies import BadCurrency
from flowengine.billing.exchange import exchange_rates
from recordings.errors import SpeechRefused
from recordings.speech import configured
from recordings.speech.engine import LANGUAGE
from recordings.transcribe import CommandTranscriber

PREFIX: Final = "FLOWENGINE_"
FILE_VARIABLE: Final = "FLOWENGINE_CONFIG"
NOT_IN_A_FOLDER: Final = frozenset("?#%,&\n\r\0")
"""Characters in a folder's name that an address of a database or of a sound cannot carry."""


class BadConfig(ValueError):
    """Settings that cannot be used; the message names each one and what is expected."""


class Settings(BaseSettings):
    """What an operator may set. Each field is the variable FLOWENGINE_<NAME>, and <name> in the file."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True, allow_inf_nan=False
    )

    data_dir: Path = Field(Path("var"), description="Where the database, prompts and recordings live.")
    database_url: str = Field(
        "", repr=False, description="Empty: SQLite in data_dir; else postgresql://user@host/name."
    )
    audio_dir: Path | None = Field(None, description="Root of audio files that flows name by path.")
    prompts_as: str = Field(
        "",
        description="How Asterisk sees the prompts: a path there, or http://engine:8080/sounds. Empty: as we do.",
    )
    prompt_networks: str = Field(
        "", description="Networks besides the public ones that prompts may be fetched from: 10.1.0.0/16,..."
    )
    prompt_ca_file: Path | None = Field(None, description="Certificates (PEM) of servers in those networks.")
    recordings_at: str = Field(
        "", repr=False, description="Empty: data_dir; else a folder, or s3://bucket/prefix?region=..."
    )
    switch: Literal["embedded", "asterisk"] = Field("embedded", description="What carries the calls.")
    ari_url: str = Field("http://127.0.0.1:8088", description="Asterisk's HTTP address, without /ari.")
    ari_user: str = "flowengine"
    ari_password: SecretStr = SecretStr("")
    ari_app: str = Field("flowengine", pattern=r"^[A-Za-z0-9_-]{1,40}$")
    sip_media_address: str = Field(
        "", description="Asterisk's address for RTP, if not the one calls come to."
    )
    sip_check_every_s: int = Field(
        30,
        ge=0,
        le=3600,
        description="How often registered devices are asked whether they are there; 0 never.",
    )
    country: str | None = Field(
        None, pattern=r"^[A-Z]{2}$", description="How the trunk's national numbers read."
    )
    speech_command: str = Field(
        "", repr=False, description="A program that speaks: its command line, with {out} for the sound file."
    )
    speech_languages: str = Field("", description="What it speaks, such as ja,en-GB; empty: every language.")
    notify_command: str = Field(
        "",
        repr=False,
        description="A program that tells admins: gets each notification as JSON on its input.",
    )
    transcribe_command: str = Field(
        "",
        repr=False,
        description="A program that writes messages down: its command line, with {audio} for the sound file.",
    )
    exchange_rates: str = Field(
        "", description="What one credit costs in other currencies: JPY=151.20,EUR=0.92."
    )
    number_fees_file: Path | None = Field(
        None, description="Monthly fees of numbers by country and type (CSV)."
    )
    billing: Literal["off", "prepaid"] = Field(
        "off", description="prepaid: calls are charged from credits while they run, and refused without."
    )
    http_host: str = Field("127.0.0.1", min_length=1)
    http_port: int = Field(8080, ge=0, le=65535, description="Health and status; 0 takes a free port.")
    drain_s: float = Field(30.0, ge=0, le=3600, description="How long SIGTERM waits for running calls.")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "text"] = "auto"

    @field_validator("data_dir", "audio_dir", "prompt_ca_file", "number_fees_file")
    @classmethod
    def _folder(cls, folder: Path | None) -> Path | None:
        if folder is None:
            return None
        try:
            folder = folder.expanduser()
        except RuntimeError:
            raise ValueError(f"write the folder out, for nobody knows what {folder.parts[0]} is") from None
        if strange := sorted(NOT_IN_A_FOLDER & set(str(folder.absolute()))):
            raise ValueError(f"choose a folder without {' '.join(map(repr, strange))} in its path")
        return folder

    @field_validator("speech_command")
    @classmethod
    def _speech_command(cls, command: str) -> str:
        try:
            configured(command)
        except SpeechRefused as error:
            raise ValueError(f"{error.reason}: {error.mend}") from None
        return command

    @field_validator("transcribe_command")
    @classmethod
    def _transcribe_command(cls, command: str) -> str:
        try:
            if command:
                CommandTranscriber(command)
        except SpeechRefused as error:
            raise ValueError(f"{error.reason}: {error.mend}") from None
        return command

    @field_validator("speech_languages")
    @classmethod
    def _languages(cls, languages: str) -> str:
        tags = [tag.strip() for tag in languages.split(",")]
        if languages.strip() and not all(LANGUAGE.fullmatch(tag) for tag in tags):
            raise ValueError("expected language tags with commas between them, such as ja,en-GB")
        return languages

    @field_validator("prompts_as")
    @classmethod
    def _seen_from_asterisk(cls, place: str) -> str:
        place = place.rstrip("/")
        if strange := sorted(NOT_IN_A_FOLDER & set(place)):
            raise ValueError(f"choose a place without {' '.join(map(repr, strange))} in it")
        parts = urlsplit(place)
        if place and not place.startswith("/") and not (parts.scheme in ("http", "https") and parts.hostname):
            raise ValueError(
                "expected a path such as /mnt/prompts, or an address such as http://engine:8080/sounds"
            )
        return place

    @field_validator("notify_command")
    @classmethod
    def _notify_command(cls, command: str) -> str:
        try:
            shlex.split(command)
        except ValueError:
            raise ValueError("close the quotation in the command line") from None
        return command

    @field_validator("exchange_rates")
    @classmethod
    def _exchange_rates(cls, table: str) -> str:
        try:
            exchange_rates(table)
        except BadCurrency:
            raise ValueError(
                "expected what a credit costs by currency, such as JPY=151.20,EUR=0.92"
            ) from None
        return table

    @field_validator("prompt_networks")
    @classmethod
    def _networks(cls, networks: str) -> str:
        for number, text in enumerate(networks.split(","), 1):
            try:
                if text.strip():
                    ip_network(text.strip())
            except ValueError:
                raise ValueError(
                    f"entry {number} is no network: write it like 10.1.0.0/16 or fd00::/8"
                ) from None
        return networks

    @field_validator("ari_url")
    @classmethod
    def _http(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            fine = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            fine = False
        if not fine:
            raise ValueError("expected an address like http://127.0.0.1:8088")
        if "@" in parts.netloc:
            raise ValueError(
                "give the user and the password in settings of their own, ari_user and ari_password"
            )
        return url.rstrip("/")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first, then the environment, then the file."""
        del dotenv_settings, file_secret_settings
        file = os.environ.get(FILE_VARIABLE)
        found = (init_settings, env_settings)
        return (*found, TomlConfigSettingsSource(settings_cls, Path(file))) if file else found

    @property
    def database(self) -> str:
        """The database address in use."""
        return self.database_url or f"sqlite+aiosqlite:///{self.data_dir.resolve() / 'flowengine.db'}"

    @property
    def prompts_dir(self) -> Path:
        """Rendered prompts."""
        return self.data_dir / "prompts"

    @property
    def uploads_dir(self) -> Path:
        """Sounds as accounts uploaded them."""
        return self.data_dir / "uploads"

    @property
    def fetch_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """Networks that prompts may be fetched from, besides the public ones."""
        return tuple(ip_network(each.strip()) for each in self.prompt_networks.split(",") if each.strip())

    @property
    def recordings_dir(self) -> Path:
        """Kept recordings, unless they are kept elsewhere; and those on their way to a bucket."""
        return self.data_dir / "recordings"

    @property
    def recordings(self) -> str:
        """Where recordings are kept: a folder or the address of a bucket."""
        return self.recordings_at or str(self.recordings_dir)


def load(**given: Any) -> Settings:
    """Read the settings; raises `BadConfig` naming every wrong one."""
    file = os.environ.get(FILE_VARIABLE)
    if file and not Path(file).is_file():
        raise BadConfig(f"{FILE_VARIABLE} names {file}, which is not a file: correct it, or leave it empty")
    if misspelt := _misspelt():
        raise BadConfig("\n".join(misspelt))
    try:
        return Settings(**given)
    except ValidationError as error:
        raise BadConfig(
            "\n".join(_told(each["loc"], each["msg"], each["type"]) for each in error.errors())
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadConfig(f"{file} is not TOML: {error}: correct it there") from None
    except OSError as error:
        raise BadConfig(f"{file} cannot be read: {error.strerror}") from None


def _told(place: tuple[int | str, ...], message: str, kind: str) -> str:
    """One problem, by the variable and the name in the file. What was given is not shown: it may be a secret."""
    name = ".".join(str(part) for part in place)
    if kind == "extra_forbidden":
        near = get_close_matches(name, Settings.model_fields, n=1)
        meant = f", perhaps {near[0]}" if near else ""
        return f"{name} in the file: there is no such setting{meant}: correct or remove it"
    return f"{PREFIX}{name.upper()} ({name} in the file): {message.removeprefix('Value error, ')}"


def _misspelt() -> list[str]:
    """Variables that look like a setting and are none. The tools of this project have variables of their own."""
    found = []
    for variable in sorted(os.environ):
        name = variable.removeprefix(PREFIX).lower()
        if variable.startswith(PREFIX) and variable != FILE_VARIABLE and name not in Settings.model_fields:
            near = get_close_matches(name, Settings.model_fields, n=1, cutoff=0.8)
            found += (
                [f"{variable}: there is no such setting: write {PREFIX}{near[0].upper()}"] if near else []
            )
    return found
