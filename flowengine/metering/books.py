"""Carrying out the wishes of many legs at once: one transaction, however many legs and accounts there are.

What the balance can pay is decided here, under the lock of the ledger: first everything is asked for as it is wanted;
for legs that were refused something, it is asked how far the credit goes, and what has started and cannot be paid is
noted as a debt, so that no started increment is ever lost.
"""

from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import Final, NamedTuple, Protocol, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.billing.increments import Charge
from flowengine.call.events import Instant
from flowengine.metering.leg import MeteredLeg, Outcome, Wishes
from flowengine.store import debits, ledger
from flowengine.store.books import Capture, Held, Operation, Release, Result
from flowengine.store.database import Database
from flowengine.store.errors import KeyReused, NotEnough

T = TypeVar("T")
_REFUSALS: Final = (NotEnough, KeyReused)
Perform = Callable[[Sequence[Operation]], Awaitable[list[Result]]]
"""Does operations in a transaction whose locks are kept until its end."""


class Ledger(Protocol):
    """Where debits are booked."""

    async def transact(self, accounts: Sequence[str], work: Callable[[Perform], Awaitable[T]]) -> T:
        """Do work in one transaction, again if it must be; the credits of these accounts are open in it.

        When it raises, nobody knows whether the work was done.
        """
        ...


