"""The model card: what the model learnt from, how well it does, and what it is not good for. Holds no comment text."""

from collections.abc import Mapping, Sequence
from typing import Any

from models.calibration import MIN_POSITIVES
from models.counts import counted
from models.vocabulary import Codebook, Theme


def make_card(facts: Mapping[str, Any], codebook: Codebook) -> str:
    """Return the card in Markdown from the facts that are also stored as JSON."""
    out_of_sample: Mapping[str, Any] = facts["out_of_sample"]
    is_lexical = facts["lexical_weight"] or facts.get("start", {}).get("lexical")
    lines = [
        f"# Model card: {facts['name']} {facts['version']}",
        "",
        f"Codes comments with the codebook {facts['codebook']} ({counted(facts['n_themes'], 'theme')}). Encoder: {facts['encoder']}, "
        f"{_trained_part(facts)}" + (", and hashed lexical features." if is_lexical else "."),
        "",
        "## Data",
        f"- {counted(facts['n_comments'], 'comment')}, {counted(facts['n_decisions'], 'decision')}, SHA-256 of the decisions `{facts['data_sha256'][:16]}`.",
        *(f"- {line}" for line in facts["data_notes"]),
        *_start(facts),
        "",
        "| source | comments |",
        "|---|---|",
        *(f"| {name} | {n} |" for name, n in facts["sources"].items()),
        "",
        "## How well it does",
        f"Out of sample: {facts['split_note']} Thresholds and calibration were always chosen on the other parts.",
        *_aim(facts),
        *_fallback(facts),
        "",
        "| measure | value |",
        "|---|---|",
        *_overall(out_of_sample, facts["intervals"]),
        *_beside(facts),
        "",
        "| theme | label | positives | precision | recall | F1 | threshold | calibration error |",
        "|---|---|---|---|---|---|---|---|",
        *_theme_rows(out_of_sample["per_theme"], codebook),
        *_rates(facts.get("theme_rates"), codebook),
        "",
        "## Pairs it confuses",
        *(f"- {p['decided']} coded as {p['coded']}: {p['n']}" for p in facts["confusable"]),
        "",
        "## Limits",
        *(f"- {line}" for line in facts["limits"]),
        "",
        "## Training",
        f"{counted(facts['work']['updates'], 'update')} over all fits, {counted(facts['work']['word_pieces'], 'word piece')}: about {counted(facts['work']['minutes'], 'minute')} on two cores "
        "with AVX-512 (the speed measured there, not this run's: the card is the same whenever the model is rebuilt).",
        "",
        "## Rebuild",
        f"`{facts['rebuild']}` (seed {facts['settings']['seed']}, {counted(facts['settings']['n_threads'], 'thread')}).",
        "",
    ]
    return "\n".join(lines)


def _trained_part(facts: Mapping[str, Any]) -> str:
    settings, start = facts["settings"], facts.get("start")
    if settings["full"]:
        from_where = "" if start is None else f", going on from the model {start['model']}"
        return f"fine-tuned in full{from_where} (what that added is kept in four bits a number)"
    several = f", the mean of {settings['n_averaged']} fits" if settings["n_averaged"] > 1 else ""
    return f"with low-rank adapters (rank {settings['rank']}{several})"


def _start(facts: Mapping[str, Any]) -> Sequence[str]:
    start = facts.get("start")
    if start is None:
        return []
    return [
        f"- The model {start['model']} knew {start['n_known']} of the themes before; what it learnt from stands on its own card, and none of the comments here was among it."
    ]


def _overall(figures: Mapping[str, Any], intervals: Mapping[str, Sequence[float]]) -> Sequence[str]:
    names = {
        "micro_f1": "micro-F1",
        "macro_f1": "macro-F1",
        "samples_f1": "samples-F1",
        "exact_match": "exact match",
        "ece": "expected calibration error",
    }
    return [
        f"| {label} | {figures[key]:.4f} (95 % interval {intervals[key][0]:.4f} to {intervals[key][1]:.4f}) |"
        for key, label in names.items()
    ]


def _aim(facts: Mapping[str, Any]) -> Sequence[str]:
    aim = facts.get("aim")
    return (
        []
        if aim is None
        else [f"Thresholds were chosen for a {aim['measure']} of at least {aim['at_least']}, not for the best F1."]
    )


def _fallback(facts: Mapping[str, Any]) -> Sequence[str]:
    least = facts.get("fallback")
    return (
        []
        if least is None
        else [
            f"Where no theme reaches its threshold, the likeliest is coded, and marked unsure, from a probability of {least} on. "
            "The figures above are with this rule."
        ]
    )


def _beside(facts: Mapping[str, Any]) -> Sequence[str]:
    """Return rows to read the scores by: how well coders agree, and what was kept out."""
    agreement, gold = facts.get("coder_agreement"), facts.get("gold")
    lines: list[str] = []
    for s in facts.get("splits", ()):
        f1 = f"micro-F1 {s['micro_f1']:.3f}, macro-F1 {s['macro_f1']:.3f}, exact match {s['exact_match']:.3f}, ECE {s['ece']:.4f}"
        lines.append(
            f"| for comparison: {s['split']} split, {s['tested_on']} held out ({counted(s['n'], 'comment')}) | {f1} |"
        )
    if agreement is not None:
        lines.append(
            f"| two coders of one comment ({counted(agreement['n_pairs'], 'pair')}): micro-F1 | {agreement['micro_f1']:.3f} |"
        )
    if gold is not None:
        kept = f"| kept out of training: gold set `{gold['sha256'][:16]}` | {counted(gold['n_left_out'], 'decided comment')} left out |"
        lines.append(kept)
    return lines


def _rates(rates: Mapping[str, Any] | None, codebook: Codebook) -> Sequence[str]:
    if rates is None:
        return [
            "",
            "How often a theme occurs above is its rate among the decided comments. None of them is marked as drawn at random (`blind`), so this is no "
            "estimate of how often residents raise it.",
        ]
    return [
        "",
        f"## How often themes occur: trained on, and among the {counted(rates['n_blind'], 'comment')} drawn at random",
        "| theme | trained on | at random |",
        "|---|---|---|",
        *(
            f"| {t.id} | {100 * r['trained_on']:.1f} % | {100 * r['blind']:.1f} % |"
            for t in codebook.codable
            for r in [rates["per_theme"][t.id]]
        ),
    ]


def _theme_rows(per_theme: Mapping[str, Mapping[str, Any]], codebook: Codebook) -> Sequence[str]:
    def shown(value: float | None) -> str:
        return "-" if value is None else f"{value:.2f}"

    def row(t: Theme, s: Mapping[str, Any]) -> str:
        if s["support"] < MIN_POSITIVES:
            return f"| {t.id} | {t.label} | {s['support']} | too few positives to say | | | {shown(s['threshold'])} | |"
        scores = " | ".join(shown(s[key]) for key in ("precision", "recall", "f1", "threshold"))
        return f"| {t.id} | {t.label} | {s['support']} | {scores} | {s['ece']:.4f} |"

    return [row(t, per_theme[t.id]) for t in codebook.codable]
