"""What is owed for a call: a function of when it was answered and when it is now, and of nothing else.

A call is charged in increments: a first one, then following ones, usually a minute each. An increment is debited before
it starts; one that was never started is given back, one that started never is (product rules, section 1). Since no
ticking loop decides, a meter that was away charges exactly what is missing.

The boundary: the increment that begins at an instant has *started* when the call is still up after it. A call of
60.000000 s has started one minute, a call of 60.000001 s two, a call of 0 s none.

Charges are numbered from 0. All amounts are micro-credits, all instants microseconds since the Unix epoch, UTC.
"""

from typing import NamedTuple

from flowengine.billing.money import MicroCredits
from flowengine.billing.rates import Rate
from flowengine.call.events import SECOND, Instant


class Charge(NamedTuple):
    """The price of one increment. Call, leg and `number` make it unique; `number` 0 holds the connect fee."""

    number: int
    begins_at: Instant
    ends_at: Instant
    amount: MicroCredits


class Settlement(NamedTuple):
    """What a call's end leaves to be done about the charges debited so far."""

    missing: list[Charge]
    """Started and not debited."""
    to_give_back: list[Charge]
    """Debited and never started."""


def charge(number: int, answered_at: Instant, rate: Rate) -> Charge:
    """The charge of that number; 0 is the first increment."""
    if number == 0:
        return Charge(0, answered_at, answered_at + rate.first_s * SECOND, _first_amount(rate))
    begins_at = answered_at + (rate.first_s + (number - 1) * rate.following_s) * SECOND
    return Charge(number, begins_at, begins_at + rate.following_s * SECOND, rate.price_of(rate.following_s))


def started(answered_at: Instant, until: Instant, rate: Rate) -> int:
    """How many increments have started when a call has been up until that instant; 0 up to the answer itself."""
    lasted = until - answered_at
    if lasted <= 0:
        return 0
    after_first = max(0, lasted - rate.first_s * SECOND)
    return 1 - (-after_first // (rate.following_s * SECOND))


def charges_due(answered_at: Instant, until: Instant, rate: Rate, *, already: int = 0) -> list[Charge]:
    """The charges of all increments started until then, `already` of them left out.

    `until` is the end of the call, or now while it runs. The charges of an earlier instant are always the beginning of
    the charges of a later one, so asking often and asking once come to the same.
    """
    return [charge(number, answered_at, rate) for number in range(already, started(answered_at, until, rate))]


def total_due(answered_at: Instant, until: Instant, rate: Rate) -> MicroCredits:
    """The sum of `charges_due`, without listing them."""
    return price_of_charges(started(answered_at, until, rate), rate)


def price_of_charges(count: int, rate: Rate) -> MicroCredits:
    """What the first `count` charges cost together."""
    return 0 if count == 0 else _first_amount(rate) + (count - 1) * rate.price_of(rate.following_s)


def charges_to_go_on(answered_at: Instant, now: Instant, rate: Rate, *, already: int = 0) -> list[Charge]:
    """The charges that must be debited at `now` so that the call may go on: those due, and one that begins right now.

    At the answer that is the first increment. When the money does not suffice, the call ends at `paid_until` and owes
    nothing more: `charges_due` of that instant are the charges debited.
    """
    return charges_due(answered_at, now + 1, rate, already=already)


def paid_until(answered_at: Instant, debited: int, rate: Rate) -> Instant:
    """The instant to which so many charges pay for a call: where the next one begins, and where a call is cut."""
    return charge(debited, answered_at, rate).begins_at


def affordable(balance: MicroCredits, rate: Rate, *, already: int = 0) -> int | None:
    """How many more charges a balance pays for, after `already` debited ones; None: they cost nothing, no end."""
    following = rate.price_of(rate.following_s)
    left, count = balance, 0
    if already == 0:
        left -= _first_amount(rate)
        count = 1
    if left < 0:
        return 0
    return None if following == 0 else count + left // following


def settlement(answered_at: Instant, ended_at: Instant, rate: Rate, *, debited: int) -> Settlement:
    """Square up a call that ended, of which `debited` charges (0, 1, ... ) were taken.

    A leg that was never answered owes nothing, and has nothing to square up: nothing is taken before the answer.
    """
    owed = started(answered_at, ended_at, rate)
    return Settlement(
        missing=[charge(number, answered_at, rate) for number in range(debited, owed)],
        to_give_back=[charge(number, answered_at, rate) for number in range(owed, debited)],
    )


def _first_amount(rate: Rate) -> MicroCredits:
    return rate.connect_fee + rate.price_of(rate.first_s)
