"""`themes train` and `themes evaluate`: thin doors to the `training` package."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import click
from tqdm import tqdm

from models.calibration import Aim
from models.codebook import read_codebook
from models.counts import counted
from models.model import Backend, load_model
from models.vocabulary import DecidedComment, Problem
from models.weights import DEFAULT_BASE
from nlp_service.find_model import find_model
from nlp_service.find_start import find_start
from nlp_service.report.codings_file import written_aside
from nlp_service.settings import Settings

if TYPE_CHECKING:
    from training.finetune import Step

_SHOWN_PROBLEMS: Final = 10
ALL_SPLITS_UP_TO: Final = 1_000


@click.command()
@click.option(
    "--decisions", "files", multiple=True, required=True, type=click.Path(path_type=Path), help="Decisions (JSONL)."
)
@click.option(
    "--codebook", required=True, type=click.Path(path_type=Path), help="The codebook they were coded with (YAML)."
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Model folder to write.")
@click.option(
    "--start",
    metavar="MODEL",
    help="Model to go on from (id or folder), or none.  [default: starter, if it knows half of the codebook's themes by their ids]",
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--folds",
    type=click.IntRange(2, 10),
    help="Held-out parts for calibration.  [default: 4, from 2,000 comments on 2]",
)
@click.option("--threads", type=click.IntRange(1, 64), default=2, show_default=True)
@click.option(
    "--about", "about_file", type=click.Path(path_type=Path), help="YAML with name, version, data, limits for the card."
)
@click.option(
    "--gold",
    type=click.Path(path_type=Path),
    help="Gold set (JSONL) to keep out: its texts and respondents are left out.",
)
@click.option(
    "--suspects",
    type=click.Path(path_type=Path),
    help="File to write (JSONL): decisions the model disagrees with most.",
)
@click.option(
    "--aim",
    default="f1",
    metavar="AIM",
    help="What thresholds are for: f1, recall=R or precision=P, R and P between 0 and 1.  [default: f1]",
)
@click.option(
    "--epochs",
    type=click.IntRange(1, 40),
    help="Readings of the decisions, if they are many.  [default: 4 in full fine-tuning, 6 for adapters]",
)
@click.option(
    "--full/--adapters",
    default=None,
    help="Full fine-tuning of the encoder, or low-rank adapters in it.  [default: full from 2,000 comments on, if the encoder is small]",
)
@click.option(
    "--joined",
    type=click.FloatRange(0, 1),
    help="Share of comments read with another behind them.  [default: 0.3 up to 1,000 comments, else 0]",
)
@click.option(
    "--hints",
    type=click.Choice(["all", "own"]),
    default="all",
    show_default=True,
    help="Whether what the codebook says of a theme counts against all others too, phrase by phrase, or for its own theme alone.",
)
@click.option(
    "--fallback/--no-fallback",
    default=True,
    help="Whether a comment may be given its likeliest theme, marked unsure, where none reaches its threshold.  [default: yes]",
)
@click.option(
    "--splits",
    type=click.Choice(["all", "needed"]),
    help=f"Splits to score for the card. [default: all up to {ALL_SPLITS_UP_TO} comments, else the one that calibrates]",
)
def train(
    files: tuple[Path, ...],
    codebook: Path,
    out: Path,
    start: str | None,
    seed: int,
    folds: int | None,
    threads: int,
    about_file: Path | None,
    gold: Path | None,
    suspects: Path | None,
    splits: str | None,
    aim: str,
    epochs: int | None,
    full: bool | None,
    joined: float | None,
    hints: Literal["all", "own"],
    fallback: bool,
) -> None:
    """Fit, calibrate and evaluate a model on DECISIONS, and write its folder.

    \b
    Example:
      themes train --decisions coded.jsonl --codebook my-codebook.yaml --out my-model
      themes train --decisions coded.jsonl --codebook my-codebook.yaml --gold gold.jsonl --suspects look.jsonl --out my-model
    """
    from training.decisions import find_doubts, leave_out, read_decisions  # noqa: PLC0415 -- training is heavy to import
    from training.finetune import FitSettings  # noqa: PLC0415
    from training.suspects import suspect_line  # noqa: PLC0415
    from training.train import About, KeptOut, read_about  # noqa: PLC0415
    from training.train import train as train_model  # noqa: PLC0415

    thresholds_for = _aim(aim)
    book = read_codebook(codebook)
    decided: list[DecidedComment] = []
    for file in files:
        more, problems = read_decisions(file, book)
        decided.extend(more)
        show_problems(problems)
    kept_out: KeptOut | None = None
    if gold is not None:
        of_gold, problems = read_decisions(gold, book)
        show_problems(problems)
        n_all, decided = len(decided), leave_out(decided, of_gold)
        kept_out = KeptOut(hashlib.sha256(gold.read_bytes()).hexdigest(), n_all - len(decided))
    show_problems(find_doubts(decided, book), word="warning")
    about = About()
    if about_file is not None:
        about = read_about(about_file)
    settings = Settings()
    encoder = settings.encoder or DEFAULT_BASE
    begun = find_start(start, book, encoder, settings.registry)
    if begun is not None:
        click.echo(f"going on from {begun.model_id}", err=True)
    trained = train_model(
        decided,
        book,
        out,
        settings=FitSettings(
            seed=seed, n_folds=folds, n_threads=threads, epochs=epochs, full=full, joined=joined, hints=hints
        ),
        about=about,
        gold=kept_out,
        aim=thresholds_for,
        fallback=fallback,
        all_splits=splits == "all" or (splits is None and len(decided) <= ALL_SPLITS_UP_TO),
        report=FitProgress(),
        encoder=encoder,
        start=begun,
    )
    facts = trained.facts
    score = facts["out_of_sample"]
    if suspects is not None:
        with written_aside(suspects) as beside, beside.open("w", encoding="utf-8") as out_file:
            for s in trained.suspects:
                out_file.write(json.dumps(suspect_line(s, decided[s.row], book), ensure_ascii=False) + "\n")
    click.echo(
        f"{trained.model_id} -> {out}: {counted(facts['n_comments'], 'comment')}, out-of-sample ({facts['split']}) micro-F1 {score['micro_f1']}, "
        f"macro-F1 {score['macro_f1']}, ECE {score['ece']}; "
        f"{counted(len(trained.suspects), 'decision')} in doubt" + (f" -> {suspects}" if suspects is not None else "")
    )


@click.command()
@click.argument("model_dir", metavar="DIR")
@click.option(
    "--decisions", required=True, type=click.Path(path_type=Path), help="Decisions (JSONL) the model has not seen."
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Metrics file to write (JSON).")
def evaluate(model_dir: str, decisions: Path, out: Path) -> None:
    """Score the model in DIR on decisions.

    \b
    Example:
      themes evaluate starter --decisions gold.jsonl --out metrics.json
    """
    from training.decisions import read_decisions  # noqa: PLC0415 -- training is heavy to import
    from training.score import score_model  # noqa: PLC0415

    settings = Settings()
    folder = find_model(settings.registry, model_dir)
    classifier = load_model(str(folder), backend=Backend(settings.backend), encoder=settings.encoder)
    decided, problems = read_decisions(decisions, classifier.codebook)
    show_problems(problems)
    result = score_model(classifier, decided)
    with written_aside(out) as aside:
        aside.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    click.echo(
        f"n {result['n']}  micro-F1 {result['micro_f1']}  macro-F1 {result['macro_f1']}  ECE {result['ece']}  -> {out}"
    )


class FitProgress:
    """Shows each stage of a training, and a bar for each fit, on standard error."""

    def __init__(self) -> None:
        self._bar: Any = None

    def __call__(self, stage: str, step: "Step | None") -> None:
        """Take in a stage, or a step of a fit."""
        if step is None:
            click.echo(stage, err=True)
            return
        if self._bar is None or step.done == 1:
            self._bar = tqdm(total=step.of, desc=stage, unit=" steps", dynamic_ncols=True)
        self._bar.set_postfix(loss=f"{step.loss:.4f}", refresh=False)
        self._bar.update(step.done - self._bar.n)
        if step.done == step.of:
            self._bar.close()


def _aim(given: str) -> Aim:
    measure, _, number = given.partition("=")
    try:
        at_least = float(number) if number else 0.0
    except ValueError:
        at_least = -1.0
    if measure == "f1" and not number:
        return Aim()
    if 0 < at_least < 1 and measure == "recall":
        return Aim("recall", at_least)
    if 0 < at_least < 1 and measure == "precision":
        return Aim("precision", at_least)
    raise click.UsageError(f"--aim {given!r} is none of f1, recall=0.9, precision=0.9 (any number between 0 and 1).")


def show_problems(problems: list[Problem], *, word: str = "problem") -> None:
    """Print the first problems of a decisions file, and how many more there are."""
    for p in problems[:_SHOWN_PROBLEMS]:
        where = " ".join(w for w in (p.file, f"line {p.row}" if p.row else None) if w)
        click.echo(f"{word} {p.code}: {where}{': ' if where else ''}{p.found}; {p.next_step}.", err=True)
    if len(problems) > _SHOWN_PROBLEMS:
        click.echo(f"… and {counted(len(problems) - _SHOWN_PROBLEMS, f'more {word}')}.", err=True)
