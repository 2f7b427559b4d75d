"""People who follow distributions: agents who pick up and talk, callers who lose patience.

They are telephones like those of `simulator.phones` and know nothing of the engine. An agent finds out whom they
talk to as in life, by the caller's number on the display, so whatever is measured here was seen at the telephones.
"""
# ruff: noqa: ARG002 - a telephone is told more than each of them needs

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from flowengine.call.causes import USER_BUSY
from simulator.chance import FOREVER, Source
from simulator.phones import Caller, Step
from simulator.things import Leg, Phone
from simulator.world import World


@dataclass(frozen=True)
class Shift:
    """When an agent is logged in, every day: from one second of the day up to another."""

    from_s: float
    to_s: float


class Customer(Caller):
    """A caller who follows a script, and hangs up when their patience ends before an agent speaks to them.

    Args:
        world: where they call.
        script: what they do besides waiting.
        patience_us: how long they wait for an agent, from dialling; `FOREVER` never hangs up.
        talk: draws how long the talk with an agent takes; None leaves that to the agent.
        on_over: told when their call is over.
    """

    __slots__ = ("dialled_at", "gave_up", "on_over", "patience_us", "reached_at", "talk", "talked_us")

    def __init__(
        self,
        world: World,
        script: Sequence[Step],
        patience_us: int,
        talk: Source | None = None,
        on_over: Callable[["Customer"], None] | None = None,
    ) -> None:
        super().__init__(world, script)
        self.patience_us = patience_us
        self.talk = talk
        self.on_over = on_over
        self.dialled_at = 0
        self.reached_at: int | None = None
        """When an agent picked up."""
        self.talked_us = 0
        """How long the talk takes, drawn when it begins."""
        self.gave_up = False

    def call(self, number: str, caller: str, caller_name: str = "") -> Leg:
        """Dial; script and patience run from here on."""
        world = self.world
        self.dialled_at = world.now
        self.leg = world.arrive(number, caller, self, caller_name=caller_name)
        if self.patience_us < FOREVER:
            world.after(self.patience_us, self._patience_ends, None)
        self._go_on(None)
        return self.leg

    def over(self, leg: Leg, cause: int) -> None:
        """The call is over."""
        self.cause = cause
        if self.on_over is not None:
            self.on_over(self)

    def spoken_to(self, talks_us: int) -> None:
        """An agent has picked up and will talk so long."""
        self.reached_at = self.world.now
        self.talked_us = talks_us

    def dropped(self) -> None:
        """The agent is gone before the talk was over: picked up too late, and the engine had given them up."""
        self.reached_at = None
        self.talked_us = 0
        if self.world.now >= self.dialled_at + self.patience_us:
            self._patience_ends(None)

    def _patience_ends(self, _: object) -> None:
        if self.reached_at is None and self.leg.open:
            self.gave_up = True
            self.world.leave(self.leg)


class Agent(Phone):
    """An agent's telephone with one call at a time: rings, is picked up after a while, and hangs up after the talk.

    Args:
        world: where it stands.
        endpoint: its address; it registers itself there.
        callers: everybody who may call, by number.
        answer_delay: draws how long it rings; 0 picks up at once.
        talk: draws how long a talk takes whose customer has no say in that.
        registered: whether it is in reach from the start.
    """

    __slots__ = (
        "answer_delay",
        "callers",
        "customer",
        "endpoint",
        "leg",
        "registered",
        "talk",
        "talks_until",
        "world",
    )

    def __init__(
        self,
        world: World,
        endpoint: str,
        callers: Mapping[str, Customer],
        answer_delay: Source,
        talk: Source,
        registered: bool = True,
    ) -> None:
        self.world = world
        self.endpoint = endpoint
        self.callers = callers
        self.answer_delay = answer_delay
        self.talk = talk
        self.registered = registered
        self.leg: Leg | None = None
        self.customer: Customer | None = None
        """Whom this agent talks to."""
        self.talks_until = 0
        world.phones[endpoint] = self

    def rings(self, leg: Leg) -> None:
        """Pick up after the answer delay."""
        world = self.world
        if self.leg is not None:
            world.leave(leg, USER_BUSY)
            return
        self.leg = leg
        world.alert(leg)
        delay_us = self.answer_delay()
        if delay_us:
            world.after(delay_us, self._pick_up, leg)
        else:
            self._pick_up(leg)

    def over(self, leg: Leg, cause: int) -> None:
        """Be free again."""
        if self.leg is not leg:
            return
        self.leg = None
        customer, self.customer = self.customer, None
        if customer is not None and customer.leg.open and self.world.now < self.talks_until:
            customer.dropped()

    def _pick_up(self, leg: Leg) -> None:
        if not leg.open:
            return
        world = self.world
        world.pick_up(leg)
        customer = self.callers.get(leg.caller)
        if customer is None or not customer.leg.open or customer.reached_at is not None:
            return  # they are gone, or a colleague was quicker; the engine will end this leg
        talks_us = (customer.talk or self.talk)()
        customer.spoken_to(talks_us)
        self.customer, self.talks_until = customer, world.now + talks_us
        world.after(talks_us, world.leave, leg)
