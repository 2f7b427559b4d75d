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
    # The document does not have the shape of a flow: told by `document.load`, before the rules are looked at.
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
}
