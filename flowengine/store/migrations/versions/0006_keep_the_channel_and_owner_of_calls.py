"""The caller's channel and the engine of a call: what an engine needs to take its calls back after a crash."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("calls", sa.Column("channel", sa.String(200), nullable=True))
    op.add_column("calls", sa.Column("owner", sa.String(40), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("calls") as table:
        table.drop_column("owner")
        table.drop_column("channel")
