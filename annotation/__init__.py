"""Floor 2: the human round. Empty until its issue lands; the import contracts already hold its place."""
