"""Six hundred files with recorded verdicts, each read in a process of its own: `python -m benchmarks.file_corpus`.

Time is the processor's, memory what reading adds to the process at its peak, against 256 MB for each MB of file (for the first MB whatever the file's size).
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.report import publish
from models.vocabulary import ThemesError
from nlp_service.ingest.comments import read_comments
from tests.file_corpus import Filed, accepted, rejected

MAX_S = 2.0
MAX_MB_A_MB = 256.0


def read_apart(path: Path) -> dict[str, Any]:
    """Return what came of a file in a child process, with seconds and megabytes."""
    out, into = os.pipe()
    child = os.fork()
    if child:
        os.close(into)
        with os.fdopen(out) as pipe:
            said = pipe.read()
        os.waitpid(child, 0)
        found: dict[str, Any] = json.loads(said) if said else {"crash": "the process died"}
        return found
    os.close(out)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts anew
    before, began = _peak_kb(), time.process_time()
    found = {}
    try:
        reading = read_comments([path])
        found["n_comments"] = len(reading.comments) + sum(p.code == "facilitator_turn" for p in reading.problems)
        found["kept"] = reading.n_rows == 0 or bool(reading.comments)
    except ThemesError as error:
        found["code"] = error.code
    except BaseException as error:  # noqa: BLE001 -- a crash is what is looked for
        found["crash"] = type(error).__name__
    found |= {"s": time.process_time() - began, "mb": (_peak_kb() - before) / 1_000}
    os.write(into, json.dumps(found).encode())
    os._exit(0)


def _peak_kb() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0])


def main() -> None:
    wrong: list[str] = []
    worst_s = worst_mb = 0.0
    counts = {"accepted": 0, "rejected": 0, "crashes": 0}
    with tempfile.TemporaryDirectory() as folder:
        for kind, files in (("accepted", accepted()), ("rejected", rejected())):
            for filed in files:
                counts[kind] += 1
                path = Path(folder) / filed.name
                path.write_bytes(filed.data)
                found = read_apart(path)
                path.unlink()
                counts["crashes"] += "crash" in found
                if not is_right(filed, found):
                    wrong.append(f"{filed.name}: {found}, not {filed.code or filed.n_comments}")
                worst_s = max(worst_s, found.get("s", 0.0))
                worst_mb = max(worst_mb, found.get("mb", 0.0) / max(1.0, len(filed.data) / 1e6))
    for line in wrong[:40]:
        print("wrong:", line)
    figures = {
        **counts,
        "wrong_verdicts": len(wrong),
        "worst_s": round(worst_s, 2),
        "worst_mb_a_mb": round(worst_mb, 1),
    }
    bars: dict[str, tuple[str, float]] = {
        "accepted": (">=", 300),
        "rejected": (">=", 300),
        "crashes": ("<=", 0),
        "wrong_verdicts": ("<=", 0),
        "worst_s": ("<=", MAX_S),
        "worst_mb_a_mb": ("<=", MAX_MB_A_MB),
    }
    publish("file_corpus", figures, bars)
    sys.exit(1 if wrong else 0)


def is_right(filed: Filed, found: dict[str, Any]) -> bool:
    """Return whether a file got its verdict; a file without a comment is refused by `themes code`, after it has been read."""
    if filed.code == "no_comments":
        return found.get("n_comments") == 0
    return found.get("code") == filed.code if filed.code else found.get("n_comments") == filed.n_comments


if __name__ == "__main__":
    main()
