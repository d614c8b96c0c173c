"""Floor 2: the human round."""
