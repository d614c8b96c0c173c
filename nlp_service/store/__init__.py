"""What the service keeps: consultations, batches, comments, runs, codings, keys and the audit log, in SQLite or PostgreSQL."""
