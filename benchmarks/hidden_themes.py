"""Whether candidates find a theme that the codebook lacks: `make bench-hidden-themes` (`--quick`: five themes, five seeds).

On the NHS comments, distinct texts: each of 17 themes is hidden in turn, a model without it codes every comment, and candidates are sought
in what it leaves. Score: the best F1 of the first ten candidates with the hidden theme's comments. Beside it in the same run: plain
BERTopic over all comments, its best topic of all. The model is the frozen encoder under one logistic regression a theme, in five
parts so that no comment is coded by a model that saw it; `--full` fine-tunes the product's own model instead (hours).
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import argparse
import json
import re
import resource
import time
import warnings
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.nhs import fit_product
from benchmarks.nhs_data import NhsData, read_nhs
from benchmarks.report import OUT, publish
from models.candidates import make_material, name_candidates
from models.clusters import Bool, Float, Group, Material, draw_resamples, find_groups, jaccard
from models.segment_vectors import SegmentReader
from models.text import make_segments
from models.topics import OUTSIDE, Topics, fit_topics

LEFT_OUT: Final = ("Not assigned", "Negative experience & dissatisfaction", "Impact of treatment/ care")
N_POSITIVES: Final = (60, 600)
N_PARTS: Final = 5
N_CANDIDATES: Final = 10
N_SEEDS: Final = 20
FOUND_AT: Final = 0.5
BARS: Final = {
    "times_plain": (">=", 2.0),
    "found_at_half": (">=", 5),
    "stability_over_seeds": (">=", 0.8),
    "outliers": ("<=", 0.15),
    "seconds_600": ("<=", 40.0),
    "seconds_20000": ("<=", 240.0),
    "peak_gb_20000": ("<=", 4.0),
}


def f1(first: Bool, second: Bool) -> float:
    """Return F1 of two sets of comments."""
    return float(2 * (first & second).sum() / max(first.sum() + second.sum(), 1))


def distinct(data: NhsData) -> list[int]:
    """Return rows, each text once, the first time it occurs."""
    return list({d.comment.text: i for i, d in reversed(list(enumerate(data.decided)))}.values())[::-1]


def code_frozen(vectors: NDArray[np.float32], truth: Bool) -> tuple[Float, Bool]:
    """Return out-of-part probabilities and verdicts, shape (n_comments, n_themes); thresholds for the best F1."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.model_selection import KFold  # noqa: PLC0415

    found = np.zeros(truth.shape)
    for inside, outside in KFold(N_PARTS, shuffle=True, random_state=0).split(vectors):
        for k in range(truth.shape[1]):
            if truth[inside, k].any():
                model = LogisticRegression(C=10, max_iter=500).fit(vectors[inside], truth[inside, k])
                found[outside, k] = model.predict_proba(vectors[outside])[:, 1]
    steps = np.arange(0.05, 0.95, 0.05)
    least = [max(steps, key=lambda t, k=k: (f1(found[:, k] > t, truth[:, k]), t)) for k in range(truth.shape[1])]
    return found, found > np.array(least)


def code_full(data: NhsData, rows: list[int], hidden: int, truth: Bool) -> tuple[Float, Bool]:
    """Return probabilities and verdicts of the product's model, trained on half without the hidden theme and coding the other half, both ways."""
    from dataclasses import replace  # noqa: PLC0415

    from models.vocabulary import Codebook  # noqa: PLC0415

    themes = [t for t in data.codebook.themes if t.id != data.codebook.codable[hidden].id]
    book = Codebook(data.codebook.id, data.codebook.version, tuple(themes))
    lost = data.codebook.codable[hidden].id
    less = NhsData([replace(d, themes=d.themes - {lost}) for d in data.decided], book, data.trusts)
    kept = [k for k in range(truth.shape[1]) if k != hidden]
    probabilities, verdicts = np.zeros(truth.shape), np.zeros(truth.shape, np.bool_)
    order = np.random.default_rng(0).permutation(len(rows))
    for inside, outside in ((order[::2], order[1::2]), (order[1::2], order[::2])):
        code, _ = fit_product(less, np.array(rows)[inside])
        v, p = code([data.decided[rows[int(i)]].comment.text for i in outside])
        probabilities[np.ix_(outside, kept)], verdicts[np.ix_(outside, kept)] = p, v
    return probabilities, verdicts


