"""The topic model: BERTopic with its randomness fixed, and its naming of groups by c-TF-IDF. The one module that imports it."""

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Int = NDArray[np.intp]

OUTSIDE: Final = -1
"""The topic of a segment that belongs to none."""
_MIN_SEGMENTS: Final = 40
"""Below this there is nothing to reduce and to cluster."""
_WORD: Final = r"(?u)\b[^\W\d_][\w'-]+\b"
_CONSIDERED: Final = 30
_DIVERSITY: Final = 0.4


@dataclass(frozen=True, slots=True)
class Topics:
    """What BERTopic makes of segments."""

    labels: Int
    """Shape (n_segments,): topic of each segment, 0 the largest; `OUTSIDE` for none."""
    words: tuple[tuple[str, ...], ...]
    """For each topic its most telling words, by c-TF-IDF."""


def fit_topics(texts: Sequence[str], vectors: Float32, *, seed: int = 0, reassign: bool = True) -> Topics:
    """Return BERTopic's topics of segments: UMAP, HDBSCAN and c-TF-IDF with the library's own settings.

    Parameters
    ----------
    texts
        Segments.
    vectors
        Shape (n_segments, dim), unit length.
    seed
        Of UMAP, which then runs in one thread. The same input and seed give the same topics.
    reassign
        Give segments that HDBSCAN leaves out to the topic with the nearest mean vector.
    """
    if len(texts) < _MIN_SEGMENTS:
        return Topics(np.full(len(texts), OUTSIDE, np.intp), ())
    bertopic, umap = _load()
    from sklearn.feature_extraction.text import CountVectorizer  # noqa: PLC0415 -- a heavy library

    model = bertopic.BERTopic(
        umap_model=umap.UMAP(
            n_neighbors=15, n_components=5, min_dist=0.0, metric="cosine", low_memory=False, random_state=seed, n_jobs=1
        ),
        vectorizer_model=CountVectorizer(
            stop_words="english", min_df=1, token_pattern=_WORD
        ),  # counts topics as documents
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        labels = np.asarray(model.fit_transform(list(texts), np.asarray(vectors, np.float32))[0], np.intp)
        if reassign and labels.max() >= 0 and (labels == OUTSIDE).any():
            found = model.reduce_outliers(list(texts), labels.tolist(), strategy="embeddings", embeddings=vectors)
            labels = np.asarray(found, np.intp)
    words = tuple(tuple(word for word, _ in model.get_topic(t) if word) for t in range(int(labels.max()) + 1))
    return Topics(labels, words)


def flatten(vectors: Float32, *, seed: int = 0) -> Float32:
    """Return places on a plane, shape (n, 2), near where vectors are alike (UMAP); the same input and seed give the same places.

    Fewer than four vectors lie on a line: there is nothing to flatten.
    """
    n = len(vectors)
    if n < 4:  # noqa: PLR2004 -- UMAP needs more neighbours than that
        return np.stack([np.arange(n), np.zeros(n)], axis=1).astype(np.float32)
    _, umap = _load()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plane = umap.UMAP(
            n_neighbors=min(15, n - 1),
            n_components=2,
            min_dist=0.1,
            metric="cosine",
            random_state=seed,
            n_jobs=1,
            init="random",
        ).fit_transform(np.asarray(vectors, np.float32))
    return np.asarray(plane, np.float32)


def name_groups(
    groups: Sequence[Sequence[str]],
    others: Sequence[Sequence[str]],
    centres: Float32,
    read: Callable[[Sequence[str]], Float32],
    *,
    n_phrases: int = 8,
    allowed: Callable[[int, str], bool] = lambda _group, _phrase: True,
) -> list[tuple[str, ...]]:
    """Return the key phrases of each group of texts, the most telling first.

    Phrases of one to three words with no stop word at either end are weighed by BERTopic's c-TF-IDF, each group and each of
    `others` being one document; of the heaviest, those are kept that lie near the group's centre and apart from each other
    (maximal marginal relevance, Carbonell & Goldstein 1998).

    Parameters
    ----------
    groups, others
        Texts of each group to name, and of what else there is.
    centres
        Shape (n_groups, dim): mean vector of each group.
    read
        Gives vectors of phrases.
    n_phrases
        How many to return for a group, at most.
    allowed
        Told group and phrase; says whether the phrase may be shown.
    """
    if not groups:
        return []
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, CountVectorizer  # noqa: PLC0415 -- a heavy library

    bertopic, _ = _load()
    stop = ENGLISH_STOP_WORDS | _WEAK
    counter = CountVectorizer(analyzer=lambda text: _phrases(text, stop))
    counts = counter.fit_transform([" \n ".join(texts) for texts in (*groups, *others)])
    weights = bertopic.vectorizers.ClassTfidfTransformer(reduce_frequent_words=True).fit_transform(counts).tocsr()
    names = counter.get_feature_names_out()
    out: list[tuple[str, ...]] = []
    for g, centre in enumerate(centres):
        row = weights[g]
        order = np.lexsort((names[row.indices], -row.data))
        heavy = [str(names[row.indices[j]]) for j in order]
        kept: list[str] = []
        for phrase in heavy:
            if len(kept) == _CONSIDERED:
                break
            if allowed(g, phrase):
                kept.append(phrase)
        out.append(_apart(kept, centre, read, n_phrases))
    return out


def _apart(
    phrases: list[str], centre: Float32, read: Callable[[Sequence[str]], Float32], n_phrases: int
) -> tuple[str, ...]:
    if not phrases:
        return ()
    from bertopic.representation._mmr import mmr  # noqa: PLC0415 -- as above

    chosen = mmr(centre[None], read(phrases), phrases, diversity=_DIVERSITY, top_n=min(n_phrases, len(phrases)))
    told: list[str] = []
    for phrase in chosen:
        words = set(phrase.split())
        if not any(words <= set(t.split()) or set(t.split()) <= words for t in told):
            told.append(phrase)
    return tuple(told)


def _phrases(text: str, stop: frozenset[str]) -> list[str]:
    """Return the text's phrases of one to three words of one sentence, with no stop word at either end."""
    out: list[str] = []
    for sentence in re.split(r"[.!?;:,()\n]+", text.lower().replace("\u2019", "'")):
        words = re.findall(_WORD, sentence)
        for i in range(len(words)):
            for j in range(i + 1, min(i + 4, len(words) + 1)):
                if words[i] not in stop and words[j - 1] not in stop:
                    out.append(" ".join(words[i:j]))  # noqa: PERF401 -- three loops read better than one expression
    return out


_WEAK: Final = frozenset(
    [
        "able", "actually", "ago", "always", "asked", "came", "come", "comes", "could", "couldn't", "didn't", "doesn't", "don't", "feel", "gave",
        "getting", "given", "going", "good", "got", "having", "i'd", "i'll", "i'm", "i've", "isn't", "it's", "just", "know", "let", "like",
        "lot", "lots", "maybe", "need", "needs", "people", "really", "said", "say", "seen", "should", "thank", "thanks", "that's", "there's",
        "they're", "thing", "things", "think", "time", "times", "told", "took", "use", "used", "want", "wasn't", "way", "we're", "went",
        "won't", "would", "wouldn't", "you're", "years", "year", "need", "please", "better", "best", "great", "nice", "make", "makes", "made",
        "bit", "does", "did", "doing", "can't", "haven't", "look", "looking", "new", "right", "sure", "stop", "start", "keep", "quite", "far",
    ]
)  # fmt: skip
"""Words that name nothing, beside scikit-learn's stop words."""


def _load() -> tuple[Any, Any]:
    """Return the libraries: several seconds of start-up."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # umap says that it does without TensorFlow
        import bertopic  # noqa: PLC0415
        import bertopic.vectorizers  # noqa: PLC0415
        import umap  # noqa: PLC0415
    return bertopic, umap
