"""Webhooks, and what is to be delivered to them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("consultation", sa.String(length=200), nullable=True),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["consultation"], ["consultations.name"], name=op.f("fk_webhooks_consultation")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
    )
    op.create_index(op.f("ix_webhooks_consultation"), "webhooks", ["consultation"], unique=False)
    op.create_table(
        "deliveries",
        sa.Column("webhook", sa.String(length=64), nullable=False),
        sa.Column("run", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("n_attempts", sa.Integer(), nullable=False),
        sa.Column(
            "due_at_s",
            sa.Float(),
            nullable=False,
            comment="while it is being sent: when another worker may send it",
        ),
        sa.Column("made_at", sa.String(32), nullable=False),
        sa.Column("last_at", sa.String(32), nullable=True),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name=op.f("fk_deliveries_run"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["webhook"], ["webhooks.id"], name=op.f("fk_deliveries_webhook"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("webhook", "run", name=op.f("pk_deliveries")),
    )
    op.create_index(op.f("ix_deliveries_run"), "deliveries", ["run"], unique=False)
    op.create_index(op.f("ix_deliveries_state_due_at_s"), "deliveries", ["state", "due_at_s"], unique=False)