def coherence(groups: list[list[str]], texts: list[str]) -> float:
    """Return mean normalised pointwise mutual information of each group's first ten words, over comments (Bouma 2009)."""
    words = sorted({w for g in groups for w in g[:10]})
    place = {w: i for i, w in enumerate(words)}
    held = np.zeros((len(texts), len(words)), np.float32)
    for row, text in enumerate(texts):
        for w in set(re.findall(r"[\w'-]+", text.lower())):
            if w in place:
                held[row, place[w]] = 1
    n = len(texts)
    both = held.T @ held / n
    alone = np.diag(both)
    values = []
    for g in groups:
        own = [place[w] for w in g[:10] if alone[place[w]] > 0]
        pairs = [(i, j) for a, i in enumerate(own) for j in own[a + 1 :]]
        for i, j in pairs:
            values.append(
                -1.0
                if both[i, j] == 0
                else float(np.log(both[i, j] / alone[i] / alone[j]) / -np.log(both[i, j]))
                if both[i, j] < 1
                else 1.0
            )
    return float(np.mean(values))


def matched(first: list[Bool], second: list[Bool]) -> float:
    """Return the mean Jaccard of each group's best match, both ways."""
    alike = jaccard(np.stack(first), np.stack(second))
    return float((alike.max(axis=1).mean() + alike.max(axis=0).mean()) / 2)


