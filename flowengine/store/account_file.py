"""Reading an account file: YAML or JSON, checked as a whole, every mistake named with its line and its mend.

Nothing is looked up in the database here. Flows and audio lie below the folder of the file, so that an account is
a folder that can be moved and kept in git.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from flowengine.flow import document
from flowengine.flow.problems import Problem, pointer
from flowengine.flow.reading import Invalid, Unreadable
from flowengine.store.account_model import AccountModel, FlowPart, GroupPart, account_problem, shape_problems
from flowengine.store.account_state import (
    AccountState,
    AudioState,
    FlowState,
    GroupState,
    NumberState,
    Settings,
    UserState,
)
from flowengine.store.audio_places import audio_places
from flowengine.store.errors import AccountRefused
from flowengine.store.phone import InvalidNumber, read_number
from flowengine.store.yaml_text import read_yaml


@dataclass(frozen=True)
class AccountFile:
    """A file that was read.

    Attributes:
        state: the account it asks for.
        folder: where its audio lies, each sound at the path which is its name.
        places: for each flow, where its document is: a pointer into the file, or "main-line.json#".
        lines: the line of each part of the file, by its pointer.
        elsewhere: sounds the file lists that do not lie beside it, by name, with their pointers.
    """

    state: AccountState
    folder: Path
    places: dict[str, str]
    lines: dict[str, int]
    elsewhere: Mapping[str, str] = field(default_factory=dict)

    def measured(self, durations_ms: Mapping[str, int]) -> "AccountFile":
        """The same file, with the length of each sound by its sha256."""
        audios = {
            name: replace(audio, duration_ms=durations_ms.get(audio.sha256, audio.duration_ms))
            for name, audio in self.state.audios.items()
        }
        return replace(self, state=replace(self.state, audios=audios))

    def refusal(self, problems: Sequence[Problem]) -> AccountRefused:
        """Make the refusal of this file, with the line of each problem."""
        return AccountRefused(_with_lines(problems, self.lines))


def load_account_file(path: Path) -> AccountFile:
    """Read an account file with the flows it names; raises `AccountRefused` with everything that is wrong."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise AccountRefused(
            [account_problem("unreadable", "", f"{path}: {error.strerror}: name a file")]
        ) from None
    return read_account_file(data, path.parent)


def read_account_file(data: bytes, folder: Path) -> AccountFile:
    """Read the text of an account file; `folder` is where the files it names lie."""
    try:
        text = read_yaml(data)
    except Unreadable as error:
        raise AccountRefused([account_problem("unreadable", "", str(error))]) from None
    try:
        model = AccountModel.model_validate(text.value)
    except ValidationError as error:
        raise AccountRefused(_with_lines(shape_problems(error), text.lines)) from None
    reading = _Reading(model, folder)
    file = AccountFile(reading.state(), folder, reading.places, text.lines, reading.elsewhere)
    if reading.problems:
        raise file.refusal(reading.problems)
    return file


