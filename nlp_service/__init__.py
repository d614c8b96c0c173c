"""Floor 3: the product at run time."""
