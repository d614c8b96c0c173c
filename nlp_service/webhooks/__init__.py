"""Webhooks: telling other tools that a batch has ended, signed, and again until they have heard it."""
