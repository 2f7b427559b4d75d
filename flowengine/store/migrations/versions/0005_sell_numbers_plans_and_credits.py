"""What costs money: rates, numbers for sale, monthly fees, and credits that were bought."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "offered_numbers",
        sa.Column("e164", sa.String(length=16), nullable=False),
        sa.Column("provider", sa.String(length=40), nullable=False),
        sa.Column("provider_ref", sa.String(length=100), nullable=False),
        sa.Column("country", sa.String(length=3), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("region", sa.String(length=100), nullable=False),
        sa.Column("monthly_fee", sa.BigInteger(), nullable=False),
        sa.Column("setup_fee", sa.BigInteger(), nullable=False),
        sa.Column("taken_by", sa.String(length=40), nullable=True),
        sa.CheckConstraint("type IN ('local', 'mobile', 'toll_free')", name=op.f("ck_offered_numbers_type")),
        sa.CheckConstraint("monthly_fee >= 0 AND setup_fee >= 0", name=op.f("ck_offered_numbers_fees")),
        sa.PrimaryKeyConstraint("e164", name=op.f("pk_offered_numbers")),
    )
    with op.batch_alter_table("offered_numbers", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_offered_numbers_country_type_region"), ["country", "type", "region"], unique=False
        )

    op.create_table(
        "rates",
        sa.Column("deck", sa.String(length=63), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("direction", sa.String(length=8), nullable=False),
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("per_minute", sa.BigInteger(), nullable=False),
        sa.Column("connect_fee", sa.BigInteger(), nullable=False),
        sa.Column("first_s", sa.Integer(), nullable=False),
        sa.Column("following_s", sa.Integer(), nullable=False),
        sa.Column("valid_from", sa.BigInteger(), nullable=False),
        sa.Column("valid_until", sa.BigInteger(), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("deck", "id", name=op.f("pk_rates")),
    )
    with op.batch_alter_table("rates", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rates_direction_key"), ["direction", "key"], unique=False)

    op.create_table(
        "purchases",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=120), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("price", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("is_recharge", sa.Boolean(), nullable=False),
        sa.Column("bought_by", sa.String(length=100), nullable=False),
        sa.Column("provider", sa.String(length=40), nullable=False),
        sa.Column("provider_ref", sa.String(length=200), nullable=False),
        sa.Column("reference", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "state IN ('pending', 'paid', 'declined', 'failed')", name=op.f("ck_purchases_state")
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_purchases_amount")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_purchases_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_purchases")),
        sa.UniqueConstraint("account_id", "key", name=op.f("uq_purchases_account_id_key")),
    )
    with op.batch_alter_table("purchases", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_purchases_account_id_at"), ["account_id", "at"], unique=False)
        batch_op.create_index(
            "ix_purchases_pending",
            ["at"],
            unique=False,
            sqlite_where=sa.text("state = 'pending'"),
            postgresql_where=sa.text("state = 'pending'"),
        )
        batch_op.create_index(
            "ix_purchases_recharge",
            ["account_id"],
            unique=True,
            sqlite_where=sa.text("state = 'pending' AND is_recharge"),
            postgresql_where=sa.text("state = 'pending' AND is_recharge"),
        )

    op.create_table(
        "subscriptions",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=40), nullable=False),
        sa.Column("plan", sa.String(length=40), nullable=False),
        sa.Column("next_plan", sa.String(length=40), nullable=False),
        sa.Column("fee", sa.BigInteger(), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("paid_months", sa.Integer(), nullable=False),
        sa.Column("next_due_at", sa.BigInteger(), nullable=True),
        sa.Column("arrears_since", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("kind IN ('number', 'plan')", name=op.f("ck_subscriptions_kind")),
        sa.CheckConstraint("fee >= 0", name=op.f("ck_subscriptions_fee")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_subscriptions_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscriptions")),
    )
    with op.batch_alter_table("subscriptions", schema=None) as batch_op:
        batch_op.create_index(
            "ix_subscriptions_active",
            ["account_id", "kind", "subject"],
            unique=True,
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )
        batch_op.create_index("ix_subscriptions_due", ["next_due_at"], unique=False)

    with op.batch_alter_table("accounts", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("refuse_when_empty", sa.Boolean(), server_default=sa.true(), nullable=False)
        )
        batch_op.add_column(
            sa.Column(
                "when_running_out", sa.String(length=16), server_default=sa.text("'finish'"), nullable=False
            )
        )
        batch_op.add_column(sa.Column("is_partner", sa.Boolean(), server_default=sa.false(), nullable=False))
        batch_op.add_column(sa.Column("recharge_below", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("recharge_amount", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("accounts", schema=None) as batch_op:
        batch_op.drop_column("recharge_amount")
        batch_op.drop_column("recharge_below")
        batch_op.drop_column("is_partner")
        batch_op.drop_column("when_running_out")
        batch_op.drop_column("refuse_when_empty")

    with op.batch_alter_table("subscriptions", schema=None) as batch_op:
        batch_op.drop_index("ix_subscriptions_due")
        batch_op.drop_index(
            "ix_subscriptions_active",
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )

    op.drop_table("subscriptions")
    with op.batch_alter_table("purchases", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_purchases_recharge",
            sqlite_where=sa.text("state = 'pending' AND is_recharge"),
            postgresql_where=sa.text("state = 'pending' AND is_recharge"),
        )
        batch_op.drop_index(
            "ix_purchases_pending",
            sqlite_where=sa.text("state = 'pending'"),
            postgresql_where=sa.text("state = 'pending'"),
        )
        batch_op.drop_index(batch_op.f("ix_purchases_account_id_at"))

    op.drop_table("purchases")
    with op.batch_alter_table("rates", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_rates_direction_key"))

    op.drop_table("rates")
    with op.batch_alter_table("offered_numbers", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_offered_numbers_country_type_region"))

    op.drop_table("offered_numbers")
