"""What a state may say and whom it may ring: prompts, limits, users, groups, audio.

`graph` calls this for each state. Whatever has to be looked up comes through the `Directory`, so the same
rules serve a file on a laptop (no directory) and an account in the database.
"""

import unicodedata
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Final, Protocol, assert_never

from flowengine.flow.document import (
    KEYS,
    Announcement,
    Audio,
    Flow,
    GroupTransfer,
    Ivr,
    Say,
    State,
    Url,
    UserTransfer,
    Voicemail,
)
from flowengine.flow.problems import Problem, pointer, problem

MAX_MESSAGE_S: Final = 120
"""The longest voicemail message, in seconds (product rules, section 3)."""


class Directory(Protocol):
    """What an account has: ids of users, ids of groups with their members' ids, ids of audio."""

    @property
    def users(self) -> Container[str]: ...
    @property
    def groups(self) -> Mapping[str, Sequence[str]]: ...
    @property
    def audio(self) -> Container[str]: ...


def content_problems(flow: Flow, name: str, state: State, directory: Directory | None) -> Iterator[Problem]:
    """Problems of what one state says and whom it rings."""
    for field, prompt in state.prompts():
        at = pointer("states", name, *field.split("."))
        where = f'state "{name}", {field}'
        yield from prompt_problems(flow, prompt, directory, where=where, at=at, state=name)
    match state:
        case Ivr():
            yield from _menu(name, state)
        case Voicemail():
            if state.max_duration_s > MAX_MESSAGE_S:
                message = (
                    f'state "{name}": a message may last {state.max_duration_s:g} s, and {MAX_MESSAGE_S} s (2'
                    f" minutes) is the limit: set max_duration_s to {MAX_MESSAGE_S} or less"
                )
                at = pointer("states", name, "max_duration_s")
                yield problem("duration_over_limit", message, state=name, pointer=at)
        case UserTransfer():
            yield from _user(name, state, directory)
        case GroupTransfer():
            yield from _group(name, state, directory)
        case Announcement():
            pass
        case _:
            assert_never(state)


def prompt_problems(
    flow: Flow,
    prompt: Say | Audio | Url,
    directory: Directory | None,
    *,
    where: str,
    at: str,
    state: str | None,
) -> Iterator[Problem]:
    """Problems of one prompt: `where` names it for people, `at` is its JSON pointer."""
    kind, content = next(iter(prompt))  # the key which makes the prompt what it is comes first in each model
    at = f"{at}/{kind}"
    if not str(content).strip():
        mend = "write what is to be said" if isinstance(prompt, Say) else "choose what is to be played"
        yield problem("empty_prompt", f"{where}: the prompt is empty: {mend}", state=state, pointer=at)
    elif isinstance(prompt, Audio) and directory is not None and prompt.audio not in directory.audio:
        message = f'{where}: there is no audio "{prompt.audio}": upload it, or choose another'
        yield problem("unknown_audio", message, state=state, pointer=at)
    elif isinstance(prompt, Say):
        language = prompt.language or flow.language
        if not _fits(prompt.say, language):
            message = (
                f"{where}: the text is not written in the script of {language}, in which it will be spoken:"
                ' set "language" of the prompt, or of the flow'
            )
            yield problem("language_mismatch", message, state=state, pointer=at)


def _menu(name: str, state: Ivr) -> Iterator[Problem]:
    if all(state.connections.get(key) is None for key in KEYS):
        message = f'state "{name}": no key of the menu is connected: connect one, or use an announcement'
        yield problem("no_keys", message, state=name, pointer=pointer("states", name, "exits"))
    for key in state.key_labels:
        if key not in KEYS or state.connections.get(key) is None:
            message = (
                f'state "{name}": key "{key}" has a label and leads nowhere: connect it, or remove the label'
            )
            yield problem(
                "unused_key_label", message, state=name, pointer=pointer("states", name, "key_labels", key)
            )


def _user(name: str, state: UserTransfer, directory: Directory | None) -> Iterator[Problem]:
    at = pointer("states", name, "user")
    if not state.user.strip():
        yield problem("empty_user", f'state "{name}": no user is chosen: choose one', state=name, pointer=at)
    elif directory is not None and state.user not in directory.users:
        message = f'state "{name}": there is no user "{state.user}": choose a user of the account'
        yield problem("unknown_user", message, state=name, pointer=at)


def _group(name: str, state: GroupTransfer, directory: Directory | None) -> Iterator[Problem]:
    at = pointer("states", name, "group")
    if not state.group.strip():
        yield problem(
            "empty_group", f'state "{name}": no group is chosen: choose one', state=name, pointer=at
        )
    elif directory is not None and state.group not in directory.groups:
        message = f'state "{name}": there is no group "{state.group}": choose a group of the account'
        yield problem("unknown_group", message, state=name, pointer=at)
    elif directory is not None and not directory.groups[state.group]:
        message = f'state "{name}": the group "{state.group}" has no members, so nobody is rung: add members'
        yield problem("group_without_members", message, state=name, pointer=at)


_LATIN = frozenset({"LATIN"})
_SCRIPTS: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(
        ("da", "de", "en", "es", "fi", "fr", "id", "it", "nb", "nl", "pl", "pt", "sv", "tr", "vi"), _LATIN
    ),
    "ja": frozenset({"HIRAGANA", "KATAKANA", "CJK"}),
    "zh": frozenset({"CJK"}),
    "ko": frozenset({"HANGUL", "CJK"}),
    "ru": frozenset({"CYRILLIC"}),
    "uk": frozenset({"CYRILLIC"}),
    "el": frozenset({"GREEK"}),
    "he": frozenset({"HEBREW"}),
    "ar": frozenset({"ARABIC"}),
    "th": frozenset({"THAI"}),
    "hi": frozenset({"DEVANAGARI"}),
}
"""The scripts of some languages, by the first words of the Unicode names of their letters."""


def _fits(text: str, language: str) -> bool:
    """Tell whether a text can be spoken in a language: most of it is not in a script foreign to it.

    Half is enough, since names and brands are written as they are. Languages not in the table always fit.
    """
    scripts = _SCRIPTS.get(language.partition("-")[0])
    if scripts is None:
        return True
    letters = [char for char in text if char.isalpha()]
    own = sum(1 for char in letters if _script(char) in scripts)
    return own * 2 >= len(letters)


def _script(letter: str) -> str:
    """Name the script of a letter, as Unicode calls it; full-width letters are Latin."""
    words = unicodedata.name(letter, "UNKNOWN").replace("FULLWIDTH ", "").replace("HALFWIDTH ", "").split()
    return words[0]
