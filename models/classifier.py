"""The classifier: texts in, themes with probabilities and evidence out.

A theme's score is linear in the token vectors' mean and in hashed lexical features, so each token's share of a score
is exact and evidence costs no second pass. Longer comments are read in windows; a theme's score is its best window's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.artefact import Artefact
from models.encoder import Encoder, FloatArray
from models.lexical import features, token_shares
from models.text import make_segments
from models.tokens import Window, WordPieces, tokens_of_segments
from models.vocabulary import CodedComment, Coding, Comment, ModelId, Segment, Suggestion, ThemeId, Verdict

EVIDENCE_SHARE: Final = 0.5
"""A further segment counts as evidence if the score loses at least this part of what it loses by the best one."""


@dataclass(frozen=True, slots=True)
class TextCoding:
    """What the classifier says of a text, whosever it is: positions refer to the codebook's codable themes."""

    probabilities: NDArray[np.float64]
    """Shape (n_themes,), rounded to four decimals."""
    coded: tuple[int, ...]
    unsure: tuple[int, ...]
    evidence: tuple[tuple[Segment, ...], ...]
    """One entry for each coded theme."""


@lru_cache(maxsize=500_000)  # a codebook of 49 themes and every probability of four decimals
def _said_once(theme: ThemeId, probability: float) -> tuple[ThemeId, float]:
    """Return a theme with its probability, the same object each time: a batch of 100,000 comments holds millions of them."""
    return theme, probability


def attach_coding(artefact: Artefact, comment: Comment, coding: TextCoding) -> CodedComment:
    """Return the coding of a comment's text as that comment's, with the model's and codebook's names."""
    themes = artefact.codebook.codable
    return CodedComment(
        comment.id,
        tuple(
            Coding(themes[k].id, float(coding.probabilities[k]), evidence)
            for k, evidence in zip(coding.coded, coding.evidence, strict=True)
        ),
        tuple(themes[k].id for k in coding.unsure),
        tuple(map(_said_once, (t.id for t in themes), coding.probabilities.tolist())),
        artefact.model_id or ModelId(f"{artefact.name}-{artefact.version}+unsaved"),
        artefact.codebook.ref,
    )


@dataclass(frozen=True, slots=True)
class _Read:
    """A text's windows as read by one encoder."""

    windows: tuple[Window, ...]
    vectors: tuple[FloatArray, ...]
    scores: NDArray[np.float64]
    """Shape (n_windows, n_themes)."""


