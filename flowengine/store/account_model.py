"""The shape of an account file: one strict model, and what is said when a file does not fit it."""

import json
from itertools import islice
from typing import Annotated, Any, Final, Literal, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from pydantic import AfterValidator, Discriminator, Field, Strict, StringConstraints, Tag, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from flowengine.flow.fields import Language, Model, Text
from flowengine.flow.problems import Problem, pointer
from flowengine.flow.prompts import Audio
from flowengine.store.account_state import NumberType

FORMAT: Final = "flowengine-account/1"
MAX_PROBLEMS: Final = 200


def _printable(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise PydanticCustomError("name", "should be printable and without spaces around it")
    return text


def _country(code: str) -> str:
    if code not in phonenumbers.SUPPORTED_REGIONS:
        raise PydanticCustomError("country", "should be the two capital letters of a country, such as JP")
    return code


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # unknown; a path; a folder of zones such as Asia
        raise PydanticCustomError("time_zone", "should be a time zone such as Asia/Tokyo") from None
    return name


Key = Annotated[str, StringConstraints(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(_printable)]
Title = Annotated[str, StringConstraints(max_length=200), AfterValidator(_printable)]
Endpoint = Annotated[
    str, StringConstraints(pattern=r"^PJSIP/([A-Za-z0-9_.-]{1,64}|\+[1-9][0-9]{5,14}@[A-Za-z0-9_.-]{1,64})$")
]
"""A device that registers, or an outside number and the endpoint of the carrier who takes it there."""
"""A registered device only: neither a dialplan extension nor a number on a trunk can be named."""
Item = TypeVar("Item")
Many = Annotated[tuple[Item, ...], Strict(False)]
"""A list of the file, which strict reading would not take for a tuple."""
AudioName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=400),
    AfterValidator(_printable),
    AfterValidator(lambda name: Audio(audio=name).audio),
]
"""A sound by its path from the folder of the file, as flows name it."""
Below = Annotated[str, StringConstraints(min_length=1, max_length=400)]


class AccountPart(Model):
    """The account itself. Numbers without a + are read as they are dialled in `country`."""

    key: Key
    name: Annotated[Title, Field(min_length=1)]
    country: Annotated[str, AfterValidator(_country)]
    language: Language
    time_zone: Annotated[str, AfterValidator(_time_zone)]
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
    wrap_up_s: Annotated[int, Field(ge=0, le=3_600)] = 0
    pause_after_misses: Annotated[int, Field(ge=0, le=100)] = 0


class NumberPart(Model):
    """A number whose type cannot be read from its digits."""

    number: str
    type: NumberType | None = None


def _number_form(entry: object) -> str | None:
    return "(text)" if isinstance(entry, str) else "(mapping)" if isinstance(entry, dict) else None


NumberEntry = Annotated[
    Annotated[str, Tag("(text)")] | Annotated[NumberPart, Tag("(mapping)")],
    Discriminator(
        _number_form,
        custom_error_type="number_form",
        custom_error_message='should be a number in quotes, such as "+81 50-5555-0100", or {number, type}',
    ),
]


class UserPart(Model):
    """Somebody who takes calls."""

    display_name: Title = ""
    devices: Many[Endpoint] = ()


class GroupPart(Model):
    """Users who are rung together, in the order of the list."""

    description: Annotated[Text, Field(max_length=2_000)] = ""
    members: Many[Name] = ()


class FlowPart(Model):
    """A flow: its document here or in a file, its numbers, and whether it is published and takes calls."""

    file: Below | None = None
    document: dict[str, Any] | None = None
    numbers: Many[str] = ()
    enabled: bool = True
    publish: bool = False
    published: Annotated[dict[str, Any] | None, Field(description="Published instead of the document.")] = (
        None
    )


