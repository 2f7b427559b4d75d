"""What callers hear and what is kept of them, rooms for it in a storage plan, and a ledger."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audios",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=400), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_audios_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audios")),
        sa.UniqueConstraint("account_id", "id", name=op.f("uq_audios_account_id_id")),
        sa.UniqueConstraint("account_id", "name", name=op.f("uq_audios_account_id_name")),
    )
    op.create_table(
        "ledger_accounts",
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("unit", sa.String(length=8), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.Column("floor", sa.BigInteger(), nullable=True),
        sa.Column("told", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("unit IN ('credit', 'ms')", name=op.f("ck_ledger_accounts_unit")),
        sa.CheckConstraint("floor IS NULL OR balance - held >= floor", name=op.f("ck_ledger_accounts_floor")),
        sa.CheckConstraint("held >= 0", name=op.f("ck_ledger_accounts_held")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_ledger_accounts_account_id")),
        sa.PrimaryKeyConstraint("account_id", "name", name=op.f("pk_ledger_accounts")),
    )
    op.create_table(
        "notifications",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_try_at", sa.BigInteger(), nullable=False),
        sa.Column("problem", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_notifications_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications")),
        sa.UniqueConstraint("account_id", "key", name=op.f("uq_notifications_account_id_key")),
    )
    with op.batch_alter_table("notifications", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_notifications_account_id_at"), ["account_id", "at"], unique=False
        )
        batch_op.create_index(
            "ix_notifications_waiting",
            ["next_try_at"],
            unique=False,
            sqlite_where=sa.text("delivered_at IS NULL"),
            postgresql_where=sa.text("delivered_at IS NULL"),
        )

    op.create_table(
        "ledger_holds",
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=160), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.String(length=100), nullable=False),
        sa.Column("call_id", sa.String(length=40), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_ledger_holds_amount")),
        sa.ForeignKeyConstraint(
            ["account_id", "name"],
            ["ledger_accounts.account_id", "ledger_accounts.name"],
            name=op.f("fk_ledger_holds_account_id_name"),
        ),
        sa.PrimaryKeyConstraint("account_id", "name", "key", name=op.f("pk_ledger_holds")),
    )
    with op.batch_alter_table("ledger_holds", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_ledger_holds_owner"), ["owner"], unique=False)

    op.create_table(
        "ledger_transfers",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=160), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("from_name", sa.String(length=40), nullable=False),
        sa.Column("to_name", sa.String(length=40), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("call_id", sa.String(length=40), nullable=True),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_ledger_transfers_amount")),
        sa.ForeignKeyConstraint(
            ["account_id", "from_name"],
            ["ledger_accounts.account_id", "ledger_accounts.name"],
            name=op.f("fk_ledger_transfers_account_id_from_name"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "to_name"],
            ["ledger_accounts.account_id", "ledger_accounts.name"],
            name=op.f("fk_ledger_transfers_account_id_to_name"),
        ),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_ledger_transfers_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_transfers")),
        sa.UniqueConstraint("account_id", "key", name=op.f("uq_ledger_transfers_account_id_key")),
    )
    with op.batch_alter_table("ledger_transfers", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_ledger_transfers_account_id_at"), ["account_id", "at"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_ledger_transfers_call_id"), ["call_id"], unique=False)

    with op.batch_alter_table("accounts", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("storage_plan", sa.String(length=40), server_default="free", nullable=False)
        )
        batch_op.add_column(
            sa.Column("keep_months", sa.Integer(), server_default=sa.text("0"), nullable=False)
        )

    with op.batch_alter_table("recordings", schema=None) as batch_op:
        batch_op.add_column(sa.Column("status", sa.String(length=16), server_default="kept", nullable=False))
        batch_op.add_column(
            sa.Column("owner", sa.String(length=100), server_default=sa.text("''"), nullable=False)
        )
        batch_op.add_column(
            sa.Column("limit_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
        )
        batch_op.add_column(sa.Column("channels", sa.Integer(), server_default=sa.text("1"), nullable=False))
        batch_op.add_column(sa.Column("complete", sa.Boolean(), server_default=sa.true(), nullable=False))
        batch_op.add_column(sa.Column("ran_out", sa.Boolean(), server_default=sa.false(), nullable=False))
        batch_op.add_column(sa.Column("problem", sa.Text(), server_default=sa.text("''"), nullable=False))
        batch_op.add_column(sa.Column("transcript", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(
            sa.Column("deleted_by", sa.String(100), server_default=sa.text("''"), nullable=False)
        )
        batch_op.create_check_constraint("status", "status IN ('expected', 'kept', 'lost', 'deleted')")
        batch_op.create_index(
            "ix_recordings_expected",
            ["owner"],
            unique=False,
            sqlite_where=sa.text("status = 'expected'"),
            postgresql_where=sa.text("status = 'expected'"),
        )
        batch_op.create_index(
            "ix_recordings_deleted_with_sound",
            ["deleted_at"],
            unique=False,
            sqlite_where=sa.text("status = 'deleted' AND path <> ''"),
            postgresql_where=sa.text("status = 'deleted' AND path <> ''"),
        )


def downgrade() -> None:
    with op.batch_alter_table("recordings", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_recordings_deleted_with_sound",
            sqlite_where=sa.text("status = 'deleted' AND path <> ''"),
            postgresql_where=sa.text("status = 'deleted' AND path <> ''"),
        )
        batch_op.drop_index(
            "ix_recordings_expected",
            sqlite_where=sa.text("status = 'expected'"),
            postgresql_where=sa.text("status = 'expected'"),
        )
        batch_op.drop_constraint("status", type_="check")
        batch_op.drop_column("deleted_by")
        batch_op.drop_column("deleted_at")
        batch_op.drop_column("transcript")
        batch_op.drop_column("problem")
        batch_op.drop_column("ran_out")
        batch_op.drop_column("complete")
        batch_op.drop_column("channels")
        batch_op.drop_column("limit_ms")
        batch_op.drop_column("owner")
        batch_op.drop_column("status")

    with op.batch_alter_table("accounts", schema=None) as batch_op:
        batch_op.drop_column("keep_months")
        batch_op.drop_column("storage_plan")

    with op.batch_alter_table("ledger_transfers", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_ledger_transfers_call_id"))
        batch_op.drop_index(batch_op.f("ix_ledger_transfers_account_id_at"))

    op.drop_table("ledger_transfers")
    with op.batch_alter_table("ledger_holds", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_ledger_holds_owner"))

    op.drop_table("ledger_holds")
    with op.batch_alter_table("notifications", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_notifications_waiting",
            sqlite_where=sa.text("delivered_at IS NULL"),
            postgresql_where=sa.text("delivered_at IS NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_notifications_account_id_at"))

    op.drop_table("notifications")
    op.drop_table("ledger_accounts")
    op.drop_table("audios")
