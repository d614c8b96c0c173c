"""Batches that get coded whatever happens to the machine: workers, their heartbeat, and the queue between them and the service."""
