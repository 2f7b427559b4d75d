"""The arithmetic of the ledger, without a database: balances, what is held of them, and what moves between them.

A batch of operations is done here one after the other on balances that were read and locked before (`ledger`), so the
rules are in one place, and a hundred minutes of calls cost as many statements as one. Amounts are positive whole
numbers in the unit of a balance: micro-credits, or milliseconds of recordings.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, NamedTuple, assert_never

from flowengine.call.events import Instant
from flowengine.store.errors import KeyReused, NotEnough, NotStored

LARGEST: Final = 2**62
"""No amount and no balance is larger, so that a sum of two still fits into the column."""
NO_DETAILS: Final[Mapping[str, Any]] = MappingProxyType({})

Place = tuple[str, str]
"""A balance: the id of the account, and the name of the balance in it."""
HoldKey = tuple[str, str, str]
"""Account, balance, key."""


class Entry(NamedTuple):
    """Move `amount` from one balance of an account to another, once for this key.

    The same key again is the same entry, whatever the time and the details say; with another kind, amount or balance
    it is refused.
    """

    account: str
    key: str
    kind: str
    from_name: str
    to_name: str
    amount: int
    at: Instant
    call: str | None = None
    details: Mapping[str, Any] = NO_DETAILS


_AT: Final = Entry._fields.index("at")
"""What stands before it makes an entry the same."""


class Hold(NamedTuple):
    """Promise `amount` of a balance to something running. A key that is held already keeps at least that amount."""

    account: str
    name: str
    key: str
    amount: int
    owner: str
    at: Instant
    call: str | None = None


class Extend(NamedTuple):
    """Let what is held grow to `amount` in all, or as far as the balance goes. Never shrinks; makes no new hold."""

    account: str
    name: str
    key: str
    amount: int


class Release(NamedTuple):
    """Give back all that is held; a second time is harmless."""

    account: str
    name: str
    key: str


class Capture(NamedTuple):
    """Settle what is held under `key` by an entry from the same balance, of more or less than was held.

    The hold is gone afterwards, and what it held beyond the entry is free again. Without a hold the entry alone is
    made; when the entry does not go through, the hold stays.
    """

    key: str
    entry: Entry


Operation = Entry | Hold | Extend | Release | Capture


class Held(NamedTuple):
    """What is held now, by whom, and since when."""

    amount: int
    owner: str
    at: Instant
    call: str | None


class Posted(NamedTuple):
    """An entry that stands in the ledger. `new`: this operation made it, and no earlier one."""

    entry: Entry
    new: bool


Result = Posted | Held | NotEnough | KeyReused | None
"""An entry or a capture gives `Posted`, `NotEnough` or `KeyReused`; a hold gives `Held` or `NotEnough`; an extension
gives `Held` as it is now, or None when there is no such hold; a release gives what was held, or None."""


@dataclass(slots=True)
class Balance:
    """A balance as it is at this point of a transaction."""

    unit: str
    balance: int
    held: int
    floor: int | None
    told: int = 0

    @property
    def free(self) -> int:
        """What can be held of it. A balance without a floor may become negative by entries, but not by promises."""
        return self.balance - self.held - (self.floor or 0)

    def pays(self, amount: int) -> bool:
        """Whether an entry may take so much."""
        return self.floor is None or amount <= self.free


@dataclass
class Books:
    """Locked balances, and what is known of the keys that the operations name."""

    balances: dict[Place, Balance]
    holds: dict[HoldKey, Held] = field(default_factory=dict)
    entries: dict[Place, Entry] = field(default_factory=dict)
    """Entries that stand, by account and key."""
    new: list[Entry] = field(default_factory=list)
    """To be written."""
    touched: set[Place] = field(default_factory=set)
    """Balances to be written."""
    rewritten: set[HoldKey] = field(default_factory=set)
    """Holds to be written, or deleted when they are not in `holds` any more."""

    def do(self, operation: Operation) -> Result:
        """Do one operation, or say why not; what was refused has changed nothing.

        Raises:
            NotStored: the account has no such balance.
            ValueError: an amount is no amount, or the balances of an entry have different units.
        """
        match operation:
            case Entry():
                return self._post(operation)
            case Hold():
                return self._hold(operation)
            case Extend():
                return self._extend(operation)
            case Release(account, name, key):
                return self._release((account, name, key))
            case Capture():
                return self._capture(operation)
            case _:
                assert_never(operation)

    def _post(self, entry: Entry, releasing: int = 0) -> Posted | NotEnough | KeyReused:
        """Make an entry; `releasing` of what is held may be used for it."""
        account, key, _, from_name, to_name, amount, *_ = entry
        _check(amount)
        known = self.entries.get((account, key))
        if known is not None:
            return Posted(known, new=False) if _same(known, entry) else _reused(entry, known)
        source, target = self._at(account, from_name), self._at(account, to_name)
        if source is target or source.unit != target.unit:
            raise ValueError(f"{entry.kind}: {from_name} to {to_name} is no move within one unit")
        if not source.pays(amount - releasing):
            return NotEnough(account, from_name, amount, source.free + releasing)
        if max(abs(source.balance), abs(target.balance)) + amount > LARGEST:
            raise ValueError(f"{entry.kind}: {amount} more would be more than a balance can hold")
        source.balance -= amount
        target.balance += amount
        self.touched.add((account, from_name))
        self.touched.add((account, to_name))
        self.entries[account, key] = entry
        self.new.append(entry)
        return Posted(entry, new=True)

    def _hold(self, hold: Hold) -> Held | NotEnough:
        _check(hold.amount)
        key = hold.account, hold.name, hold.key
        before = self.holds.get(key) or Held(0, hold.owner, hold.at, hold.call)
        missing = hold.amount - before.amount
        free = self._at(hold.account, hold.name).free
        if missing > free:
            return NotEnough(hold.account, hold.name, missing, free)
        return self._grow(key, before, missing) if missing > 0 else before

    def _extend(self, extend: Extend) -> Held | None:
        _check(extend.amount)
        key = extend.account, extend.name, extend.key
        before = self.holds.get(key)
        if before is None:
            return None
        more = min(extend.amount - before.amount, self._at(extend.account, extend.name).free)
        return self._grow(key, before, more) if more > 0 else before

    def _grow(self, key: HoldKey, before: Held, more: int) -> Held:
        self._at(*key[:2]).held += more
        self.touched.add(key[:2])
        self.rewritten.add(key)
        self.holds[key] = after = before._replace(amount=before.amount + more)
        return after

    def _release(self, key: HoldKey) -> Held | None:
        held = self.holds.pop(key, None)
        if held is not None:
            self._at(*key[:2]).held -= held.amount
            self.touched.add(key[:2])
            self.rewritten.add(key)
        return held

    def _capture(self, capture: Capture) -> Posted | NotEnough | KeyReused:
        key = capture.entry.account, capture.entry.from_name, capture.key
        held = self.holds.get(key)
        posted = self._post(capture.entry, held.amount if held else 0)
        if isinstance(posted, Posted):
            self._release(key)
        return posted

    def _at(self, account: str, name: str) -> Balance:
        try:
            return self.balances[account, name]
        except KeyError:
            raise NotStored(f"account {account} has no balance {name}: open it first") from None


def places(operations: Iterable[Operation]) -> set[Place]:
    """The balances that operations touch."""
    found: set[Place] = set()
    for each in operations:
        entry = each.entry if isinstance(each, Capture) else each
        if isinstance(entry, Entry):
            found.add((entry.account, entry.from_name))
            found.add((entry.account, entry.to_name))
        else:
            found.add((entry.account, entry.name))
    return found


def hold_keys(operations: Iterable[Operation]) -> set[HoldKey]:
    """The holds that operations touch."""
    found: set[HoldKey] = set()
    for each in operations:
        if isinstance(each, Capture):
            found.add((each.entry.account, each.entry.from_name, each.key))
        elif not isinstance(each, Entry):
            found.add((each.account, each.name, each.key))
    return found


def entry_keys(operations: Iterable[Operation]) -> set[Place]:
    """Account and key of the entries among operations."""
    entries = (each.entry if isinstance(each, Capture) else each for each in operations)
    return {(entry.account, entry.key) for entry in entries if isinstance(entry, Entry)}


def _check(amount: int) -> None:
    if type(amount) is not int or not 0 < amount <= LARGEST:
        raise ValueError(f"{amount!r} is no amount: use a whole number from 1 to {LARGEST}")


def _same(known: Entry, entry: Entry) -> bool:
    return known[:_AT] == entry[:_AT]


def _reused(entry: Entry, known: Entry) -> KeyReused:
    return KeyReused(
        f"{entry.key} stands for {known.kind} of {known.amount} from {known.from_name} to {known.to_name}, and cannot"
        f" stand for {entry.kind} of {entry.amount} from {entry.from_name} to {entry.to_name}: choose another key"
    )
