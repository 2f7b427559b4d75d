"""The catalogue of an installation: which number runs which flow, which user has which devices.

A catalogue is immutable and is replaced as a whole when something was published or changed, so that a call
sees one consistent picture and looking a number up costs two dictionary reads.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from flowengine.call import causes
from flowengine.flow.document import Flow
from flowengine.routing.agents import Policy


@dataclass(frozen=True)
class PublishedFlow:
    """A version of a flow that takes calls."""

    id: str
    account: str
    version: str
    """sha256 of the canonical document."""
    flow: Flow


def is_outside(endpoint: str) -> bool:
    """Whether an endpoint is a number out in the world ("PJSIP/+819011112222@carrier"): nobody registers there."""
    return "@" in endpoint


@dataclass(frozen=True)
class User:
    """Somebody who can be rung, and the endpoints of their devices ("PJSIP/hanako", or an outside number)."""

    name: str
    endpoints: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rejection:
    """Why a call is refused before it is answered."""

    reason: str
    cause: int
    """Q.850: 1 makes the carrier hear 404 Not Found, 20 makes it 480 Temporarily Unavailable."""


UNKNOWN_NUMBER: Final = Rejection("unknown_number", causes.UNALLOCATED)
NO_PUBLISHED_FLOW: Final = Rejection("no_published_flow", causes.SUBSCRIBER_ABSENT)


@dataclass(frozen=True)
class Catalog:
    """Everything needed to answer a call. Numbers are E.164; users and groups are keyed by account first."""

    numbers: Mapping[str, PublishedFlow | None] = field(default_factory=dict)
    """None: the number is ours but no enabled, published flow is attached to it."""
    users: Mapping[str, Mapping[str, User]] = field(default_factory=dict)
    groups: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    policies: Mapping[str, Policy] = field(default_factory=dict)
    """What an account asks of its agents, where that is not the default."""
    audios: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """The sha256 of each sound an account uploaded, by account, then by the id and by the name of the sound."""

    def route(self, number: str) -> PublishedFlow | Rejection:
        """Find the flow for a called E.164 number (product rules, section 2)."""
        if number not in self.numbers:
            return UNKNOWN_NUMBER
        return self.numbers[number] or NO_PUBLISHED_FLOW
