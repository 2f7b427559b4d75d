"""What stands in the plan of a centre: who works when, who calls and how often, and how long to look.

The models are strict and closed, as those of scenarios. What a person writes short (`talk: 180`) is widened before it
is checked, and every complaint says what to write instead. `docs/centre.md` describes the format.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import Field, PlainValidator, StringConstraints
from pydantic_core import PydanticCustomError

from flowengine.flow.fields import Model
from simulator.chance import Constant, Duration, Exponential, Infinite, Lognormal, Patience, Recorded
from simulator.people import Shift
from simulator.scenario import KEYS, OUR_NUMBER, Number, SoundSpec
from simulator.traffic import DAY_S, Arrivals, Poisson, Profile, Trace

LONGEST_S: Final = 7 * DAY_S
MOST_PER_HOUR: Final = 1_000_000
MOST_RECORDED: Final = 1_000_000

# Durations


def _number(value: object, least: float, most: float) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        return None
    return float(value)


def _numbers(value: object, least: float, most: float) -> tuple[float, ...] | None:
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= MOST_RECORDED:
        return None
    found = [_number(each, least, most) for each in value]
    return None if None in found else tuple(each for each in found if each is not None)


def _duration(value: object) -> Duration:
    seconds, positive = (0, LONGEST_S), (1e-6, LONGEST_S)
    match value:
        case Constant() | Exponential() | Lognormal() | Recorded():
            return value
        case {"exponential_s": mean, **rest} if not rest and _number(mean, *positive):
            return Exponential(float(mean))
        case {"lognormal_s": mean, "sd_s": sd, **rest} if (
            not rest and _number(mean, *positive) and _number(sd, *positive)
        ):
            return Lognormal(float(mean), float(sd))
        case {"trace_s": recorded, **rest} if not rest and (values := _numbers(recorded, *seconds)):
            return Recorded(values)
        case _ if (constant := _number(value, *seconds)) is not None:
            return Constant(constant)
        case _:
            raise PydanticCustomError(
                "step",
                "this is no duration: write seconds (180), {exponential_s: 180}, {lognormal_s: 180, sd_s: 120} or"
                " {trace_s: [95, 210]}, with seconds up to {most}",
                {"most": LONGEST_S},
            )


def _patience(value: object) -> Patience:
    if value == "infinite" or isinstance(value, Infinite):
        return Infinite()
    try:
        return _duration(value)
    except PydanticCustomError as error:
        raise PydanticCustomError("step", f"{error.message()}; or write infinite") from None


# Times of day


def _second_of_day(text: object) -> int | None:
    found = re.fullmatch(r"([01][0-9]|2[0-4]):([0-5][0-9])", text) if isinstance(text, str) else None
    second = int(found[1]) * 3_600 + int(found[2]) * 60 if found else DAY_S + 1
    return second if second <= DAY_S else None


def _shift(value: object) -> Shift:
    if isinstance(value, Shift):
        return value
    parts = value.split("-") if isinstance(value, str) else []
    ends = [_second_of_day(part.strip()) for part in parts]
    match ends:
        case [int(start), int(end)] if start != end and start < DAY_S:
            return Shift(start, end)
        case _:
            raise PydanticCustomError(
                "step", 'this is no shift: write from when to when in quotes, such as "09:00-17:30"'
            )


# Arrivals


def _arrivals(value: object) -> Arrivals:
    match value:
        case Arrivals():
            return value
        case {"per_hour": rate, **rest} if not rest and _number(rate, 1e-6, MOST_PER_HOUR):
            return Poisson(float(rate))
        case {"profile": dict(profile), **rest} if not rest and (pieces := _pieces(profile)):
            return Profile(pieces)
        case {"trace_s": recorded, **rest} if not rest and (at_s := _numbers(recorded, 0, 366 * DAY_S)):
            return Trace(at_s)
        case _:
            raise PydanticCustomError(
                "step",
                'these are no arrivals: write {per_hour: 120}, {profile: {"00:00": 0, "09:00": 60, "17:00": 0}}'
                " (calls an hour from then on, beginning at midnight, some more than 0), or"
                " {trace_s: [0, 12.5, 40]}",
            )


def _pieces(profile: Mapping[Any, Any]) -> tuple[tuple[int, float], ...] | None:
    pieces = []
    for at, per_hour in profile.items():
        second, rate = _second_of_day(at), _number(per_hour, 0, MOST_PER_HOUR)
        if second is None or second == DAY_S or rate is None:
            return None
        pieces.append((second, rate))
    pieces.sort()
    usable = pieces and pieces[0][0] == 0 and any(rate for _, rate in pieces)
    return tuple(pieces) if usable else None


def _keys(value: object) -> str:
    if isinstance(value, str) and set(value) <= KEYS:
        return value
    raise PydanticCustomError("step", 'write the keys in quotes, such as "1" or "42#": 0-9, *, #, A-D')


ADuration = Annotated[Duration, PlainValidator(_duration)]
APatience = Annotated[Patience, PlainValidator(_patience)]
AShift = Annotated[Shift, PlainValidator(_shift)]
SomeArrivals = Annotated[Arrivals, PlainValidator(_arrivals)]
Keys = Annotated[str, PlainValidator(_keys)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


class Team(Model):
    """Agents who are alike. Those of a team of one bear its name, others `<team>-1` and so on."""

    count: Annotated[int, Field(ge=1, le=10_000)] = 1
    groups: Annotated[list[Name], Field(min_length=1)] | None = None
    """The groups of all of them; absent: one with the team's name."""
    talk: ADuration = Exponential(180.0)
    answer_delay: ADuration = Constant(0.0)
    shifts: list[AShift] = Field(default_factory=list)
    """Every day; none: always logged in."""

    def users(self, name: str) -> list[str]:
        """Give the names of the agents; `name` is the team's."""
        return [name] if self.count == 1 else [f"{name}-{place}" for place in range(1, self.count + 1)]


