"""What a call can have open on the switch or at the desk, until it is closed or reported gone."""

from typing import Literal

from flowengine.call import causes
from flowengine.call.causes import Outcome
from flowengine.call.events import AgentsOffered


class Thing:
    """Something open on the switch or at the desk, until it is closed or reported gone."""

    __slots__ = ("id", "open")

    def __init__(self, id: str) -> None:
        self.id = id
        self.open = True


class Leg(Thing):
    """One telephone in the call: the caller's, or a device of an agent."""

    __slots__ = ("cause", "ours", "rang", "up", "user")

    def __init__(self, id: str, user: str = "") -> None:
        super().__init__(id)
        self.user = user
        self.rang = False
        self.up = False
        self.ours = False
        """We asked for the end of this leg, with `cause`."""
        self.cause = 0

    @property
    def outcome(self) -> Outcome:
        """How the attempt to reach this device ended."""
        return "answered" if self.up else causes.outcome(self.cause, rang=self.rang)


class Playback(Thing):
    """A sound being played to the caller."""

    __slots__ = ("ok", "sound")

    def __init__(self, id: str, sound: str) -> None:
        super().__init__(id)
        self.sound = sound
        self.ok = True
        """Nothing has been heard against its being heard."""


class Timer(Thing):
    """A deadline; `open` until it fired or was cancelled."""

    __slots__ = ()


class Recording(Thing):
    """A recording, from the question for room on. What becomes of it is settled then, for its state may be gone."""

    __slots__ = (
        "begun",
        "duration_ms",
        "granted",
        "limit_s",
        "purpose",
        "ran_out",
        "state",
        "stopping",
        "user",
    )

    def __init__(
        self,
        id: str,
        purpose: Literal["voicemail", "talk"],
        state: str,
        limit_s: float = 0.0,
        user: str = "",
    ) -> None:
        super().__init__(id)
        self.purpose = purpose
        self.state = state
        self.limit_s = limit_s
        self.user = user
        self.granted = False
        """There is room for it in the storage plan."""
        self.begun = False
        self.stopping = False
        self.ran_out = False
        self.duration_ms = 0

    @property
    def ready(self) -> bool:
        """There is room for it, and nothing of it has been recorded yet."""
        return self.open and self.granted and not self.begun


class Bridge(Thing):
    """Two legs that hear each other."""

    __slots__ = ()


class Request(Thing):
    """A question to the desk; `answer` is there when the desk has spoken."""

    __slots__ = ("abandoned", "answer", "for_place", "joined", "position", "wait_s")

    def __init__(self, id: str, *, for_place: bool = False) -> None:
        super().__init__(id)
        self.answer: AgentsOffered | Literal["full"] | None = None
        self.for_place = for_place
        self.joined = False
        self.position = 0
        self.wait_s: float | None = None
        self.abandoned = False
