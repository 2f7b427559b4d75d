"""Short words for drawing flows in tests."""

from typing import Any

from flowengine.flow.document import Announcement, Flow, Ivr, Say, State, Voicemail
from flowengine.flow.problems import Problem

HELLO = Say(say="Hello.")


def flow(states: dict[str, State], **settings: Any) -> Flow:
    """Draw a flow which starts at its first state, unless told otherwise."""
    settings = {"name": "Test", "start": next(iter(states), None), "goodbye": HELLO, **settings}
    return Flow(format="flowengine/1", states=states, **settings)


def menu(**exits: str | None) -> Ivr:
    """Draw a menu: key 1 is `k1`, the star is `star`."""
    keys = {"star": "*"}
    wired = {keys.get(name, name.removeprefix("k")): target for name, target in exits.items()}
    return Ivr(prompt=HELLO, connections=wired)


def say(next_: str | None = None) -> Announcement:
    """Draw an announcement."""
    return Announcement(prompt=HELLO, connections={"next": next_})


def message(timeout: str | None = None) -> Voicemail:
    """Draw a voicemail."""
    return Voicemail(prompt=HELLO, connections={"timeout": timeout})


def of(problems: list[Problem], code: str) -> list[Problem]:
    """Choose the problems of one code."""
    return [problem for problem in problems if problem.code == code]
