"""What the fields of a flow document are made of: the strict base model, and texts with their limits."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError


class Model(BaseModel):
    """Frozen, strict and closed: what the document does not know, it refuses."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        allow_inf_nan=False,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )


def printable(text: str) -> str:
    """Refuse control characters, which no speech engine, phone display or database takes."""
    for char in text:
        if (char < " " and char not in "\n\t") or char == "\x7f":
            raise PydanticCustomError(
                "control_character",
                "Input should be without control characters such as {char}",
                {"char": f"U+{ord(char):04X}"},
            )
    return text


Text = Annotated[str, StringConstraints(max_length=5_000), AfterValidator(printable)]
Label = Annotated[str, StringConstraints(max_length=200), AfterValidator(printable)]
Identifier = Annotated[str, StringConstraints(max_length=100), AfterValidator(printable)]
StateId = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9_-]{1,64}$"), Field(description="1 to 64 of a-z, 0-9, _ and -.")
]
Language = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$"),
    Field(description="A language tag (BCP 47) such as en-US or ja-JP."),
]
