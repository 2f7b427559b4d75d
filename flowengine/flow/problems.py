"""The problems a flow document can have, by stable code.

A code is a promise: the designer, the API and scripts match on it, so a code is never renamed and never
reused. The messages are for people and may change. `docs/problems.md` is generated from `CODES`.
"""

from dataclasses import asdict, dataclass
from typing import Literal, NamedTuple

Severity = Literal["error", "warning"]


class Rule(NamedTuple):
    """One line of the registry: how grave a code is, what it means, and how it is mended."""

    severity: Severity
    meaning: str
    mend: str


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a flow, placed so that a person and the designer can point at it.

    `pointer` is an RFC 6901 JSON pointer into the document; `state` and `exit` are set when the problem
    belongs to one. Errors refuse publishing; warnings do not.
    """

    code: str
    state: str | None
    exit: str | None
    pointer: str
    message: str
    severity: Severity = "error"

    def as_json(self) -> dict[str, str | None]:
        """Give the problem as the JSON object which `check --json` and the API show."""
        return asdict(self)


def problem(
    code: str, message: str, *, pointer: str, state: str | None = None, exit: str | None = None
) -> Problem:
    """Make a problem of a registered code, with the severity the registry gives it."""
    return Problem(code, state, exit, pointer, message, CODES[code].severity)


def pointer(*parts: str | int) -> str:
    """Join the parts to a JSON pointer (RFC 6901): `/` and `~` inside a part are escaped."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


CODES: dict[str, Rule] = {
    # Shape: told by `document.load`, before the rules are looked at.
    "invalid_document": Rule(
        "error", "A value has the wrong type or form.", "Write the value in the form the message names."
    ),
    "missing_field": Rule("error", "A field which must be there is not.", "Add the field."),
    "unknown_field": Rule(
        "error", "A field has a name that is not known here.", "Correct the spelling, or remove the field."
    ),
    "out_of_range": Rule(
        "error",
        "A number is below the smallest or above the largest allowed value.",
        "Choose a number inside.",
    ),
    "too_long": Rule("error", "A text is longer than allowed.", "Shorten the text."),
    "unknown_format": Rule(
        "error", "The document is not in a format this version reads.", 'Set "format" to "flowengine/1".'
    ),
    "unknown_state_type": Rule(
        "error", "A state is of a type that does not exist.", "Use one of the five types of state."
    ),
    "too_many_problems": Rule(
        "error", "There are more problems than are worth listing.", "Mend the listed ones and check again."
    ),
    # Rules: told by `graph.problems`. They refuse publishing; a draft may break them.
    "empty_name": Rule("error", "The flow has no name.", "Give it a name."),
    "no_states": Rule("error", "The flow has no states, so a call has nowhere to go.", "Add a state."),
    "start_missing": Rule("error", "No state is connected to the start.", "Connect the start to a state."),
    "start_unknown": Rule(
        "error", "The start leads to a state that is not there.", "Connect the start to a state of the flow."
    ),
    "unknown_target": Rule(
        "error",
        "An exit leads to a state that is not there.",
        "Connect the exit to a state, or leave it open.",
    ),
    "unknown_exit": Rule(
        "error", "A connection leaves by an exit which this type of state does not have.", "Remove it."
    ),
    "too_many_keys": Rule(
        "error", "A menu has more than 11 keys (0-9 and *).", "Split the menu in two, or remove keys."
    ),
    "too_many_incoming": Rule(
        "error",
        "More than 10 connections lead into one state. Each connected exit counts; the start does not.",
        "Connect some of the exits to a copy of the state.",
    ),
    "unreachable_state": Rule(
        "error",
        "No way from the start leads to a state.",
        "Connect an exit to the state, or remove the state.",
    ),
    "loop": Rule(
        "error",
        "A way leads from a state back to itself.",
        "Connect the exit which closes the loop elsewhere.",
    ),
    "duration_over_limit": Rule(
        "error", "A voicemail message may last longer than 2 minutes.", "Set max_duration_s to 120 or less."
    ),
    "empty_prompt": Rule("error", "A prompt is empty.", "Write the text, or choose the audio."),
    "empty_user": Rule("error", "A user transfer names no user.", "Choose a user."),
    "empty_group": Rule("error", "A group transfer names no group.", "Choose a group."),
    "unknown_user": Rule("error", "A user is not in the account.", "Choose a user of the account."),
    "unknown_group": Rule("error", "A group is not in the account.", "Choose a group of the account."),
    "unknown_audio": Rule("error", "An audio is not in the library.", "Upload it, or choose another."),
    "number_taken": Rule(
        "error", "A number is attached to another flow.", "Detach it there, or publish without the number."
    ),
    # Advice: told by `graph.problems`, never in the way of publishing.
    "dead_end": Rule(
        "warning",
        "A call can end at an open exit of a menu or transfer, and the flow has no goodbye of its own.",
        "Connect the exit, or give the flow a goodbye.",
    ),
    "no_keys": Rule("warning", "A menu has no connected key.", "Connect a key, or use an announcement."),
    "unused_key_label": Rule(
        "warning", "A key has a label and no connection.", "Connect it, or remove the label."
    ),
    "group_without_members": Rule("warning", "A group has no members to ring.", "Add members to the group."),
    "recording_without_notice": Rule(
        "warning",
        "A call can come to a transfer that records without having been told of it. A notice on each of the ways"
        " will do.",
        "Give the transfer a recording_notice, or set tells_of_recording of an announcement which says so on the"
        " way.",
    ),
    "language_mismatch": Rule(
        "warning",
        "A text is not written in the script of the language it will be spoken in.",
        "Set the language of the prompt, or of the flow.",
    ),
}


def markdown() -> str:
    """Write the registry as the page `docs/problems.md`."""
    lines = [
        "# Problems of a flow, by code",
        "",
        "`flowengine check` and the API name every problem at once as",
        "`{code, state, exit, pointer, message, severity}`. The code is stable: scripts may match on it. The",
        "pointer is an RFC 6901 JSON pointer into the document. Errors refuse publishing; warnings do not.",
        "",
        "This page is generated from `flowengine/flow/problems.py` by `python -m flowengine.flow.schema`.",
        "",
        "| code | severity | what is wrong | the mend |",
        "| --- | --- | --- | --- |",
    ]
    lines += [
        f"| `{code}` | {rule.severity} | {rule.meaning} | {rule.mend} |" for code, rule in CODES.items()
    ]
    return "\n".join(lines).replace("and *)", "and \\*)") + "\n"
