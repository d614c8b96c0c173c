"""Query parameters: a name that the route does not know is refused before anything is done, where it would be left unread else."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final

from fastapi import Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query
from fastapi.routing import APIRoute

from models.counts import counted
from models.vocabulary import ThemesError
from nlp_service.api.permission import TheCaller

PREFIX: Final = "/v1/"
"""Of the routes that are for programs. Pages are opened by people, whose mail and chat programs add parameters of their own."""
MAX_SHOWN: Final = 5
MAX_SHOWN_CHARS: Final = 40


class UnknownParameterError(ThemesError):
    """The query has a parameter that the route does not know."""

    code = "unknown_parameter"

    def __init__(self, unknown: Sequence[str], known: Sequence[str]) -> None:
        shown = [name[:MAX_SHOWN_CHARS] for name in unknown[:MAX_SHOWN]]
        meant = dict.fromkeys(m for name in shown for m in get_close_matches(name, known, 1))
        what = counted(len(unknown), "parameter that is", "parameters that are")
        super().__init__(
            f"the query has {what} not known here: {', '.join(map(repr, shown))}{', …' if len(unknown) > MAX_SHOWN else ''}.",
            allowed=f"{', '.join(known)}." if known else "no parameters in the query.",
            next_step="nothing was done; "
            + (f"did you mean {' or '.join(meant)}?" if meant else "check the spelling, or leave it out."),
        )


async def known_parameters(request: Request, _caller: TheCaller) -> None:
    """Raise UnknownParameterError if a query has what its route does not take; whom the gate turns away is not told."""
    route = request.scope["route"]
    if not request.query_params or not isinstance(route, APIRoute) or not route.path.startswith(PREFIX):
        return
    known = query_names(route)
    if unknown := [name for name in request.query_params if name not in known]:
        raise UnknownParameterError(unknown, known)


def query_names(route: APIRoute) -> list[str]:
    """Return the query parameters that a route and its dependencies declare."""
    return [p.alias for p in get_flat_params(route.dependant) if isinstance(p.field_info, Query)]
