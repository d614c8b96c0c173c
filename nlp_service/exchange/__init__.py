"""Files that other programs for qualitative analysis read and write."""
