"""What a fit begins with: the base encoder, or a trained model that knows some of the themes.

A model that learnt from residents' comments is no start: its decisions can be given again, and then what is held out was held out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.artefact import STARTER, Artefact, Float32, read_artefact
from models.counts import counted
from models.lexical import features
from models.tokens import Window
from models.trained_on import count_marked
from models.vocabulary import Codebook, DecidedComment, ModelId, ThemesError
from models.weight_changes import merge_updates
from models.weights import DEFAULT_BASE, Base


class StartError(ThemesError):
    """Training cannot go on from that model."""

    code = "start_unfit"


@dataclass(frozen=True, slots=True)
class Start:
    """The encoder that a fit begins with, and what is known of the K themes of the codebook, in its order.

    `tensors` are the encoder's, with what a trained model added to them. `head` (K, dim), `bias` (K,) and `lexical` (N_BUCKETS, K), or
    without rows, give calibrated log-odds; they are zero where a theme is not `known` (K,). `idf` (N_BUCKETS,) belongs to `lexical`.
    """

    base: Base
    mask_id: int
    """Id of the word piece that stands in for dropped ones."""
    model_id: ModelId | None
    """The trained model; None at the base encoder."""
    tensors: Mapping[str, Float32]
    known: NDArray[np.bool_]
    head: Float32
    bias: Float32
    lexical: Float32
    idf: Float32

    def lexical_scores(self, windows: Sequence[Window]) -> NDArray[np.float64]:
        """Return what the trained model's lexical part says, shape (n, K)."""
        if not len(self.lexical):
            return np.zeros((len(windows), len(self.known)))
        return np.stack([v @ self.lexical[i] for i, v in (features(w, self.idf) for w in windows)]).astype(np.float64)


def start_at_base(base: Base, mask_id: int, n_themes: int) -> Start:
    """Return a start that knows no theme."""
    dim = int(base.config["hidden_size"])
    return Start(
        base, mask_id, None, base.tensors, np.zeros(n_themes, np.bool_), np.zeros((n_themes, dim), np.float32),
        np.zeros(n_themes, np.float32), np.zeros((0, n_themes), np.float32), np.zeros(0, np.float32),
    )  # fmt: skip


def start_at_model(
    artefact: Artefact, base: Base, mask_id: int, codebook: Codebook, decided: Sequence[DecidedComment]
) -> Start:
    """Return a start at a trained model, whose themes are found by their ids.

    Raises
    ------
    StartError
        If the model has another encoder or none of the themes, learnt from residents' comments, or learnt from some of the decisions.
    """
    t, c = artefact.tagger, artefact.calibration
    place = {theme.id: k for k, theme in enumerate(artefact.codebook.codable)}
    known = np.array([theme.id in place for theme in codebook.codable])
    _check(artefact, base, known, decided)
    old = [place[theme.id] for theme in codebook.codable if theme.id in place]
    head = np.zeros((len(known), t.head.shape[1]), np.float32)
    bias = np.zeros(len(known), np.float32)
    lexical = np.zeros((len(t.lexical), len(known)), np.float32)
    head[known] = (t.head * c.scale[:, None])[old]
    bias[known] = (t.head_bias * c.scale + c.bias)[old]
    lexical[:, known] = (t.lexical_weights * c.scale)[:, old]
    tensors = merge_updates(base, t.adapters, t.changes)
    return Start(base, mask_id, artefact.model_id, tensors, known, head, bias, lexical, t.idf)


def usual_start(codebook: Codebook, encoder: str) -> Artefact | None:
    """Return the starter model where it has half of the codebook's themes or more, by their ids; None for other subjects and encoders."""
    if encoder != DEFAULT_BASE:
        return None
    starter = read_artefact(STARTER)
    known = {theme.id for theme in starter.codebook.codable}
    n_known = sum(theme.id in known for theme in codebook.codable)
    return starter if 2 * n_known >= len(codebook.codable) else None


def _check(artefact: Artefact, base: Base, known: NDArray[np.bool_], decided: Sequence[DecidedComment]) -> None:
    other = "name another one with --start, or train from the base encoder with --start none."
    if artefact.model_id is None:
        raise ValueError("a start is a model that was read from its folder")
    if dict(artefact.encoder_digests) != dict(base.digests):
        raise StartError(
            f"the model {artefact.model_id} was trained on the encoder {artefact.encoder}, not on {base.name}.",
            allowed="a model of the same encoder.",
            next_step=other,
        )
    if not known.any():
        raise StartError(
            f"the model {artefact.model_id} has none of the codebook's themes.",
            allowed="a model that shares theme ids with the codebook.",
            next_step=other,
        )
    if artefact.card.get("invented") is not True or artefact.trained_on is None:
        raise StartError(
            f"the model {artefact.model_id} learnt from residents' comments.",
            allowed="a model that learnt from comments written for the purpose, as the starter model did: then figures stay out of sample, and erasing finds "
            "every model that learnt from a resident.",
            next_step="give that model's decisions again with --decisions, and leave --start out.",
        )
    n_seen = count_marked(artefact.trained_on, (d.written for d in decided), key=str(artefact.card["data_sha256"]))
    if n_seen:
        raise StartError(
            f"the model {artefact.model_id} learnt from {counted(n_seen, 'of the decided comments', 'of the decided comments')}.",
            allowed="decisions on comments that the model to begin with has not seen, or no figure would be out of sample.",
            next_step="leave them out of --decisions, or train from the base encoder with --start none.",
        )