class DatabaseLedger:
    """The `Ledger` in the database. Balances of an account are opened when it is first seen."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._open: set[str] = set()

    async def transact(self, accounts: Sequence[str], work: Callable[[Perform], Awaitable[T]]) -> T:
        """See `Ledger.transact`."""
        unseen = sorted(set(accounts) - self._open)

        async def in_session(session: AsyncSession) -> T:
            for account in unseen:
                await debits.open_credits(session, account)
            return await work(lambda operations: ledger.perform(session, operations))

        result = await ledger.transact(self._database, in_session)
        self._open.update(unseen)
        return result


class Asked(NamedTuple):
    """A leg, its wishes, and whether its call may be cut for them."""

    leg: MeteredLeg
    wishes: Wishes
    cut_from: Instant | None
    """An increment that began at this instant or later and cannot be paid is no debt: the call is cut before it. None:
    its account does not cut calls."""


async def carry_out(perform: Perform, asked: Sequence[Asked], owner: str, now: Instant) -> list[Outcome]:
    """Carry wishes out and say what came of each. Changes no leg, so that it may be done again."""
    postings = [_Posting(each, owner, now) for each in asked]
    await _in_one(perform, postings, _Posting.as_wanted, _Posting.heard)
    if refused := [each for each in postings if each.is_refused and each.rolls]:
        for each in refused:
            each.rolls = False
        await _in_one(perform, refused, _Posting.as_wanted, _Posting.heard)
    if refused := [each for each in postings if each.is_refused]:
        await _in_one(perform, refused, _Posting.as_far_as_it_goes, _Posting.heard_after_all)
    return [each.outcome for each in postings]


class _Posting:
    """One leg in one transaction.

    In the middle of a call the increment that begins costs as much as the next one to be promised, so what is held
    stays as it is, and the increment is paid from what is free: to settle the hold and make it again would come to the
    same. That is `rolls`, and most of what a meter does.
    """

    __slots__ = (
        "_charges",
        "_cut_from",
        "_is_promised",
        "_leg",
        "_missing",
        "_now",
        "_owner",
        "_wishes",
        "outcome",
        "rolls",
    )

    def __init__(self, asked: Asked, owner: str, now: Instant) -> None:
        self._leg, self._wishes, self._cut_from = asked
        self._owner, self._now = owner, now
        self._charges = [charge for charge in self._wishes.due if charge.amount]
        self._missing: list[Charge] = []
        self._is_promised = True
        promises = self._wishes.promises
        wanted = promises[-1] if promises else 0
        self.rolls = bool(wanted and wanted == self._leg.held)
        self.outcome = Outcome(len(self._wishes.due), frozenset(), len(promises), wanted)

    @property
    def is_refused(self) -> bool:
        """Whether the credit did not suffice for something."""
        return bool(self._missing) or not self._is_promised

    def as_wanted(self) -> list[Operation]:
        """Everything, as if credit had no end: charges first, then what is given back, then the hold."""
        of, rate, wishes = self._leg.of, self._leg.rate, self._wishes
        operations: list[Operation] = [debits.minute(of, rate, charge) for charge in self._charges]
        if self.rolls:
            return operations
        if operations:
            operations[0] = Capture(of.hold_key, debits.minute(of, rate, self._charges[0]))
        for charge in wishes.back:
            if charge.amount:
                operations.append(self._give_back(charge))
        if not wishes.promises:
            operations.append(self._release())
        elif wishes.promises[-1]:
            operations.append(self._promise(wishes.promises[-1]))
        return operations

    def heard(self, results: Sequence[Result]) -> None:
        """Take the results of `as_wanted`."""
        if not any(isinstance(result, _REFUSALS) for result in results):
            self._missing, self._is_promised = [], True
            return
        of_charges = list(zip(self._charges, results, strict=False))
        self._missing = [charge for charge, result in of_charges if isinstance(result, NotEnough)]
        # A key that stands for something else: an earlier try, of which nobody heard, has noted a debt.
        debts = frozenset(charge.number for charge, result in of_charges if isinstance(result, KeyReused))
        promises = not self.rolls and self._wishes.promises and results
        self._is_promised = not (promises and isinstance(results[-1], NotEnough))
        self.outcome = self.outcome._replace(unpaid=debts)

    def as_far_as_it_goes(self) -> list[Operation]:
        """What can be had after all: debts for what has started, and as much of the hold as there is credit for."""
        if self._is_cut():
            return [self._release()]
        of, rate = self._leg.of, self._leg.rate
        notes = [debits.unpaid(of, rate, charge) for charge in self._missing]
        fewer = [self._promise(amount) for amount in reversed(self._wishes.promises) if amount]
        return [*notes, self._release(), *fewer]

    def heard_after_all(self, results: Sequence[Result]) -> None:
        """Take the results of `as_far_as_it_goes`. The first hold that is granted is the largest that can be had."""
        if self._is_cut():
            stand = self._wishes.due.index(self._missing[0])
            self.outcome = Outcome(stand, self.outcome.unpaid, 0, 0)
            return
        debts = frozenset(charge.number for charge in self._missing)
        promises = self._wishes.promises
        granted = results[len(self._missing) + 1 :]
        free = sum(amount == 0 for amount in promises)
        had = next((n for n, result in enumerate(granted) if isinstance(result, Held)), None)
        promised = free if had is None else len(promises) - had
        held = promises[promised - 1] if promised else 0
        self.outcome = Outcome(len(self._wishes.due), self.outcome.unpaid | debts, promised, held)

    def _is_cut(self) -> bool:
        """Whether the call is cut before what it cannot pay: that began only now, and nothing after it was paid."""
        if self._cut_from is None or not self._missing or self._missing[0].begins_at < self._cut_from:
            return False
        return self._charges[-len(self._missing) :] == self._missing

    def _promise(self, amount: int) -> Operation:
        return debits.promise(self._leg.of, amount, self._owner, self._now)

    def _release(self) -> Operation:
        return Release(self._leg.of.account, debits.CREDITS, self._leg.of.hold_key)

    def _give_back(self, charge: Charge) -> Operation:
        leg = self._leg
        assert leg.ended_at is not None
        owed = charge.number in leg.owing
        return debits.given_back(leg.of, leg.rate, charge, leg.ended_at, was_unpaid=owed)


async def _in_one(
    perform: Perform,
    postings: Sequence[_Posting],
    wanted: Callable[[_Posting], list[Operation]],
    hear: Callable[[_Posting, Sequence[Result]], None],
) -> None:
    """Perform the operations of all legs at once, and tell each leg its own results."""
    each_wants = [wanted(posting) for posting in postings]
    results = iter(await perform([operation for of_leg in each_wants for operation in of_leg]))
    for posting, of_leg in zip(postings, each_wants, strict=True):
        hear(posting, list(islice(results, len(of_leg))))