def topic_sets(labels: NDArray[np.intp]) -> list[Bool]:
    """Return members of each topic."""
    return [labels == t for t in range(int(labels.max()) + 1)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument(
        "--timing", action="store_true", help="the last part alone, put beside the figures of the run before"
    )
    parser.add_argument("--seeds", type=int, default=N_SEEDS)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    data = read_nhs()
    rows = distinct(data)
    texts = [data.decided[i].comment.text for i in rows]
    if given.timing:
        before = json.loads((OUT / "hidden_themes.json").read_text())["figures"]
        timing(before, texts, given.quick)
        publish("hidden_themes", before, {k: v for k, v in BARS.items() if k in before})
        return
    labels = [t.label for t in data.codebook.codable]
    truth = np.array([[t.id in data.decided[i].themes for t in data.codebook.codable] for i in rows])
    hidden = [
        k
        for k, n in enumerate(truth.sum(axis=0))
        if N_POSITIVES[0] <= n <= N_POSITIVES[1] and labels[k] not in LEFT_OUT
    ]
    reader = SegmentReader()
    segments = [make_segments(t) for t in texts]
    owner = np.array([i for i, own in enumerate(segments) for _ in own], np.intp)
    segment_texts = [s.of(t) for t, own in zip(texts, segments, strict=True) for s in own]
    vectors, whole = reader.vectors(segment_texts), reader.vectors(texts)
    figures: dict[str, Any] = {
        "n_comments": len(texts),
        "n_segments": len(segment_texts),
        "n_themes": len(hidden),
        "model": "product, fine-tuned" if given.full else "frozen encoder, logistic regression",
    }

    began = time.perf_counter()
    plain = fit_topics(texts, whole, reassign=False)
    figures["plain_seconds"] = round(time.perf_counter() - began, 1)
    figures["plain_outliers"] = round(float((plain.labels == OUTSIDE).mean()), 4)
    plain_sets = topic_sets(plain.labels)
    figures["plain_topics"] = len(plain_sets)

    probabilities, verdicts = (np.zeros(truth.shape), truth) if given.full else code_frozen(whole, truth)
    nothing = labels.index("Not assigned")
    resamples = draw_resamples(vectors, owner, len(texts))
    best: dict[int, float] = {}
    for h in hidden[:: 4 if given.quick else 1]:
        if given.full:
            probabilities, verdicts = code_full(data, rows, h, truth)
        material = without(vectors, owner, probabilities, verdicts, {h, nothing})
        groups = find_groups(material, n_groups=N_CANDIDATES, resamples=resamples)
        best[h] = max((f1(truth[:, h], members_of(g, material)) for g in groups), default=0.0)
        of_plain = max(f1(truth[:, h], p) for p in plain_sets)
        figures[f"f1 {labels[h]}"] = round(best[h], 3)
        figures[f"plain_f1 {labels[h]}"] = round(of_plain, 3)
        print(labels[h], round(best[h], 3), "plain", round(of_plain, 3), flush=True)
    ours, theirs = np.array(list(best.values())), np.array([figures[f"plain_f1 {labels[h]}"] for h in best])
    figures |= {
        "mean_best_f1": round(float(ours.mean()), 4),
        "plain_mean_best_f1": round(float(theirs.mean()), 4),
        "times_plain": round(float(ours.mean() / theirs.mean()), 3),
        "found_at_half": int((ours >= FOUND_AT).sum()),
        "plain_found_at_half": int((theirs >= FOUND_AT).sum()),
    }
    publish("hidden_themes", figures, {k: v for k, v in BARS.items() if k in figures})
    over_seeds(
        figures,
        without(vectors, owner, probabilities, verdicts, {nothing}),
        texts,
        whole,
        min(given.seeds, 5 if given.quick else N_SEEDS),
    )
    figures["seeds"] = given.seeds
    left_over(figures, without(vectors, owner, probabilities, verdicts, {nothing}), segment_texts, texts, plain, reader)
    timing(figures, texts, given.quick)
    publish("hidden_themes", figures, {k: v for k, v in BARS.items() if k in figures})


def without(
    vectors: NDArray[np.float32], owner: NDArray[np.intp], probabilities: Float, verdicts: Bool, gone: set[int]
) -> Material:
    """Return material in which some themes do not exist."""
    kept = [k for k in range(verdicts.shape[1]) if k not in gone]
    return make_material(vectors, owner, probabilities[:, kept], verdicts[:, kept], np.zeros(len(owner), np.bool_))


def members_of(group: Group, material: Material) -> Bool:
    """Return the comments that a candidate of this group would list."""
    out = np.zeros(len(material.coded), np.bool_)
    out[material.owner[group.discriminant.scores(material.vectors) >= 0.5]] = True  # noqa: PLR2004
    return out


def over_seeds(
    figures: dict[str, Any], material: Material, texts: list[str], whole: NDArray[np.float32], n_seeds: int
) -> None:
    """Measure how alike candidates of different seeds are: of seed 0 with each other seed, no theme hidden."""
    runs = [[members_of(g, material) for g in find_groups(material, seed=s)] for s in range(n_seeds)]
    figures["stability_over_seeds"] = round(float(np.mean([matched(runs[0], r) for r in runs[1:]])), 4)
    plain = [topic_sets(fit_topics(texts, whole, seed=s, reassign=False).labels) for s in range(min(n_seeds, 5))]
    figures["plain_stability_over_seeds"] = round(float(np.mean([matched(plain[0], r) for r in plain[1:]])), 4)


def left_over(
    figures: dict[str, Any],
    material: Material,
    segment_texts: list[str],
    texts: list[str],
    plain: Topics,
    reader: SegmentReader,
) -> None:
    """Measure what part of residual segments is in no candidate and no topic, and how coherent the words are."""
    topics = fit_topics(segment_texts, material.vectors)
    groups = find_groups(material)
    inside = topics.labels != OUTSIDE
    for g in groups:
        inside |= g.discriminant.scores(material.vectors) >= 0.5  # noqa: PLR2004
    residual = material.unexplained >= 0.5  # noqa: PLR2004
    figures["outliers"] = round(float((~inside[residual]).mean()), 4)
    names = name_candidates(material, groups, segment_texts, [str(i) for i in range(len(texts))], reader.vectors)
    figures["npmi"] = round(coherence([[w for p in n for w in p.split()] for n in names if n], texts), 4)
    figures["topics_npmi"] = round(coherence([list(w) for w in topics.words], texts), 4)
    figures["plain_npmi"] = round(coherence([list(w) for w in plain.words], texts), 4)


def timing(figures: dict[str, Any], texts: list[str], quick: bool) -> None:
    """Measure seconds from texts to groups: for 600 comments, and for 20,000 made by joining pieces of others so that few are alike."""
    rng = np.random.default_rng(0)
    for n in (600,) if quick else (600, 20_000):
        made = [" ".join(texts[int(i)] for i in rng.integers(len(texts), size=1 + (n > len(texts)))) for _ in range(n)]
        coded = rng.random((n, 20)) < 0.1  # noqa: PLR2004
        began = time.perf_counter()
        segments = [make_segments(t) for t in made]
        owner = np.array([i for i, own in enumerate(segments) for _ in own], np.intp)
        vectors = SegmentReader().vectors([s.of(t) for t, own in zip(made, segments, strict=True) for s in own])
        material = make_material(vectors, owner, np.where(coded, 0.9, 0.1), coded, np.zeros(len(owner), np.bool_))
        find_groups(material)
        figures[f"seconds_{n}"] = round(time.perf_counter() - began, 1)
        figures[f"segments_{n}"] = len(owner)
        figures[f"peak_gb_{n}"] = round(
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2
        )  # of all that ran before, too


if __name__ == "__main__":
    main()
