"""The scoring service's HTTP door."""