class AccountModel(Model):
    """The shape of an account file."""

    format: Literal["flowengine-account/1"]
    account: AccountPart
    numbers: Many[NumberEntry] = ()
    users: dict[Name, UserPart] = Field(default_factory=dict)
    groups: dict[Name, GroupPart] = Field(default_factory=dict)
    flows: dict[Key, FlowPart] = Field(default_factory=dict)
    audios: Annotated[Many[AudioName], Field(description="Sounds besides those which the flows name.")] = ()


CODES: Final = {
    "unreadable": "The file, or a flow it names, is not there, not YAML, or not JSON.",
    "missing_field": "A field which must be there is not.",
    "unknown_field": "A field has a name that is not known here.",
    "invalid_value": "A value has the wrong type or form.",
    "unknown_value": "A value is none of those which are possible.",
    "too_long": "A text is longer than allowed.",
    "invalid_number": "This is no telephone number, or none that exists in its country.",
    "duplicate_number": "A number is there twice.",
    "unknown_number": "A flow names a number that is not among the account's.",
    "number_taken": "A number is attached to another flow, or belongs to another account.",
    "device_taken": "A device belongs to another user.",
    "duplicate_member": "A group names somebody twice.",
    "unknown_member": "A group names somebody who is no user.",
    "flow_source": "A flow has neither a file nor a document, or both.",
    "unknown_file": "A file is not there, or not below the folder of the account file.",
    "published_twice": "`publish` and `published` exclude each other.",
    "sound_kept": "A sound could not be fetched again from its address; callers go on hearing the old one.",
    "changed_meanwhile": "Somebody else changed the account at the same moment: apply again.",
}
"""What can be wrong with an account besides its flows. A code is a promise, as those of flows are."""


def account_problem(code: str, at: str, message: str) -> Problem:
    """Make an error of a registered code; `at` is a JSON pointer into the account file."""
    assert code in CODES, code
    return Problem(code, None, None, at, message)


_SENTENCES: Final = {
    "missing": ("missing_field", "this field must be there: add it"),
    "extra_forbidden": ("unknown_field", "this field is not known here: correct its spelling or remove it"),
    "literal_error": ("unknown_value", None),
    "string_too_long": ("too_long", None),
}


def shape_problems(error: ValidationError) -> list[Problem]:
    """Turn what pydantic found into problems of the file, the first `MAX_PROBLEMS` of them."""
    return [_shape_problem(one) for one in islice(error.errors(include_url=False), MAX_PROBLEMS)]


def _shape_problem(error: ErrorDetails) -> Problem:
    path = [part for part in error["loc"] if part not in ("[key]", "(text)", "(mapping)")]
    code, sentence = _SENTENCES.get(error["type"], ("invalid_value", None))
    if sentence is None:
        sentence = _sentence(error)
    return account_problem(code, pointer(*path), f"{'.'.join(map(str, path)) or 'the file'}: {sentence}")


def _sentence(error: ErrorDetails) -> str:
    got = error["input"]
    said = error["msg"].removeprefix("Input ").removeprefix("String ")
    if error["type"] == "string_type" and isinstance(got, int | float | bool):
        return f"should be a text: put {json.dumps(got)[:40]} in quotes"
    if error["type"] == "string_pattern_mismatch":
        said = _FORMS.get(str(error.get("ctx", {}).get("pattern")), said)
    if isinstance(got, dict | list):
        return f"{said}: correct it"
    return f"{said}, and not {str(got)[:60]!r}: correct it"


_FORMS: Final = {
    r"^PJSIP/([A-Za-z0-9_.-]{1,64}|\+[1-9][0-9]{5,14}@[A-Za-z0-9_.-]{1,64})$": (
        "should be a registered device such as PJSIP/hanako, or an outside number such as"
        " PJSIP/+819012345678@carrier"
    ),
    "^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$": "should be a language such as ja-JP",
    "^[A-Z]{3}$": "should be the three capital letters of a currency, such as JPY",
    "^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$": "should be small letters, digits and hyphens, such as main-line",
}
