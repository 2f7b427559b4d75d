"""What a caller can be made to hear: a spoken text, an audio of the account, or an address.

All else (commands, journals, the library of sounds) knows a prompt by its **sound key**, which says what has to
sound and nothing of where it is kept.
"""

from typing import Annotated, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, Discriminator, StringConstraints, Tag
from pydantic_core import PydanticCustomError

from flowengine.flow.fields import Language, Model, Text, printable


def _audio_id(audio: str) -> str:
    """Accept an id of the library, or a path which stays below the folder of the flow's file."""
    parts = audio.split("/")
    if audio and (any(part in ("", ".", "..") for part in parts) or "\\" in audio or ":" in audio):
        raise PydanticCustomError(
            "audio_id", 'Input should be the id of an audio or a relative path such as "audio/welcome.wav"'
        )
    return audio


def _https(url: str) -> str:
    """Accept an https address with a host and without a password in it; empty is a draft's."""
    if not url:
        return url
    try:
        parts = urlsplit(url)
        fine = parts.scheme == "https" and parts.hostname and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        fine = False
    if not fine or any(char.isspace() for char in url):
        raise PydanticCustomError(
            "https_url", 'Input should be an https address such as "https://example.com/welcome.wav"'
        )
    return url


Voice = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.+-]{1,64}$")]


class Manner(NamedTuple):
    """How a flow speaks where nothing else is said: its language, and a voice of that language ("": any)."""

    language: str = ""
    voice: str = ""

    def phrase(self, name: str, number: int | None = None) -> str:
        """Give the key of a phrase of the product: `builtin:<name>:<language>[:<number>][@<voice>]`."""
        counted = "" if number is None else f":{number}"
        spoken_by = f"@{self.voice}" if self.voice else ""
        return f"builtin:{name}:{self.language}{counted}{spoken_by}"


class Say(Model):
    """Text to be spoken as the flow speaks, unless it names a language or voice of its own."""

    say: Text
    language: Language | None = None
    voice: Voice | None = None

    def sound(self, manner: Manner) -> str:
        """Give the sound key `say:<language>:<voice>:<text>`. The flow's voice speaks the flow's language only."""
        language = self.language or manner.language
        voice = self.voice or (manner.voice if language == manner.language else "")
        return f"say:{language}:{voice}:{self.say}"


class Audio(Model):
    """A sound of the library by its id, or a file by its path from the flow's file."""

    audio: Annotated[
        str, StringConstraints(max_length=400), AfterValidator(printable), AfterValidator(_audio_id)
    ]

    def sound(self, manner: Manner) -> str:  # noqa: ARG002 - prompts share one signature
        """Give the sound key `audio:<id>`."""
        return f"audio:{self.audio}"


class Url(Model):
    """A sound fetched from an https address."""

    url: Annotated[
        str, StringConstraints(max_length=2_000), AfterValidator(printable), AfterValidator(_https)
    ]

    def sound(self, manner: Manner) -> str:  # noqa: ARG002 - prompts share one signature
        """Give the sound key `url:<url>`."""
        return f"url:{self.url}"


def _prompt_kind(prompt: object) -> str | None:
    """Choose the kind of a prompt by the key it has, so that an error is about that kind alone."""
    kinds = ("say", "audio", "url")
    if isinstance(prompt, dict):
        return next((kind for kind in kinds if kind in prompt), None)
    return next((kind for kind in kinds if hasattr(prompt, kind)), None)


Prompt = Annotated[
    Annotated[Say, Tag("say")] | Annotated[Audio, Tag("audio")] | Annotated[Url, Tag("url")],
    Discriminator(
        _prompt_kind,
        custom_error_type="prompt_kind",
        custom_error_message='Input should be a prompt: {"say": text}, {"audio": id} or {"url": address}',
    ),
]
