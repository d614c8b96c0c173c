"""Word pieces: a comment as the windows that an encoder can read, each token with its place in the comment."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from models.text import make_segments, normalise
from models.vocabulary import Segment

MAX_WINDOW_TOKENS: Final = 256
"""What an encoder reads at once, its two boundary tokens included. Longer comments are read in several windows."""

IntArray = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Window:
    """A run of a comment's tokens between the encoder's boundary tokens.

    `ids` has one entry more at each end than `starts` and `ends`, which give each real token's code-point offsets
    in the original comment.
    """

    ids: IntArray
    starts: IntArray
    ends: IntArray


class WordPieces:
    """Turns comments into windows with the encoder's own `tokenizer.json`. Safe to share between threads."""

    def __init__(self, tokenizer_json: bytes) -> None:
        self._tokenizer = Tokenizer.from_str(tokenizer_json.decode("utf-8"))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        first_last = self._tokenizer.encode("", add_special_tokens=True).ids
        if len(first_last) != 2:  # noqa: PLR2004 -- one boundary token at each end
            raise ValueError(f"the tokenizer puts {len(first_last)} boundary tokens around a text; 2 are supported")
        self._first, self._last = first_last

    @property
    def mask_id(self) -> int:
        """Return the id of the piece that stands for a hidden one ("[MASK]" or "<mask>")."""
        found = [i for piece in ("[MASK]", "<mask>") if (i := self._tokenizer.token_to_id(piece)) is not None]
        if not found:
            raise ValueError("the tokenizer has no mask piece")
        return int(found[0])

    def windows(self, texts: Sequence[str]) -> list[tuple[Window, ...]]:
        """Return each comment's windows: one, unless it is longer than `MAX_WINDOW_TOKENS`."""
        normal = [normalise(text) for text in texts]
        encodings = self._tokenizer.encode_batch([n.text for n in normal], add_special_tokens=False)
        out: list[tuple[Window, ...]] = []
        for text, source, encoding in zip(texts, normal, encodings, strict=True):
            ids = np.array(encoding.ids, dtype=np.int32)
            offsets = np.array(encoding.offsets, dtype=np.int32).reshape(-1, 2)
            starts = np.array(source.starts, dtype=np.int32)[offsets[:, 0]] if len(ids) else ids
            ends = np.array(source.ends, dtype=np.int32)[offsets[:, 1] - 1] if len(ids) else ids
            cuts = _cuts(starts, text)
            pairs = itertools.pairwise(cuts)
            out.append(tuple(self._window(ids[a:b], starts[a:b], ends[a:b]) for a, b in pairs))
        return out

    def _window(self, ids: IntArray, starts: IntArray, ends: IntArray) -> Window:
        return Window(np.concatenate(([self._first], ids, [self._last])).astype(np.int32), starts, ends)


def _cuts(starts: IntArray, text: str) -> list[int]:
    """Return token positions at which windows begin, and the end: at segment starts where one is in reach."""
    room = MAX_WINDOW_TOKENS - 2
    n = len(starts)
    if n <= room:
        return [0, n]
    at_segment = {int(i) for s in make_segments(text) if (i := np.searchsorted(starts, s.start)) < n}
    cuts = [0]
    while n - cuts[-1] > room:
        limit = cuts[-1] + room
        cuts.append(max((c for c in at_segment if cuts[-1] + room // 2 <= c <= limit), default=limit))
    return [*cuts, n]


def tokens_of_segments(window: Window, segments: Sequence[Segment]) -> NDArray[np.intp]:
    """Return, for each real token of the window, the index of the segment that holds its first character, or -1."""
    if not segments:
        return np.full(len(window.starts), -1, dtype=np.intp)
    begins = np.array([s.start for s in segments])
    ends = np.array([s.end for s in segments])
    index = np.searchsorted(begins, window.starts, side="right") - 1
    inside = (index >= 0) & (window.starts < ends[index])
    return np.where(inside, index, -1)