class Classifier:
    """Codes texts with one model.

    Parameters
    ----------
    artefact
        The trained model.
    word_pieces
        The encoder's tokenizer.
    encoder
        Reads every text.
    second_encoder
        If given, reads again, and decides, where the first one's log-odds for some theme lie within the artefact's
        `review_margin` of the theme's threshold. Whether a text is read twice depends on that text alone.
    """

    def __init__(
        self, artefact: Artefact, word_pieces: WordPieces, encoder: Encoder, second_encoder: Encoder | None = None
    ) -> None:
        self.artefact = artefact
        self.codebook = artefact.codebook
        self._word_pieces, self._encoder, self._second = word_pieces, encoder, second_encoder
        tagger, calibration = artefact.tagger, artefact.calibration
        self._head = np.ascontiguousarray(tagger.head.T, dtype=np.float32)
        self._bias = tagger.head_bias.astype(np.float64)
        self._lexical = tagger.lexical_weights if tagger.lexical.size else None
        self._idf = tagger.idf
        self._calibration = calibration
        self._threshold_logit = np.log(calibration.threshold / (1 - calibration.threshold))
        self.n_read_twice = 0

    def code_texts(self, texts: Sequence[str], *, batch_size: int = 256) -> Iterator[TextCoding]:
        """Yield a coding for each text, in order.

        `batch_size` bounds memory and changes nothing else: the same text gives the same coding, to the last bit,
        in any company.
        """
        for start in range(0, len(texts), batch_size):
            yield from self._code_batch(texts[start : start + batch_size])

    def code(self, comments: Sequence[Comment], *, batch_size: int = 256) -> Iterator[CodedComment]:
        """Yield a coded comment for each comment, in order."""
        codings = self.code_texts([c.text for c in comments], batch_size=batch_size)
        for comment, coding in zip(comments, codings, strict=True):
            yield attach_coding(self.artefact, comment, coding)

    def suggest(self, comment: Comment, coding: TextCoding) -> tuple[Suggestion, ...]:
        """Return the machine's verdict on every codable theme for a comment."""
        out: list[Suggestion] = []
        for k, theme in enumerate(self.codebook.codable):
            verdict = Verdict.UNSURE if k in coding.unsure else Verdict.YES if k in coding.coded else Verdict.NO
            out.append(Suggestion(comment.id, theme.id, verdict, float(coding.probabilities[k])))
        return tuple(out)

    def scores(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return raw scores before calibration, shape (n_texts, n_themes), by the first encoder alone."""
        reads = self._read(self._word_pieces.windows(texts), self._encoder)
        return np.stack([r.scores.max(axis=0) for r in reads])

    def _code_batch(self, texts: Sequence[str]) -> list[TextCoding]:
        windows = self._word_pieces.windows(texts)
        reads = self._read(windows, self._encoder)
        if self._second is not None:
            again = [i for i, read in enumerate(reads) if self._is_close(read)]
            self.n_read_twice += len(again)
            for i, read in zip(again, self._read([windows[i] for i in again], self._second), strict=True):
                reads[i] = read
        return [self._decide(text, read) for text, read in zip(texts, reads, strict=True)]

    def _read(self, windows: Sequence[tuple[Window, ...]], encoder: Encoder) -> list[_Read]:
        flat = [window for group in windows for window in group]
        vectors = iter(encoder.encode([w.ids for w in flat]))
        out: list[_Read] = []
        for group in windows:
            own = tuple(next(vectors) for _ in group)
            scores = np.stack([self._score(w, v) for w, v in zip(group, own, strict=True)])
            out.append(_Read(group, own, scores))
        return out

    def _score(self, window: Window, vectors: FloatArray) -> NDArray[np.float64]:
        score = (vectors.mean(axis=0) @ self._head).astype(np.float64) + self._bias
        if self._lexical is not None:
            index, values = features(window, self._idf)
            score = score + values @ self._lexical[index]
        return np.asarray(score)

    def _is_close(self, read: _Read) -> bool:
        logits, margin = self._calibration.logits(read.scores.max(axis=0)), self.artefact.review_margin
        if (np.abs(logits - self._threshold_logit) < margin).any():
            return True
        fallback = self._calibration.fallback
        if fallback is None or (logits >= self._threshold_logit).any():
            return False
        ranked, least = np.sort(logits), np.log(fallback / (1 - fallback))
        rivals = len(ranked) > 1 and ranked[-1] - ranked[-2] < margin
        return bool(abs(ranked[-1] - least) < margin or (ranked[-1] > least and rivals))

    def _decide(self, text: str, read: _Read) -> TextCoding:
        by_window = np.round(self._calibration.probabilities(read.scores), 4)
        probabilities = by_window.max(axis=0)
        calibration = self._calibration
        said = calibration.verdicts(probabilities[None])[0]
        doubted = said & (probabilities < calibration.threshold)
        if doubted.any() and not make_segments(text):  # nothing to read, so nothing to guess from
            said, doubted = said & ~doubted, np.zeros_like(doubted)
        coded = np.flatnonzero(said)
        band = (probabilities >= calibration.unsure_low) & (probabilities < calibration.unsure_high)
        band |= doubted
        evidence = self._evidence(text, read, coded, by_window) if len(coded) else ()
        return TextCoding(
            probabilities, tuple(int(k) for k in coded), tuple(int(k) for k in np.flatnonzero(band)), evidence
        )

    def _evidence(
        self, text: str, read: _Read, coded: NDArray[np.intp], by_window: NDArray[np.float64]
    ) -> tuple[tuple[Segment, ...], ...]:
        """Return, for each coded theme, the segments without which its score would fall most.

        With z the sum of token shares c over a window's n tokens, a mean without segment S gives n (z - sum_S c) /
        (n - |S|): what is lost is exact for these vectors. The lexical part loses the segment's lexical shares.
        """
        segments = make_segments(text)
        if len(segments) <= 1:  # nothing to choose from; a text without a visible character has no evidence
            return tuple(segments for _ in coded)
        losses = np.full((len(segments), len(coded)), -np.inf)
        for w, window in enumerate(read.windows):
            holds = tokens_of_segments(window, segments) == np.arange(len(segments))[:, None]
            n_held = holds.sum(axis=1, keepdims=True)
            member = holds.astype(np.float32)
            n = len(window.ids)
            shares = read.vectors[w] @ self._head[:, coded] / n
            score = shares.sum(axis=0)
            lost = score - (score - member @ shares[1:-1]) * (n / (n - n_held))
            if self._lexical is not None:
                lost = lost + member @ token_shares(window, self._idf, self._lexical[:, coded])
            carries = by_window[w, coded] >= np.minimum(
                self._calibration.threshold[coded], by_window[:, coded].max(axis=0)
            )
            losses = np.maximum(losses, np.where((n_held > 0) & carries, lost, -np.inf))
        out: list[tuple[Segment, ...]] = []
        for j in range(len(coded)):
            best = losses[:, j].max()
            keep = losses[:, j] >= max(best * EVIDENCE_SHARE, 0.0) if best > 0 else losses[:, j] == best
            out.append(tuple(segments[s] for s in np.flatnonzero(keep)))
        return tuple(out)
