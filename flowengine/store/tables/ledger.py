"""Balances and what moved between them: credits, and room for recordings."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from flowengine.store.tables.base import Base, Code, Id, Instant, Json, account_ref


class LedgerAccount(Base):
    """A balance of a company in one unit. What is held is still its own, but promised.

    The database refuses what goes below `floor`; a null floor is for the world outside, where credits come from
    and go to, and for room that a smaller plan took away.
    """

    __tablename__ = "ledger_accounts"
    __table_args__ = (
        CheckConstraint("held >= 0", name="held"),
        CheckConstraint("floor IS NULL OR balance - held >= floor", name="floor"),
        CheckConstraint("unit IN ('credit', 'ms')", name="unit"),
    )

    account_id: Mapped[str] = mapped_column(String(40), ForeignKey("accounts.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    unit: Mapped[str] = mapped_column(String(8))
    """credit: micro-credits; ms: milliseconds of recordings."""
    balance: Mapped[int] = mapped_column(BigInteger)
    held: Mapped[int] = mapped_column(BigInteger)
    floor: Mapped[int | None] = mapped_column(BigInteger)
    told: Mapped[int] = mapped_column(server_default=text("0"))
    """The last mark of this balance that admins were told of, so that each crossing is told once; 0: none."""


class Hold(Base):
    """A part of a balance that is promised to something running, such as the next minute of a call."""

    __tablename__ = "ledger_holds"
    __table_args__ = (
        ForeignKeyConstraint(["account_id", "name"], ["ledger_accounts.account_id", "ledger_accounts.name"]),
        CheckConstraint("amount > 0", name="amount"),
        Index(None, "owner"),
    )

    account_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    key: Mapped[str] = mapped_column(String(160), primary_key=True)
    amount: Mapped[int] = mapped_column(BigInteger)
    owner: Mapped[str] = mapped_column(String(100))
    """The engine that runs what it is promised to."""
    call_id: Mapped[str | None] = mapped_column(String(40))
    """The call it is promised to, so that a hold which outlived its call is found."""
    at: Mapped[Instant]


class Transfer(Base):
    """An amount that went from one balance to another: a row of the ledger, never changed and never deleted.

    Each row is a debit and a credit of the same amount, so the books balance by construction. `key` says what it
    was for, once: `minute:<call>:<leg>:<n>`, `purchase:<key of the client>`.
    """

    __tablename__ = "ledger_transfers"
    __table_args__ = (
        UniqueConstraint("account_id", "key"),
        ForeignKeyConstraint(
            ["account_id", "from_name"], ["ledger_accounts.account_id", "ledger_accounts.name"]
        ),
        ForeignKeyConstraint(
            ["account_id", "to_name"], ["ledger_accounts.account_id", "ledger_accounts.name"]
        ),
        CheckConstraint("amount > 0", name="amount"),
        Index(None, "account_id", "at"),
        Index(None, "call_id"),
    )

    id: Mapped[Id]
    account_id: Mapped[str] = account_ref()
    key: Mapped[str] = mapped_column(String(160))
    kind: Mapped[Code]
    """Such as minute, purchase, number_fee, plan_fee, kept, deleted."""
    from_name: Mapped[str] = mapped_column(String(40))
    to_name: Mapped[str] = mapped_column(String(40))
    amount: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[Instant]
    call_id: Mapped[str | None] = mapped_column(String(40))
    details: Mapped[Json]
    """What it was reckoned from: the rate of a minute, the recording of a deletion, who bought."""
