"""One channel as ARI shows it: a leg of the world, with everything the world does not care about."""

import asyncio
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from simulator.things import Leg

ANSWERED: Final = "Up"
CAUSE_TEXT: Final = {
    0: "Unknown",
    1: "Unallocated (unassigned) number",
    3: "No route to destination",
    16: "Normal Clearing",
    17: "User busy",
    18: "No user responding",
    19: "User alerting, no answer",
    20: "Subscriber absent",
    21: "Call Rejected",
    26: "Answered elsewhere",
    27: "Destination out of order",
    28: "Invalid number format",
    31: "Normal, unspecified",
    34: "Circuit/channel congestion",
    38: "Network out of order",
    42: "Switching equipment congestion",
    58: "Bearer capability not available",
    127: "Interworking, unspecified",
}
"""Asterisk's names of Q.850 causes."""
SIP_STATUS: Final = {1: 404, 17: 486, 18: 408, 19: 480, 20: 480, 21: 603, 34: 503, 38: 500, 127: 487}
"""The SIP status behind a cause, as `tech_cause` tells it."""
DIAL_STATUS: Final = {17: "BUSY", 34: "CONGESTION", 3: "CHANUNAVAIL", 20: "CHANUNAVAIL"}
"""How a dialling ended; all other causes count as NOANSWER."""
REASONS: Final = {
    "normal": 16,
    "busy": 17,
    "congestion": 34,
    "no_answer": 19,
    "timeout": 18,
    "rejected": 21,
    "unallocated": 1,
    "normal_unspecified": 31,
    "number_incomplete": 28,
    "codec_mismatch": 58,
    "interworking": 127,
    "failure": 38,
    "answered_elsewhere": 26,
}
"""Q.850 causes by the words a hang-up may use."""
_CALLER_ID: Final = re.compile(r'\s*(?:"(?P<name>[^"]*)"|(?P<bare>[^<"]*))\s*<(?P<number>[^>]*)>\s*')


def stamp(us: int) -> str:
    """An instant as ARI writes it: `2026-01-05T09:00:00.000+0000`."""
    at = datetime.fromtimestamp(us // 1_000_000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{us // 1_000 % 1_000:03}+0000"


def caller_id(text: str) -> tuple[str, str]:
    """Name and number of a caller id such as `"Bob" <+1555>`, a bare number or a bare name."""
    found = _CALLER_ID.fullmatch(text)
    if found:
        return (found["name"] or found["bare"] or "").strip(), found["number"].strip()
    bare = text.strip()
    return ("", bare) if re.fullmatch(r"[+*#0-9][*#0-9]*", bare) else (bare, "")


@dataclass(eq=False, slots=True)
class Channel:
    """A leg, or (`leg` is None) a channel that was created and not dialled yet."""

    id: str
    name: str
    endpoint: str
    """`PJSIP/hanako`; the trunk's for inbound channels."""
    protocol_id: str
    created_at: int
    leg: Leg | None = None
    caller: tuple[str, str] = ("", "")
    connected: tuple[str, str] = ("", "")
    context: str = "from-phone"
    exten: str = "s"
    priority: int = 1
    app_name: str = ""
    app_data: str = ""
    app: str = ""
    """The application that holds the channel now; empty when none does."""
    wanted_app: tuple[str, tuple[str, ...]] = ("", ())
    """Dialled: the application to enter at the answer, with arguments."""
    dialstring: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    waiting: list[asyncio.Future[None]] = field(default_factory=list)
    """Requests that wait until nothing is played or recorded on the channel."""

    @property
    def inbound(self) -> bool:
        """Whether a caller came by this channel."""
        return self.leg is not None and self.leg.inbound

    @property
    def state(self) -> str:
        """Asterisk's word for what the channel is doing."""
        leg = self.leg
        if leg is None:
            return "Down"
        if leg.up:
            return ANSWERED
        if leg.inbound:
            return "Ring"
        return "Ringing" if leg.rings else "Down"

    def enter(self, app: str, args: tuple[str, ...]) -> None:
        """Come into the hands of an application."""
        self.app = app
        self.app_name = "Stasis"
        self.app_data = ",".join((app, *args))

    def json(self) -> dict[str, Any]:
        """The channel as ARI shows it."""
        return {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "protocol_id": self.protocol_id,
            "caller": {"name": self.caller[0], "number": self.caller[1]},
            "connected": {"name": self.connected[0], "number": self.connected[1]},
            "accountcode": "",
            "dialplan": {
                "context": self.context,
                "exten": self.exten,
                "priority": self.priority,
                "app_name": self.app_name,
                "app_data": self.app_data,
            },
            "creationtime": stamp(self.created_at),
            "language": "en",
        }

    def wake(self) -> None:
        """Let the requests go on that waited for the channel to be idle."""
        for each in self.waiting:
            if not each.done():
                each.set_result(None)
        self.waiting.clear()
