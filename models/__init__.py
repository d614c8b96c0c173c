"""Floor 1: what a theme is, and how a text becomes codings. Imports nothing else of ours."""
