"""Presence of an agent: one small state table, rules first.

The rules (product rules, sections 3 and 4):

- An agent is at *rest* (offline, available, paused) or at *work* (reserved, ringing, talking, wrapping up), and at
  work for one call at a time. Only an available agent can be reserved.
- Where an agent rests follows from two facts: whether they want to work (signed in, paused by hand, signed out), and
  whether a device of theirs is in reach. So whoever stops working goes to *rest*, and the facts say which rest.
- What an agent wants while at work is remembered and takes effect when the work is over. Nobody is torn out of a call.
- A reservation and a ringing have a lease. When it runs out, the agent rests again, whatever became of the call.
- Going online takes the last place of the line; answering takes it, too. Being rung in vain and pausing by hand
  keep the place.

The table below is these rules, and nothing beside it changes a state. What it does not hold is refused.
"""

from typing import Any, Final, Literal, NamedTuple

from flowengine.call.causes import Outcome
from flowengine.call.events import Instant
from flowengine.routing.lines import Target

State = Literal["offline", "available", "paused", "reserved", "ringing", "talking", "wrap_up"]
Wish = Literal["work", "pause", "leave"]
"""What the person wants, by hand or by signing in and out."""
Move = Literal["presence", "reserve", "ring", "answer", "let_go", "wrapped_up", "lease_ran_out"]

REST: Final = "rest"
"""Stands for the rest that the facts say: see `resting`."""

WORKING: Final[frozenset[State]] = frozenset({"reserved", "ringing", "talking", "wrap_up"})

TABLE: Final[dict[tuple[State, Move], State | Literal["rest"]]] = {
    # At rest: the facts decide, and only the available can be reserved.
    ("offline", "presence"): REST,
    ("available", "presence"): REST,
    ("paused", "presence"): REST,
    ("available", "reserve"): "reserved",
    # At work for a call that has not reached them yet.
    ("reserved", "presence"): "reserved",
    ("reserved", "ring"): "ringing",
    ("reserved", "answer"): "talking",
    ("reserved", "let_go"): REST,
    ("reserved", "lease_ran_out"): REST,
    ("ringing", "presence"): "ringing",
    ("ringing", "ring"): "ringing",
    ("ringing", "answer"): "talking",
    ("ringing", "let_go"): REST,
    ("ringing", "lease_ran_out"): REST,
    # Talking ends when the call lets go; then there may be something to write down.
    ("talking", "presence"): "talking",
    ("talking", "let_go"): "wrap_up",
    ("wrap_up", "presence"): "wrap_up",
    ("wrap_up", "wrapped_up"): REST,
    ("wrap_up", "lease_ran_out"): REST,
}


class Agent(NamedTuple):
    """One user as the desk keeps them. Instants are microseconds since the Unix epoch, UTC.

    Attributes:
        place: in the line, lower is earlier; 0 before the first time online.
        call: the call worked for, or "".
        working_for: whom that call asked for.
        lease: when reservation, ringing or wrap-up end by themselves; 0 for never.
        misses: offers in a row that were not answered.
        since: when the state began.
    """

    state: State = "offline"
    wish: Wish = "work"
    in_reach: bool = False
    place: int = 0
    call: str = ""
    working_for: Target | None = None
    lease: Instant = 0
    misses: int = 0
    since: Instant = 0

    @property
    def online(self) -> bool:
        """Signed in with a device in reach, whether at rest or at work."""
        return self.in_reach and self.wish != "leave"


class Policy(NamedTuple):
    """What an account asks of its agents. Seconds; 0 switches a rule off."""

    wrap_up_s: float = 0
    pause_after_misses: int = 0
    """So many unanswered offers in a row pause an agent (off by default)."""


class Illegal(Exception):
    """A move the table does not hold; nothing has changed."""


def resting(wish: Wish, in_reach: bool) -> State:
    """Where an agent with these facts rests."""
    if wish == "leave" or not in_reach:
        return "offline"
    return "paused" if wish == "pause" else "available"


def moved(agent: Agent, move: Move, at: Instant, *, end_of_line: int, **facts: Any) -> Agent:
    """Make a move.

    Args:
        agent: as they are.
        move: what happens to them.
        at: when.
        end_of_line: the place behind everybody, should this move take it.
        facts: fields of `Agent` that this move brings along (`wish`, `in_reach`, `call`, `lease`, `misses`).

    Raises:
        Illegal: the table does not hold this move.
    """
    target = TABLE.get((agent.state, move))
    if target is None:
        raise Illegal(f"an agent who is {agent.state} cannot {move.replace('_', ' ')}")
    was, wish, in_reach, place, call, working_for, lease, misses, since = agent
    was_online = in_reach and wish != "leave"
    if facts:
        wish, in_reach = facts.get("wish", wish), facts.get("in_reach", in_reach)
        call, working_for = facts.get("call", call), facts.get("working_for", working_for)
        lease, misses = facts.get("lease", lease), facts.get("misses", misses)
    state: State = resting(wish, in_reach) if target == REST else target
    if state not in WORKING:
        call, lease = "", 0
    came_online = in_reach and wish != "leave" and not was_online
    if came_online or (state == "talking" and was != "talking"):
        place = end_of_line
    if state != was:
        since = at
    return Agent(state, wish, in_reach, place, call, working_for, lease, misses, since)


def presence(
    agent: Agent, at: Instant, end_of_line: int, *, wish: Wish | None = None, in_reach: bool | None = None
) -> Agent:
    """Take note of what the person wants, or of their devices. Always possible, never tears anybody out of a call."""
    return moved(
        agent,
        "presence",
        at,
        end_of_line=end_of_line,
        wish=agent.wish if wish is None else wish,
        in_reach=agent.in_reach if in_reach is None else in_reach,
        misses=0 if wish == "work" else agent.misses,
    )


def released(agent: Agent, at: Instant, ended: Outcome, policy: Policy, *, end_of_line: int) -> Agent:
    """The call lets the agent go; `ended` says how reaching them went ("answered": after talking).

    An agent who keeps not answering is paused, if the account wants that: a forgotten telephone costs callers
    a whole ring time each.
    """
    if agent.state == "talking":
        lease = at + int(policy.wrap_up_s * 1_000_000)
        after = moved(agent, "let_go", at, end_of_line=end_of_line, call="", lease=lease, misses=0)
        return after if policy.wrap_up_s else moved(after, "wrapped_up", at, end_of_line=end_of_line)
    misses = agent.misses + 1 if ended == "no_answer" else agent.misses
    wish: Wish = agent.wish
    if policy.pause_after_misses and misses >= policy.pause_after_misses and wish == "work":
        wish = "pause"
    return moved(agent, "let_go", at, end_of_line=end_of_line, wish=wish, misses=misses)


def overdue(agent: Agent, at: Instant) -> bool:
    """Whether the lease of this agent has run out."""
    return bool(agent.lease) and at >= agent.lease and agent.state in ("reserved", "ringing", "wrap_up")
