"""`themes round`: a thin door to `nlp_service.run_round` and `nlp_service.close_round`."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click

from annotation.agreement import Figure
from annotation.interface import make_interface
from models.artefact import read_artefact
from models.counts import counted
from nlp_service.cli.code import progress_bar
from nlp_service.cli.reading import takes_reading_options
from nlp_service.cli.training import FitProgress
from nlp_service.close_round import CloseRequest, close_round
from nlp_service.find_model import find_model
from nlp_service.ingest.comments import ReadingOptions
from nlp_service.round_folder import DECISIONS, SETTLED
from nlp_service.run_round import (
    CodersAgreement,
    PulledRound,
    RoundStatus,
    Server,
    Source,
    StartRequest,
    adjudicate_round,
    pull_round,
    round_status,
    start_round,
)
from nlp_service.settings import Settings

REFUSED: Final = 3
_SHOWN: Final = 10


def _server_options(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option("--token", metavar="TOKEN", help="Its token. [default: THEMES_LABEL_STUDIO_TOKEN]")(command)
    return click.option("--url", metavar="URL", help="Label Studio. [default: THEMES_LABEL_STUDIO_URL]")(command)


@click.group("round")
def round_() -> None:
    """Let people decide on comments in Label Studio, and learn from their answers.

    \b
    Example:
      themes code survey.csv --out codings.jsonl
      themes round start --codings codings.jsonl --comments survey.csv --labels 200 --coders 2 --out round-1
      themes round status round-1
      themes round pull round-1
      themes round adjudicate round-1
      themes round close round-1 --comments survey.csv
    """


@round_.command()
@click.option("--codings", required=True, type=click.Path(path_type=Path), help="The comments, coded (JSONL).")
@click.option(
    "--comments",
    "files",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="The files they were coded from.",
)
@click.option("--labels", required=True, type=click.IntRange(1, 100_000), help="Comments to look at.")
@click.option(
    "--coders", type=click.IntRange(1, 20), default=2, show_default=True, help="People on each shared comment."
)
@click.option(
    "--overlap", type=click.FloatRange(0, 1), default=0.2, show_default=True, help="Share of comments that are shared."
)
@click.option(
    "--blind",
    type=click.FloatRange(0, 1),
    default=0.3,
    show_default=True,
    help="Share drawn at random and shown without suggestions.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the round.")
@click.option("--model", metavar="ID_OR_DIR", help="The model of the codings, if it is neither shipped nor registered.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draws.")
@click.option("--show-question", is_flag=True, help="Show coders which question a comment answers.")
@click.option(
    "--webhook",
    metavar="URL",
    help="Where the server says that something changed: …/label-studio/webhook of `themes serve`.",
)
@takes_reading_options(as_coded=True)
@_server_options
def start(
    codings: Path, files: tuple[Path, ...], labels: int, coders: int, overlap: float, blind: float, out: Path, model: str | None,
    seed: int, show_question: bool, webhook: str | None, reading_options: ReadingOptions, url: str | None, token: str | None,
) -> None:  # fmt: skip
    """Put comments into two Label Studio projects: one with suggestions, one drawn at random without.

    The same command again completes a start that failed, and doubles nothing.

    \b
    Example:
      themes round start --codings codings.jsonl --comments survey.csv --labels 200 --coders 2 --out round-1
    """
    settings = Settings()
    request = StartRequest(
        codings, Source(files, reading_options), out, settings.registry, labels, coders, overlap, blind,
        model or settings.model, seed, show_question,
    )  # fmt: skip
    started = start_round(request, _calling(settings, _server(settings, url, token), webhook))
    for note in started.notes:
        click.echo(f"note: {note}.", err=True)
    for kind, project in started.round.projects:
        click.echo(f"{kind}: {counted(len(started.round.of(kind)), 'comment')}, {started.round.url}/projects/{project}")
    click.echo(f"round {started.round.id}: {counted(started.n_added, 'task')} added -> {out}")


@round_.command()
@click.option("--model", metavar="ID_OR_DIR", help="Whose codebook. [default: the published one, else starter]")
def interface(model: str | None) -> None:
    """Print the labelling interface of a model's codebook, for projects that you make in Label Studio yourself.

    \b
    Example:
      themes round interface > interface.xml
    """
    settings = Settings()
    artefact = read_artefact(find_model(settings.registry, model, default=settings.model))
    click.echo(make_interface(artefact.codebook, suggestions=False))


@round_.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@_server_options
def pull(folder: Path, url: str | None, token: str | None) -> None:
    """Read all answers and write DIR/decisions.jsonl (a line a coder) and DIR/settled.jsonl (a line a comment).

    \b
    Example:
      themes round pull round-1
    """
    _show_pulled(folder, pull_round(folder, _server(Settings(), url, token)))


@round_.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@_server_options
def adjudicate(folder: Path, url: str | None, token: str | None) -> None:
    """Put the comments on which coders disagree, or were unsure, into a third project that shows what each said.

    \b
    Example:
      themes round adjudicate round-1
    """
    pulled, added = adjudicate_round(folder, _server(Settings(), url, token))
    _show_pulled(folder, pulled)
    click.echo(f"adjudication: {counted(added, 'task')} added")


@round_.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@_server_options
def status(folder: Path, url: str | None, token: str | None) -> None:
    """Show how far a round is: coverage, speed, agreement.

    \b
    Example:
      themes round status round-1
    """
    click.echo(_status_table(round_status(folder, _server(Settings(), url, token))))


@round_.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--comments",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Files to code again with the new model.",
)
@click.option(
    "--decisions", multiple=True, type=click.Path(path_type=Path), help="More decisions to train from (JSONL)."
)
@click.option(
    "--gold",
    type=click.Path(path_type=Path),
    help="Gold set of the gate. [default: the one fixed, else the blind project's decisions]",
)
@click.option("--leave-open", is_flag=True, help="Leave comments out that are not settled.")
@click.option("--override", metavar="REASON", help="Publish even if the gate refuses; the reason is written down.")
@click.option("--start", "begin_at", metavar="MODEL", help="Model to go on from, or none, as for `themes train`.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--folds", type=click.IntRange(2, 10), help="Held-out parts for calibration, as for `themes train`.")
@click.option("--threads", type=click.IntRange(1, 64), default=2, show_default=True)
@takes_reading_options(as_coded=True)
@_server_options
@click.pass_context
def close(
    context: click.Context, folder: Path, files: tuple[Path, ...], decisions: tuple[Path, ...], gold: Path | None, leave_open: bool,
    override: str | None, begin_at: str | None, seed: int, folds: int | None, threads: int, reading_options: ReadingOptions,
    url: str | None, token: str | None,
) -> None:  # fmt: skip
    """Train on the settled decisions, put the model through the gate; if it passes, it codes, and COMMENTS are coded again.

    \b
    Example:
      themes round close round-1 --comments survey.csv --decisions earlier.jsonl
    """
    settings = Settings()
    request = CloseRequest(
        folder, settings.registry, Source(files, reading_options) if files else None, decisions, gold,
        leave_open, override, begin_at, seed, folds, threads, settings.jobs, settings.backend, settings.encoder, settings.batch_size,
    )  # fmt: skip
    closed = close_round(request, _server(settings, url, token), report=FitProgress(), start=progress_bar)
    for note in closed.notes:
        click.echo(f"note: {note}", err=True)
    entry = closed.published.entry
    click.echo(
        f"{closed.model}: trained on {counted(closed.n_decisions, 'decision')}, out-of-sample micro-F1 {closed.micro_f1}"
    )
    if entry.status == "refused":
        click.echo(
            f"error gate_refused: {entry.reason}\n  allowed: a model that is at least as good on the gold set.\n"
            '  next: answer more comments and close again, or publish it all the same with --override "reason".',
            err=True,
        )
        context.exit(REFUSED)
    click.echo(f"{entry.model} codes {entry.codebook_id} from now on: {entry.reason}")
    if closed.recoded is not None:
        click.echo(f"coded again -> {closed.recoded}")


def _server(settings: Settings, url: str | None, token: str | None) -> Server:
    where, key = url or settings.label_studio_url, token or settings.label_studio_token
    if where is None or key is None:
        raise click.UsageError(
            "name the server with --url and --token, or THEMES_LABEL_STUDIO_URL and THEMES_LABEL_STUDIO_TOKEN."
        )
    return Server(where, key, settings.label_studio_timeout_s)


def _calling(settings: Settings, server: Server, webhook: str | None) -> Server:
    if webhook is None:
        return server
    if settings.label_studio_secret is None:
        raise click.UsageError("--webhook needs THEMES_LABEL_STUDIO_SECRET.")
    return replace(server, webhook=webhook, secret=settings.label_studio_secret)


def _show_pulled(folder: Path, pulled: PulledRound) -> None:
    for kind, p in pulled.problems[:_SHOWN]:
        click.echo(f"problem {p.code}: {kind}{f' task {p.row}' if p.row else ''}: {p.found}; {p.next_step}.", err=True)
    if len(pulled.problems) > _SHOWN:
        click.echo(f"… and {counted(len(pulled.problems) - _SHOWN, 'more problem')}.", err=True)
    settled = pulled.settled
    n = sum(a.themes is not None for a in (*pulled.answers, *pulled.outcomes))
    click.echo(f"{counted(n, 'decision')} -> {folder / DECISIONS}")
    click.echo(
        f"{counted(len(settled.lines), 'comment')} settled ({settled.n_agreed} by agreement, {settled.n_adjudicated} adjudicated), "
        f"{len(settled.open)} open -> {folder / SETTLED}"
    )


def _status_table(status_: RoundStatus) -> str:
    lines = [f"round {status_.round.id}, {status_.round.codebook.ref}, suggestions of {status_.round.model}", ""]
    lines.append(
        f"{'project':<14}{'comments':>9}{'decided':>9}{'answers':>9}{'wanted':>8}{'skipped':>9}{'unsure':>8}{'median time':>13}"
    )
    lines += [
        f"{p.kind:<14}{p.n_tasks:>9}{p.n_decided:>9}{p.n_answers:>9}{p.n_wanted:>8}{p.n_skipped:>9}{p.n_unsure:>8}{_time(p.seconds):>13}"
        for p in status_.projects
    ]
    lines += [
        "",
        *(f"{who}: {counted(n, 'answer')}, median {_time(seconds).strip()}" for who, n, seconds in status_.coders),
    ]
    lines.append(
        f"{counted(status_.n_agreed, 'comment')} agreed by several coders, {status_.n_adjudicated} adjudicated, {status_.n_open} open; "
        f"{counted(status_.n_problems, 'problem')}"
    )
    lines += _agreement_lines(status_.agreement)
    lines.append(f"{status_.outlook.advice.value.replace('_', ' ')}: {status_.outlook.reason}")
    lines += [f"missing theme, {counted(n, 'time')}: {words}" for words, n in status_.missing_themes[:_SHOWN]]
    return "\n".join(lines)


def _agreement_lines(agreement: CodersAgreement) -> list[str]:
    parts = {"all comments": agreement.both, "blind": agreement.blind, "assisted": agreement.assisted}
    return [
        f"agreement, {name}: alpha {_figure(a.alpha)}, F1 between coders {_figure(a.micro_f1)}, same themes {_figure(a.exact_match)}; "
        f"{counted(a.n_comments, 'comment')}"
        for name, a in parts.items()
    ]


def _figure(figure: Figure) -> str:
    if figure.value is None:
        return "not known"
    interval = f" ({figure.low:.2f} to {figure.high:.2f})" if figure.low is not None and figure.high is not None else ""
    return f"{figure.value:.2f}{interval}"


def _time(seconds: float | None) -> str:
    return "not known" if seconds is None else f"{seconds:.1f} s"
