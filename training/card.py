"""The model card: what the model learnt from, how well it does, and what it is not good for. Holds no comment text."""

from collections.abc import Mapping, Sequence
from typing import Any

from models.calibration import MIN_POSITIVES
from models.vocabulary import Codebook, Theme


def make_card(facts: Mapping[str, Any], codebook: Codebook) -> str:
    """Return the card in Markdown from the facts that are also stored as JSON."""
    out_of_sample: Mapping[str, Any] = facts["out_of_sample"]
    lines = [
        f"# Model card: {facts['name']} {facts['version']}",
        "",
        f"Codes comments with the codebook {facts['codebook']} ({facts['n_themes']} themes). Encoder: {facts['encoder']}, with "
        f"low-rank adapters (rank {facts['settings']['rank']})"
        + (", and hashed lexical features." if facts["lexical_weight"] else "."),
        "",
        "## Data",
        f"- {facts['n_comments']} comments, {facts['n_decisions']} decisions, SHA-256 of the decisions `{facts['data_sha256'][:16]}`.",
        *(f"- {line}" for line in facts["data_notes"]),
        "",
        "| source | comments |",
        "|---|---|",
        *(f"| {name} | {n} |" for name, n in facts["sources"].items()),
        "",
        "## How well it does",
        f"Out of sample: {facts['split_note']} Thresholds and calibration were always chosen on the other parts.",
        *_aim(facts),
        "",
        "| measure | value |",
        "|---|---|",
        f"| micro-F1 | {out_of_sample['micro_f1']:.3f} (95 % interval {facts['micro_f1_interval'][0]:.3f} to {facts['micro_f1_interval'][1]:.3f}) |",
        f"| macro-F1 | {out_of_sample['macro_f1']:.3f} |",
        f"| samples-F1 | {out_of_sample['samples_f1']:.3f} |",
        f"| exact match | {out_of_sample['exact_match']:.3f} |",
        f"| expected calibration error | {out_of_sample['ece']:.4f} |",
        *_beside(facts),
        "",
        "| theme | label | positives | precision | recall | F1 | threshold |",
        "|---|---|---|---|---|---|---|",
        *_theme_rows(out_of_sample["per_theme"], codebook),
        "",
        "## Pairs it confuses",
        *(f"- {p['decided']} coded as {p['coded']}: {p['n']}" for p in facts["confusable"]),
        "",
        "## Limits",
        *(f"- {line}" for line in facts["limits"]),
        "",
        "## Rebuild",
        f"`{facts['rebuild']}` (seed {facts['settings']['seed']}, {facts['settings']['n_threads']} threads).",
        "",
    ]
    return "\n".join(lines)


def _aim(facts: Mapping[str, Any]) -> Sequence[str]:
    aim = facts.get("aim")
    return (
        []
        if aim is None
        else [f"Thresholds were chosen for a {aim['measure']} of at least {aim['at_least']}, not for the best F1."]
    )


def _beside(facts: Mapping[str, Any]) -> Sequence[str]:
    """Return rows to read the scores by: how well coders agree, and what was kept out."""
    agreement, gold = facts.get("coder_agreement"), facts.get("gold")
    lines: list[str] = []
    for s in facts.get("splits", ()):
        f1 = f"micro-F1 {s['micro_f1']:.3f}, macro-F1 {s['macro_f1']:.3f}, exact match {s['exact_match']:.3f}, ECE {s['ece']:.4f}"
        lines.append(f"| for comparison: {s['split']} split, {s['tested_on']} held out ({s['n']} comments) | {f1} |")
    if agreement is not None:
        lines.append(
            f"| two coders of one comment ({agreement['n_pairs']} pairs): micro-F1 | {agreement['micro_f1']:.3f} |"
        )
    if gold is not None:
        kept = f"| kept out of training: gold set `{gold['sha256'][:16]}` | {gold['n_left_out']} decided comments left out |"
        lines.append(kept)
    return lines


def _theme_rows(per_theme: Mapping[str, Mapping[str, Any]], codebook: Codebook) -> Sequence[str]:
    def shown(value: float | None) -> str:
        return "-" if value is None else f"{value:.2f}"

    def row(t: Theme, s: Mapping[str, Any]) -> str:
        if s["support"] < MIN_POSITIVES:
            return f"| {t.id} | {t.label} | {s['support']} | too few positives to say | | | {shown(s['threshold'])} |"
        scores = " | ".join(shown(s[key]) for key in ("precision", "recall", "f1", "threshold"))
        return f"| {t.id} | {t.label} | {s['support']} | {scores} |"

    return [row(t, per_theme[t.id]) for t in codebook.codable]
