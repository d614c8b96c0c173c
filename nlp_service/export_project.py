"""The use case: coded comments go to another program for qualitative analysis, as they may be shown."""

from collections.abc import Sequence
from pathlib import Path

from models.vocabulary import CodedComment, Comment
from nlp_service.exchange.qdpx_file import write_qdpx
from nlp_service.find_candidates import CandidatesRequest, read_pairs
from nlp_service.output import OutputRefusedError, keep_inputs
from nlp_service.protect_comments import as_shown, protect_distinct
from nlp_service.report.codings_file import written_aside


def export_project(request: CandidatesRequest, *, with_personal_data: bool = False) -> int:
    """Write a REFI-QDA project of the comments that were coded, personal data replaced; return how many there are.

    Raises
    ------
    ThemesError
        If a file cannot be used or they don't belong together. Nothing is written then.
    """
    if request.out.suffix.lower() != ".qdpx" or not request.out.parent.is_dir():
        raise OutputRefusedError(
            f"{Path(request.out).name} cannot be written there.",
            allowed="a .qdpx file in an existing folder.",
            next_step="change --out.",
        )
    keep_inputs([request.out], request.inputs)
    pairs, book = read_pairs(request)
    shown: Sequence[tuple[Comment, CodedComment]] = pairs
    if not with_personal_data:
        shown = as_shown(pairs, protect_distinct([c.text for c, _ in pairs], with_redaction=True, jobs=1))
    with written_aside(request.out) as aside:
        write_qdpx(aside, shown, book)
    return len(shown)
