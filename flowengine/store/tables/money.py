"""What costs money: rates, numbers for sale, monthly fees, and credits that were bought."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Index,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from flowengine.store.tables.base import Base, Code, Id, Instant, account_ref


class RateRow(Base):
    """A rate of an imported deck (`flowengine.billing.rates.Rate`). A deck is replaced as a whole, never in part."""

    __tablename__ = "rates"
    __table_args__ = (Index(None, "direction", "key"),)

    deck: Mapped[str] = mapped_column(String(63), primary_key=True)
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    direction: Mapped[str] = mapped_column(String(8))
    key: Mapped[str] = mapped_column(String(40))
    per_minute: Mapped[int] = mapped_column(BigInteger)
    """Micro-credits, as all amounts here."""
    connect_fee: Mapped[int] = mapped_column(BigInteger)
    first_s: Mapped[int]
    following_s: Mapped[int]
    valid_from: Mapped[Instant]
    valid_until: Mapped[int | None] = mapped_column(BigInteger)
    name: Mapped[str] = mapped_column(String(200))


class OfferedNumber(Base):
    """A number that a carrier has and a company may buy."""

    __tablename__ = "offered_numbers"
    __table_args__ = (
        CheckConstraint("type IN ('local', 'mobile', 'toll_free')", name="type"),
        CheckConstraint("monthly_fee >= 0 AND setup_fee >= 0", name="fees"),
        Index(None, "country", "type", "region"),
    )

    e164: Mapped[str] = mapped_column(String(16), primary_key=True)
    provider: Mapped[Code]
    provider_ref: Mapped[str] = mapped_column(String(100))
    country: Mapped[str] = mapped_column(String(3))
    type: Mapped[str] = mapped_column(String(16))
    region: Mapped[str] = mapped_column(String(100))
    monthly_fee: Mapped[int] = mapped_column(BigInteger)
    setup_fee: Mapped[int] = mapped_column(BigInteger)
    taken_by: Mapped[str | None] = mapped_column(String(40))
    """The account that has it; null: for sale."""


class Subscription(Base):
    """A monthly fee of an account: of a number or of its storage plan. Months are reckoned from `began_at`."""

    __tablename__ = "subscriptions"
    __table_args__ = (
        CheckConstraint("kind IN ('number', 'plan')", name="kind"),
        CheckConstraint("fee >= 0", name="fee"),
        Index(
            "ix_subscriptions_active",
            "account_id",
            "kind",
            "subject",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index("ix_subscriptions_due", "next_due_at"),
    )

    id: Mapped[Id]
    account_id: Mapped[str] = account_ref()
    kind: Mapped[str] = mapped_column(String(16))
    subject: Mapped[str] = mapped_column(String(40))
    """The number in E.164, or "storage"."""
    plan: Mapped[str] = mapped_column(String(40))
    """The storage plan that is paid; "" for a number."""
    next_plan: Mapped[str] = mapped_column(String(40))
    """The smaller plan that holds from the next month on; "": the same."""
    fee: Mapped[int] = mapped_column(BigInteger)
    zone: Mapped[str] = mapped_column(String(64))
    """The time zone its anniversaries are reckoned in."""
    began_at: Mapped[Instant]
    paid_months: Mapped[int]
    """Months 0 to this one, which is left out, are paid."""
    next_due_at: Mapped[int | None] = mapped_column(BigInteger)
    """When the next month begins; null when no more will."""
    arrears_since: Mapped[int | None] = mapped_column(BigInteger)
    """Since when a month is due that the balance could not pay."""
    ended_at: Mapped[int | None] = mapped_column(BigInteger)


class Purchase(Base):
    """Credits that somebody bought, or tried to. `key` is the client's, so that trying again buys once."""

    __tablename__ = "purchases"
    __table_args__ = (
        UniqueConstraint("account_id", "key"),
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("state IN ('pending', 'paid', 'declined', 'failed')", name="state"),
        Index(None, "account_id", "at"),
        Index(
            "ix_purchases_pending",
            "at",
            sqlite_where=text("state = 'pending'"),
            postgresql_where=text("state = 'pending'"),
        ),
        Index(
            "ix_purchases_recharge",
            "account_id",
            unique=True,
            sqlite_where=text("state = 'pending' AND is_recharge"),
            postgresql_where=text("state = 'pending' AND is_recharge"),
        ),
    )

    id: Mapped[Id]
    account_id: Mapped[str] = account_ref()
    key: Mapped[str] = mapped_column(String(120))
    amount: Mapped[int] = mapped_column(BigInteger)
    price: Mapped[int] = mapped_column(BigInteger)
    """In the smallest unit of `currency`."""
    currency: Mapped[str] = mapped_column(String(3))
    is_recharge: Mapped[bool]
    """Bought by the account's auto-recharge; one at a time is pending, by an index."""
    bought_by: Mapped[str] = mapped_column(String(100))
    """A user's name, or "auto-recharge"."""
    provider: Mapped[Code]
    provider_ref: Mapped[str] = mapped_column(String(200))
    reference: Mapped[str] = mapped_column(String(200))
    """What a person wrote: the number of an invoice or a bank transfer."""
    state: Mapped[str] = mapped_column(String(16))
    problem: Mapped[str] = mapped_column(Text)
    at: Mapped[Instant]
    settled_at: Mapped[int | None] = mapped_column(BigInteger)
