"""Monthly fees: the storage plans, and what changing from one to another costs.

A month is paid as a whole when it begins (`periods`). A larger plan holds at once: what is left of the month is
credited at the old fee and charged at the new one, by the second. A smaller plan holds from the next anniversary on;
until then the larger one is paid, and kept. Fees are micro-credits.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from flowengine.billing.money import CREDIT, MicroCredits
from flowengine.billing.periods import Period
from flowengine.call.events import SECOND, Instant


class StoragePlan(NamedTuple):
    """Room for so many recorded minutes, for a monthly fee."""

    name: str
    minutes: int
    fee: MicroCredits

    @property
    def room_ms(self) -> int:
        """The room in milliseconds of recordings."""
        return self.minutes * 60_000


FREE: Final = StoragePlan("free", 1_000, 0)
STORAGE_PLANS: Final[Mapping[str, StoragePlan]] = MappingProxyType(
    {
        plan.name: plan
        for plan in (
            FREE,
            StoragePlan("50k", 50_000, 25 * CREDIT),
            StoragePlan("200k", 200_000, 50 * CREDIT),
            StoragePlan("1m", 1_000_000, 75 * CREDIT),
        )
    }
)
"""All plans by name, the smallest first (product rules, section 1)."""


class BadPlan(ValueError):
    """No such plan, or no change; the message names it and the mend."""


class Upgrade(NamedTuple):
    """A larger plan, from `holds_from` on. Both entries belong together: booked in one transaction, or not at all."""

    plan: StoragePlan
    holds_from: Instant
    credit: MicroCredits
    """Given back for what is left of the month on the old plan."""
    charge: MicroCredits
    """Taken for what is left of the month on the new plan."""

    @property
    def to_pay(self) -> MicroCredits:
        """What the change costs now; never negative. The balance must have it, or the change is refused."""
        return self.charge - self.credit


class Downgrade(NamedTuple):
    """A smaller plan, from `holds_from` on, which is the next anniversary. Nothing is booked now."""

    plan: StoragePlan
    holds_from: Instant


def storage_plan(name: str) -> StoragePlan:
    """The plan of that name.

    Raises:
        BadPlan: there is none.
    """
    try:
        return STORAGE_PLANS[name]
    except KeyError:
        raise BadPlan(f"{name[:40]!r} is no storage plan: choose from {', '.join(STORAGE_PLANS)}") from None


def change_of_plan(old: StoragePlan, new: StoragePlan, month: Period, at: Instant) -> Upgrade | Downgrade:
    """What a change from one plan to another at an instant of a paid month means. Only a lower fee waits.

    Raises:
        BadPlan: it is the same plan.
        ValueError: `at` is outside of `month`.
    """
    if new == old:
        raise BadPlan(f"the plan is {old.name} already: choose another one")
    if not month.begins_at <= at < month.ends_at:
        raise ValueError("a plan is changed within the month that was paid")
    if new.fee < old.fee:
        return Downgrade(new, month.ends_at)
    credit, charge = prorated_change(old.fee, new.fee, month, at)
    return Upgrade(new, at, credit, charge)


def prorated_change(
    old_fee: MicroCredits, new_fee: MicroCredits, month: Period, at: Instant
) -> tuple[MicroCredits, MicroCredits]:
    """Credit and charge when a fee rises to `new_fee` at an instant of a month that was paid at `old_fee`.

    Whole seconds are counted, and a second that has begun counts as used. The difference, which is what is paid, is
    rounded down to a micro-credit and the credit up, so both roundings are the customer's.
    """
    length_s = (month.ends_at - month.begins_at) // SECOND
    left_s = (month.ends_at - at) // SECOND
    credit = -(-old_fee * left_s // length_s)
    return credit, credit + (new_fee - old_fee) * left_s // length_s
