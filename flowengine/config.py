"""Settings of an installation: environment variables (FLOWENGINE_...), over an optional TOML file.

Everything is validated at the start, all problems at once, and secrets are never printed.
"""

import os
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

FILE_VARIABLE = "FLOWENGINE_CONFIG"


class BadConfig(ValueError):
    """Settings that cannot be used; the message names each one and what is expected."""


class Settings(BaseSettings):
    """What an operator may set. Each field is the variable FLOWENGINE_<NAME>, and <name> in the file."""

    model_config = SettingsConfigDict(env_prefix="FLOWENGINE_", extra="forbid", frozen=True)

    data_dir: Path = Field(Path("var"), description="Where the database, prompts and recordings live.")
    database_url: str = Field("", description="Empty: SQLite in data_dir; else postgresql+asyncpg://...")
    audio_dir: Path | None = Field(None, description="Root of audio files that flows name by path.")
    switch: Literal["embedded", "asterisk"] = Field("embedded", description="What carries the calls.")
    ari_url: str = Field("http://127.0.0.1:8088", description="Asterisk's HTTP address, without /ari.")
    ari_user: str = "flowengine"
    ari_password: SecretStr = SecretStr("")
    ari_app: str = Field("flowengine", pattern=r"^[A-Za-z0-9_-]{1,40}$")
    country: str | None = Field(
        None, pattern=r"^[A-Z]{2}$", description="How the trunk's national numbers read."
    )
    http_host: str = "127.0.0.1"
    http_port: int = Field(8080, ge=0, le=65535, description="Health and status; 0 takes a free port.")
    drain_s: float = Field(30.0, ge=0, le=3600, description="How long SIGTERM waits for running calls.")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "text"] = "auto"

    @field_validator("ari_url")
    @classmethod
    def _http(cls, url: str) -> str:
        if not url.startswith(("http://", "https://")):
            raise ValueError("expected an address like http://127.0.0.1:8088")
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
    def recordings_dir(self) -> Path:
        """Kept recordings."""
        return self.data_dir / "recordings"


def load(**given: Any) -> Settings:
    """Read the settings; raises `BadConfig` naming every wrong one."""
    file = os.environ.get(FILE_VARIABLE)
    if file and not Path(file).is_file():
        raise BadConfig(f"{FILE_VARIABLE} names {file}, which is not a file")
    try:
        return Settings(**given)
    except ValidationError as error:
        raise BadConfig("\n".join(_told(each["loc"], each["msg"]) for each in error.errors())) from None
    except tomllib.TOMLDecodeError as error:
        raise BadConfig(f"{file} is not TOML: {error}") from None


def _told(place: tuple[int | str, ...], message: str) -> str:
    name = ".".join(str(part) for part in place)
    return f"FLOWENGINE_{name.upper()} ({name} in the file): {message}"
