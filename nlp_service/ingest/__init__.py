"""Reading what analysts have: files in, comments and problems out, nothing in between lost."""
