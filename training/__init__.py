"""Floor 2: from decisions to a model. Meets `annotation` only in `models.vocabulary`."""
