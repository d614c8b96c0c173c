"""Names that callers give: of keys, of consultations."""

from typing import Annotated, Final

from pydantic import Field

MAX_NAME_CHARS: Final = 200

Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS, pattern=r"^[^\x00]*$")]
"""Without a NUL, for which the store has no place."""
