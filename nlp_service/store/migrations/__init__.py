"""Steps from one form of the tables to the next, applied by Alembic when a process opens the store."""