class _Reading:
    """Turns the model into a state, and collects what is wrong on the way."""

    def __init__(self, model: AccountModel, folder: Path) -> None:
        self.model = model
        self.folder = folder
        self.problems: list[Problem] = []
        self.places: dict[str, str] = {}
        self.elsewhere: dict[str, str] = {}

    def state(self) -> AccountState:
        part = self.model.account
        settings = Settings(**part.model_dump(exclude={"key"}))
        numbers = self._numbers()
        self._attach(numbers)
        self._devices()
        users = {name: UserState(user.display_name, user.devices) for name, user in self.model.users.items()}
        groups = {name: self._group(name, group) for name, group in self.model.groups.items()}
        flows = dict(self._flows())
        return AccountState(
            part.key,
            settings,
            numbers,
            users,
            groups,
            flows,
            dict(self._audios(flows)),
        )

    def _refuse(self, code: str, at: str, message: str) -> None:
        self.problems.append(account_problem(code, at, message))

    def _number(self, spelling: str, at: str) -> tuple[str, NumberState] | None:
        try:
            phone = read_number(spelling, self.model.account.country)
        except InvalidNumber as error:
            self._refuse("invalid_number", at, str(error))
            return None
        return phone.e164, NumberState(phone.country, phone.type)

    def _numbers(self) -> dict[str, NumberState]:
        found: dict[str, NumberState] = {}
        for index, part in enumerate(self.model.numbers):
            spelling, type_ = (part, None) if isinstance(part, str) else (part.number, part.type)
            at = pointer("numbers", index) + ("" if isinstance(part, str) else "/number")
            if (read := self._number(spelling, at)) is None:
                continue
            number, state = read
            if number in found:
                self._refuse(
                    "duplicate_number", at, f"the number {number} is there twice: remove one of the two"
                )
            found[number] = NumberState(state.country, type_ or state.type)
        return found

    def _attach(self, numbers: dict[str, NumberState]) -> None:
        """Attach the numbers that flows name."""
        for key, flow in self.model.flows.items():
            for index, spelling in enumerate(flow.numbers):
                at = pointer("flows", key, "numbers", index)
                if (read := self._number(spelling, at)) is None:
                    continue
                number = read[0]
                if number not in numbers:
                    message = f"the number {number} is not one of the account's: add it to numbers"
                    self._refuse("unknown_number", at, message)
                elif (other := numbers[number].flow) is not None:
                    message = f'the number {number} is attached to the flow "{other}" already: a number has one flow'
                    self._refuse("number_taken", at, message)
                else:
                    numbers[number] = NumberState(numbers[number].country, numbers[number].type, key)

    def _devices(self) -> None:
        owners: dict[str, str] = {}
        for name, user in self.model.users.items():
            for index, endpoint in enumerate(user.devices):
                if endpoint in owners:
                    message = f'the device {endpoint} belongs to the user "{owners[endpoint]}": a device has one user'
                    self._refuse("device_taken", pointer("users", name, "devices", index), message)
                owners[endpoint] = name

    def _group(self, name: str, group: GroupPart) -> GroupState:
        seen: set[str] = set()
        for index, member in enumerate(group.members):
            if member in seen:
                message = f'the member "{member}" is there twice: remove one of the two'
                self._refuse("duplicate_member", pointer("groups", name, "members", index), message)
            seen.add(member)
        return GroupState(group.description, group.members)

    def _flows(self) -> Iterator[tuple[str, FlowState]]:
        for key, part in self.model.flows.items():
            draft = self._draft(key, part)
            published = draft if part.publish else None
            if part.published is not None:
                at = pointer("flows", key, "published")
                if part.publish:
                    message = "publish publishes the document, published another one: remove one of the two"
                    self._refuse("published_twice", at, message)
                published = self._parse(part.published, at, key)
            if draft is not None:
                yield key, FlowState(draft, part.enabled, published)

    def _audios(self, flows: Mapping[str, FlowState]) -> Iterator[tuple[str, AudioState]]:
        """Give the sounds that lie beside the file: those which flows name, and those it lists."""
        documents = [each for flow in flows.values() for each in (flow.draft, flow.published) if each]
        named = {audio for each in documents for _, _, audio in audio_places(each)}
        listed = {name: pointer("audios", index) for index, name in enumerate(self.model.audios)}
        for name in dict.fromkeys((*sorted(named), *listed)):
            path = below(self.folder, name)
            if path is not None:
                try:
                    with path.open("rb") as file:
                        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                except OSError as error:
                    at = listed.get(name, "")
                    self._refuse("unknown_file", at, f"{name}: {error.strerror}: let this user read it")
                    continue
                yield name, AudioState(sha256, path.stat().st_size)
            elif name in listed:
                self.elsewhere[name] = listed[name]

    def _draft(self, key: str, part: FlowPart) -> document.Flow | None:
        at = pointer("flows", key)
        match part:
            case FlowPart(file=str() as name, document=None):
                self.places[key] = f"{name}#"
                return self._read(name, pointer("flows", key, "file"), key)
            case FlowPart(file=None, document=dict() as inline):
                self.places[key] = f"{at}/document"
                return self._parse(inline, f"{at}/document", key)
            case _:
                message = f'the flow "{key}" needs either file, a path, or document, the flow itself: write one of them'
                self._refuse("flow_source", at, message)
                return None

    def _read(self, name: str, at: str, key: str) -> document.Flow | None:
        path = below(self.folder, name)
        if path is None:
            message = f"{name} is not a file below the folder of the account file: put it there"
            self._refuse("unknown_file", at, message)
            return None
        try:
            return document.load(path.read_bytes())
        except OSError as error:
            self._refuse("unknown_file", at, f"{name}: {error.strerror}: let this user read it")
        except Unreadable as error:
            self._refuse("unreadable", at, f"{name}: {error}")
        except Invalid as error:
            self.problems += placed(error.problems, f"{name}#", key)
        return None

    def _parse(self, value: dict[str, Any], at: str, key: str) -> document.Flow | None:
        try:
            return document.parse(value)
        except Invalid as error:
            self.problems += placed(error.problems, at, key)
            return None


def below(folder: Path, name: str) -> Path | None:
    """Find a file by its path from a folder; None when it is not there, or not below the folder."""
    try:
        path = (folder / name).resolve()
        return path if path.is_relative_to(folder.resolve()) and path.is_file() else None
    except (OSError, ValueError):  # a name too long, or with a zero byte
        return None


def placed(problems: Sequence[Problem], place: str, flow: str) -> list[Problem]:
    """Move the problems of a flow's document to where the document is."""
    return [replace(p, pointer=place + p.pointer, message=f'flow "{flow}": {p.message}') for p in problems]


def _with_lines(problems: Sequence[Problem], lines: dict[str, int]) -> list[Problem]:
    """Say the line of the account file in front of each message, where it is known."""
    found = [(problem, _line(problem.pointer, lines)) for problem in problems]
    return [replace(p, message=f"line {line}: {p.message}") if line else p for p, line in found]


def _line(at: str, lines: dict[str, int]) -> int:
    """Find the line of a place, or of the nearest thing around it; 0 for a place in another file."""
    while "#" not in at and at not in lines and at:
        at = at.rpartition("/")[0]
    return lines.get(at, 0)
