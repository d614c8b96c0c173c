"""How long it takes to pull a large round from a real Label Studio: `make bench-round-pull`. 5,000 tasks, 6,000 answers, 43 themes."""

import random
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from annotation.display import make_display
from annotation.interface import make_interface, make_result
from annotation.label_studio import LabelStudio
from annotation.label_studio_server import start_with_accounts
from annotation.round import Kind, Suggested, make_round, project_settings, ready_settings, task_document
from benchmarks.report import publish
from models.codebook import SHIPPED, read_codebook
from models.vocabulary import Comment, CommentId
from nlp_service.round_folder import write_round
from nlp_service.run_round import Server, pull_round

N_TASKS: Final = 5_000
N_SHARED: Final = 1_000
WORDS: Final = [
    "lights",
    "street",
    "dark",
    "police",
    "noise",
    "music",
    "bikes",
    "park",
    "drugs",
    "needles",
    "speed",
    "cars",
    "safe",
    "women",
    "walk",
    "night",
    "bins",
    "dogs",
]


def main() -> None:
    """Start a server, fill it, pull."""
    rng = random.Random(1)  # noqa: S311 -- made-up comments
    book = read_codebook(SHIPPED)
    themes = [t.id for t in book.codable]
    comments = [Comment(CommentId(f"c{i}"), " ".join(rng.choices(WORDS, k=26)) + f" {i}") for i in range(N_TASKS)]
    plan = make_round(
        blind=[], assisted=[(c, make_display(c.text), Suggested()) for c in comments], codebook=book, model="m", coders=2,
        overlap=N_SHARED / N_TASKS, seed=1,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as place:
        server, people = start_with_accounts(Path(place) / "data")
        try:
            with LabelStudio(server.url, server.admin.token) as studio:
                coders = [i for i, email in studio.users().items() if email != people[0].email]
                settings = project_settings(plan, Kind.ASSISTED, make_interface(book, suggestions=True))
                project = studio.make_project(settings)
                documents: list[dict[str, Any]] = []
                for i, task in enumerate(plan.tasks):
                    answers = [
                        {
                            "completed_by": who,
                            "lead_time": 9.0,
                            "result": make_result([(t, 1.0, ()) for t in rng.sample(themes, 2)], ""),
                        }
                        for who in coders[: 2 if i < N_SHARED else 1]
                    ]
                    documents.append({**task_document(plan, task), "annotations": answers})
                began = time.monotonic()
                studio.import_tasks(project, documents)
                studio.change_project(project, ready_settings(plan, Kind.ASSISTED))
                import_s = time.monotonic() - began
            folder = Path(place) / "round"
            write_round(folder, plan.with_project(Kind.ASSISTED, project))
            began = time.monotonic()
            pulled = pull_round(folder, Server(server.url, server.admin.token, timeout_s=600))
            seconds = time.monotonic() - began
        finally:
            server.stop()
    figures = {
        "tasks": N_TASKS, "answers": len(pulled.answers), "import_seconds": round(import_s, 1), "pull_seconds": round(seconds, 1),
    }  # fmt: skip
    publish("round_pull", figures, {"answers": (">=", N_TASKS + N_SHARED), "pull_seconds": ("<=", 120)})


if __name__ == "__main__":
    main()
