"""The file that THEMES_SETTINGS names: lines of NAME=value, all looked through before one is taken."""

import io
import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Final

from dotenv.parser import Binding, parse_stream

from models.vocabulary import ThemesError

PREFIX: Final = "THEMES_"
VARIABLE: Final = f"{PREFIX}SETTINGS"
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class SettingsFileError(ThemesError):
    """The file that THEMES_SETTINGS names cannot be used."""

    code = "settings_refused"


def read_settings_file(names: Collection[str]) -> dict[str, str]:
    """Return what the file says, by setting; nothing where THEMES_SETTINGS names no file.

    Parameters
    ----------
    names
        All settings. Variables that do not begin with THEMES_ are left alone: other programs may read the file too.

    Raises
    ------
    SettingsFileError
        If the file cannot be read, or a line is none of NAME=value, names no setting, or one that was set before. Values are
        not repeated.
    """
    place = os.environ.get(VARIABLE, "")
    if not place:
        return {}
    path, found = Path(place), dict[str, str]()
    for binding in parse_stream(io.StringIO(_text(path))):
        line = binding.original.line + _blank_lines(binding)
        if not binding.error and binding.key is None:
            continue
        if binding.error or binding.value is None or binding.key is None or not _NAME.fullmatch(binding.key):
            raise _refused(path, f"line {line} is no NAME=value")
        variable = binding.key.upper()
        if not variable.startswith(PREFIX):
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name not in names:
            raise _refused(path, f"line {line} sets {binding.key}, and there is no such setting")
        if name in found:
            raise _refused(path, f"line {line} sets {binding.key} again")
        found[name] = binding.value
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise _refused(path, f"it cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise _refused(path, "it is not text in UTF-8") from None


def _blank_lines(binding: Binding) -> int:
    """Return the number of lines before a binding that the parser counts as part of it."""
    text = binding.original.string
    return text[: len(text) - len(text.lstrip())].count("\n")


def _refused(path: Path, what: str) -> SettingsFileError:
    return SettingsFileError(
        f"{path.name}, the file that {VARIABLE} names: {what}.",
        allowed="a file of lines NAME=value, each a setting of docs/reference/settings.md, once.",
        next_step=f"mend the file, or set {VARIABLE} to another.",
    )
