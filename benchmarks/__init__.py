"""Every claim's figures: run, printed, written as JSON."""
