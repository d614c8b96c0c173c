"""The report as one accessible page: no request leaves it, and nothing of a resident's is taken for markup."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from jinja2 import ChoiceLoader, FileSystemLoader, StrictUndefined, TemplateError
from jinja2.sandbox import SandboxedEnvironment

from models.counts import counted
from models.vocabulary import ThemesError
from nlp_service.report import words
from nlp_service.report.content import Report
from nlp_service.report.pictures import make_bars, make_stacks

TEMPLATES: Final = Path(__file__).parent / "templates"
PAGE: Final = "report.html.jinja"
WORDS: Final = "words.jinja"


class TemplateRefusedError(ThemesError):
    """A council's own template cannot be used."""

    code = "template_refused"


def render_page(report: Report, pictures: Mapping[str, bytes], templates: Path | None = None) -> str:
    """Return the page.

    Parameters
    ----------
    pictures
        PNG by name.
    templates
        A folder whose files go before the shipped ones of the same name.

    Raises
    ------
    TemplateRefusedError
        If a template has a fault.
    """
    try:
        template = _environment(templates).get_template(PAGE)
        page = template.render(report=report, pictures=pictures, bars=make_bars(report), stacks=make_stacks(report))
    except TemplateError as error:
        raise _refused(error) from error
    return "\n".join(line for line in page.splitlines() if line.strip()) + "\n"


def read_axis_titles(templates: Path | None = None) -> dict[str, str]:
    """Return the words that stand on the charts' axes, by name."""
    try:
        module = _environment(templates).get_template(WORDS).module
        names = ("axis_shares", "axis_shares_interval", "axis_answers", "axis_speakers")
        return {name: str(getattr(module, name)) for name in names}
    except (TemplateError, AttributeError) as error:
        raise _refused(error) from error


def write_page(path: Path, page: str) -> None:
    """Write the page as UTF-8."""
    path.write_text(page, encoding="utf-8", newline="\n")


def _environment(templates: Path | None) -> SandboxedEnvironment:
    folders = [TEMPLATES] if templates is None else [templates, TEMPLATES]
    environment = SandboxedEnvironment(
        loader=ChoiceLoader([FileSystemLoader(f) for f in folders]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = {
        "percent": words.percent,
        "points": words.points,
        "counted": _counted,
        "base64": _base64,
    }
    environment.filters.update(filters)
    for function in (words.interval, words.rank_range, words.share_word, words.difference_word, words.change_word):
        environment.globals[function.__name__] = function
    return environment


def _counted(n: int, one: str, many: str = "") -> str:
    return counted(n, one, many, spec=",")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _refused(error: Exception) -> TemplateRefusedError:
    line = getattr(error, "lineno", None)
    return TemplateRefusedError(
        f"a template of the report has a fault ({type(error).__name__}{f', line {line}' if line else ''}).",
        allowed="Jinja templates such as the shipped ones, using the values that those use.",
        next_step="mend the file in the folder given with --templates.",
    )
