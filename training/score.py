"""A model held against decisions that it has not seen."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from models.classifier import Classifier
from models.vocabulary import DecidedComment
from training.evaluation import metrics


def score_model(classifier: Classifier, decided: Sequence[DecidedComment]) -> dict[str, Any]:
    """Return the contract's metrics of a classifier on decided comments."""
    themes = [t.id for t in classifier.codebook.codable]
    column = {t: k for k, t in enumerate(themes)}
    truth = np.zeros((len(decided), len(themes)), np.bool_)
    predicted = np.zeros_like(truth)
    probabilities = np.zeros(truth.shape)
    for row, (one, coded) in enumerate(
        zip(decided, classifier.code_texts([d.comment.text for d in decided]), strict=True)
    ):
        truth[row, [column[t] for t in one.themes]] = True
        predicted[row, list(coded.coded)] = True
        probabilities[row] = coded.probabilities
    thresholds = classifier.artefact.calibration.threshold
    result = metrics(themes, predicted, truth, probabilities=probabilities, thresholds=thresholds)
    return {**result, "model": classifier.artefact.model_id}