class CallKind(Model):
    """Calls that are alike."""

    share: Annotated[float, Field(gt=0, le=1_000_000)] = 1.0
    number: Number = OUR_NUMBER
    keys: Keys = ""
    """Pressed as soon as the call is answered."""
    patience: APatience = Infinite()
    """From dialling until an agent speaks."""
    talk: ADuration | None = None
    """Absent: as the agent's."""


class CentrePlan(Model):
    """A whole plan. Times are seconds of virtual time; the run begins at midnight, UTC."""

    name: str = ""
    description: str = ""
    flow: str | None = None
    """The flow document, from this file's folder; absent: straight into the line of the one group."""
    seed: int = 0
    days: Annotated[float, Field(gt=0, le=3_660)] = 1.0
    warm_up_s: Annotated[float, Field(ge=0)] = 0.0
    """Calls and agents are looked at only after that."""
    replications: Annotated[int, Field(ge=1, le=1_000)] = 10
    confidence: Annotated[float, Field(ge=0.5, le=0.999)] = 0.95
    service_level_s: Annotated[float, Field(ge=0, le=LONGEST_S)] = 20.0
    wrap_up_s: Annotated[float, Field(ge=0, le=LONGEST_S)] = 0.0
    switch_delay_s: Annotated[float, Field(ge=0, le=1)] = 0.0
    sounds: SoundSpec = SoundSpec()
    arrivals: SomeArrivals
    calls: Annotated[dict[Name, CallKind], Field(min_length=1)] = Field(
        default_factory=lambda: {"call": CallKind()}
    )
    agents: Annotated[dict[Name, Team], Field(min_length=1)]

    @property
    def users(self) -> dict[str, Team]:
        """Every agent with their team, in the order in which they log in."""
        return {user: team for name, team in self.agents.items() for user in team.users(name)}

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Members by group."""
        found: dict[str, list[str]] = {}
        for name, team in self.agents.items():
            for group in team.groups or [name]:
                found.setdefault(group, []).extend(team.users(name))
        return {group: tuple(dict.fromkeys(members)) for group, members in found.items()}
