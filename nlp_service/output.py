"""Where results may be written."""

from collections.abc import Iterable
from pathlib import Path

from models.vocabulary import ThemesError


class OutputRefusedError(ThemesError):
    """The output cannot be written where it was asked for, or as what."""

    code = "output_refused"


def beside(out: Path, what: str) -> Path:
    """Return the path of a list that goes beside an output, such as its `problems`."""
    return out.with_name(f"{out.name}.{what}.jsonl")


def keep_inputs(outs: Iterable[Path], inputs: Iterable[Path | None], *, option: str = "--out") -> None:
    """Raise OutputRefusedError if an output would take the place of an input; `option` names the outputs."""
    read = [p for p in inputs if p is not None and p.exists()]
    for out in outs:
        if out.exists() and any(out.samefile(p) for p in read):
            raise OutputRefusedError(
                f"{out.name} is one of the files that are read, and would be lost.",
                allowed="a file of its own for what is written.",
                next_step=f"change {option}.",
            )
