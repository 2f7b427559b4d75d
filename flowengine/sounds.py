"""Where sounds and the rest meet: which upload a flow means, which sounds are wanted, how Asterisk is told of one."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from flowengine.call.machine import standard_sounds
from flowengine.config import Settings
from flowengine.flow.document import Flow
from flowengine.routing.directory import Catalog
from recordings.errors import SoundUnavailable
from recordings.fetch import Fetcher
from recordings.prompts import Fetches, PromptLibrary, Rendered, Upload
from recordings.shelf import Shelf
from recordings.sources import located
from recordings.speech.choice import configured


class AccountAudios:
    """The uploads of all accounts, from memory: the `Audios` of a `PromptLibrary`.

    What an account gave up is still found: a call finishes on the version of the flow it began with, which may name it.
    """

    def __init__(self, shelf: Shelf, known: Mapping[str, Mapping[str, str]] | None = None) -> None:
        """Begin with what is known."""
        self._shelf = shelf
        self._known: Mapping[str, Mapping[str, str]] = known or {}
        self._given_up: dict[tuple[str, str], str] = {}

    @property
    def known(self) -> Mapping[str, Mapping[str, str]]:
        """The sha256 of each sound by account, then by its id and by its name, as `Catalog.audios` has it.

        It is replaced as a whole with each catalogue, once everything new in it is rendered.
        """
        return self._known

    @known.setter
    def known(self, known: Mapping[str, Mapping[str, str]]) -> None:
        for account, sounds in self._known.items():
            left = known.get(account, {})
            self._given_up |= {(account, id_): sha256 for id_, sha256 in sounds.items() if id_ not in left}
        self._known = known

    def find(self, account: str, id: str) -> Upload | None:
        """See `recordings.render.Audios`."""
        sha256 = self._known.get(account, {}).get(id) or self._given_up.get((account, id))
        return None if sha256 is None else Upload(sha256, self._shelf.path(sha256))


class SharedAudio:
    """Names of sounds below the operator's folder, which every account may use."""

    def __init__(self, root: Path | None) -> None:
        """None: there are none."""
        self._root = root

    def __contains__(self, audio: object) -> bool:
        """Look at the disk."""
        if self._root is None or not isinstance(audio, str):
            return False
        try:
            located(self._root, audio)
        except SoundUnavailable:
            return False
        return True


def open_prompts(settings: Settings, audios: AccountAudios, fetcher: Fetches | None = None) -> PromptLibrary:
    """The prompts of an installation; `fetcher` instead of the settings' own.

    Raises `SoundUnavailable`, and `SpeechRefused` for a speech command that cannot work.
    """
    speech = configured(settings.speech_command, settings.speech_languages)
    return PromptLibrary(
        settings.prompts_dir.resolve(), speech, settings.audio_dir, audios, fetcher or fetcher_of(settings)
    )


def fetcher_of(settings: Settings) -> Fetcher:
    """What fetches prompts: from public addresses, and from the networks the operator allows."""
    return Fetcher(settings.fetch_networks, settings.prompt_ca_file)


def sounds_of(account: str, flows: Iterable[Flow]) -> list[tuple[str, str]]:
    """Everything calls in these flows can play, each once, as a `PromptLibrary` wants it."""
    keys = (key for flow in flows for key in (*flow.sounds(), *standard_sounds(flow)))
    return [(account, key) for key in dict.fromkeys(keys)]


def wanted(catalog: Catalog) -> list[tuple[str, str]]:
    """Everything new calls can play: the sounds of every flow that has a number, by account."""
    flows = {each.id: each for each in catalog.numbers.values() if each is not None}
    return list(
        dict.fromkeys(pair for each in flows.values() for pair in sounds_of(each.account, [each.flow]))
    )


def media_of(rendered: Rendered, settings: Settings) -> str:
    """The ARI media URI of a rendered sound, as Asterisk can reach it (`prompts_as`); the embedded switch is here."""
    place = settings.prompts_as if settings.switch == "asterisk" else ""
    if not place:
        return f"sound:{rendered.media}"
    if place.startswith("/"):
        return f"sound:{place}/{rendered.name}"
    return (
        f"sound:{place}/{rendered.path.name}"  # An address needs the ending: Asterisk chooses no rate there.
    )
