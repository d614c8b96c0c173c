"""The `themes` command: its groups, and the one place where errors become words and exit codes."""

import logging
import signal
import sys
import traceback
import warnings
from types import FrameType
from typing import Final, NoReturn

import click
from pydantic import ValidationError

from models.model import ModelNotFoundError
from models.registry import RegistryBusyError
from models.vocabulary import ThemesError
from nlp_service.cli.candidates import candidates
from nlp_service.cli.code import code
from nlp_service.cli.codebook import codebook
from nlp_service.cli.erase import erase
from nlp_service.cli.inspect import inspect
from nlp_service.cli.key import key
from nlp_service.cli.model import model
from nlp_service.cli.report import report
from nlp_service.cli.round import round_
from nlp_service.cli.serve import serve
from nlp_service.cli.shares import shares
from nlp_service.cli.store import store
from nlp_service.cli.submit import submit
from nlp_service.cli.topics import topics
from nlp_service.cli.training import evaluate, train
from nlp_service.cli.worker import worker
from nlp_service.erase_files import EraseBusyError
from nlp_service.erase_respondent import RespondentNotFoundError
from nlp_service.ingest.table import InputNotFoundError
from nlp_service.round_folder import RoundNotFoundError
from nlp_service.run_round import RoundBusyError
from nlp_service.store.keys import KeyNotFoundError
from nlp_service.store.values import BatchNotFoundError

USAGE: Final = 2
REFUSED: Final = 3
NOT_FOUND: Final = 4
BUSY: Final = 5
BUG: Final = 70
STOPPED: Final = 130
_NOT_FOUND_ERRORS: Final = (
    InputNotFoundError,
    ModelNotFoundError,
    RoundNotFoundError,
    KeyNotFoundError,
    BatchNotFoundError,
    RespondentNotFoundError,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="theme-coding", prog_name="themes")
def themes() -> None:
    """Code consultation comments with community-safety themes, offline.

    \b
    Examples:
      themes inspect survey.csv
      themes code survey.csv --out coded.xlsx
      themes codebook check my-codebook.yaml
      themes model verify starter
    """


for command in (
    code,
    inspect,
    codebook,
    model,
    train,
    evaluate,
    shares,
    report,
    round_,
    serve,
    worker,
    key,
    erase,
    store,
    submit,
):
    themes.add_command(command)
themes.add_command(candidates)
themes.add_command(topics)


def main() -> NoReturn:
    """Run the command line and leave with its exit code."""
    signal.signal(signal.SIGTERM, _stop)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    sys.exit(run())


def run(arguments: list[str] | None = None) -> int:
    """Return the exit code of one command; arguments are the process's own if not given."""
    try:
        result = themes.main(arguments, prog_name="themes", standalone_mode=False)
    except click.exceptions.Abort:
        return _say("stopped: nothing was left half-written.", STOPPED)
    except KeyboardInterrupt:
        return _say("stopped: nothing was left half-written.", STOPPED)
    except click.ClickException as error:
        error.show()
        return USAGE
    except ThemesError as error:
        lines = (f"error {error.code}: {error.found}", f"  allowed: {error.allowed}", f"  next: {error.next_step}")
        return _say("\n".join(lines), _exit_code(error))
    except ValidationError as error:
        names = ", ".join(f"THEMES_{str(e['loc'][0]).upper()} ({e['msg']})" for e in error.errors())
        return _say(f"error bad_setting: {names}\n  next: see docs/reference/settings.md", USAGE)
    except Exception as error:  # noqa: BLE001 -- the command line's boundary: a bug must not print a resident's words
        places = " < ".join(f"{f.name}:{f.lineno}" for f in reversed(traceback.extract_tb(error.__traceback__)[-6:]))
        return _say(
            f"error bug: {type(error).__name__} at {places}\n  next: report this line; it holds no comment text.", BUG
        )
    return result if isinstance(result, int) else 0


def _exit_code(error: ThemesError) -> int:
    if isinstance(error, _NOT_FOUND_ERRORS):
        return NOT_FOUND
    return BUSY if isinstance(error, RegistryBusyError | RoundBusyError | EraseBusyError) else REFUSED


def _say(message: str, exit_code: int) -> int:
    click.echo(message, err=True)
    return exit_code


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
