"""Whether codebooks and projects fit the REFI-QDA schemas, and come back exactly: `make bench-refi-qda`.

Schemas: `../shared/data/refi_qda`. Texts: 2,000 made ones with emoji, combining marks and every kind of line break.
"""

import random
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any, Final

from lxml import etree

from benchmarks.report import SHARED, publish
from models.codebook import SHIPPED, read_codebook
from models.vocabulary import CodedComment, Coding, Comment, CommentId, ModelId, Segment
from nlp_service.exchange.qdc_file import read_qdc, write_qdc
from nlp_service.exchange.qdpx_file import read_qdpx, write_qdpx

N: Final = 2_000
PIECES: Final = (
    "word ",
    "\r\n",
    "\n",
    "\r",
    "\U0001f6b2",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "e\u0301",
    "<&>",
    "\u2028",
    "it's ",
    "]]>",
)
BARS: Final = {"qdc_valid": (">=", 1), "qdpx_valid": (">=", 1), "qdc_exact": (">=", 1), "positions_exact": (">=", 1.0)}


def main() -> None:
    book = read_codebook(SHIPPED)
    draw = random.Random(0)  # noqa: S311 -- made texts
    pairs = []
    for i in range(N):
        text = "start" + "".join(draw.choice(PIECES) for _ in range(draw.randint(1, 60)))
        codings = []
        for theme in draw.sample(book.codable, draw.randint(0, 3)):
            cuts = sorted(draw.sample(range(len(text) + 1), 2))
            codings.append(Coding(theme.id, 0.9, (Segment(*cuts),)))
        coded = CodedComment(CommentId(str(i)), tuple(codings), (), (), ModelId("m"), book.ref)
        pairs.append((Comment(CommentId(str(i)), text), coded))
    figures: dict[str, Any] = {"n_comments": N}
    with tempfile.TemporaryDirectory() as folder:
        qdc, qdpx = Path(folder) / "b.qdc", Path(folder) / "p.qdpx"
        write_qdc(qdc, book)
        began = time.perf_counter()
        write_qdpx(qdpx, pairs, book)
        figures["write_seconds"] = round(time.perf_counter() - began, 2)
        with zipfile.ZipFile(qdpx) as archive:
            project = archive.read("project.qde")
        for name, schema, content in (("qdc", "Codebook.xsd", qdc.read_bytes()), ("qdpx", "Project.xsd", project)):
            checker = etree.XMLSchema(etree.parse(str(SHARED / "refi_qda" / schema)))
            figures[f"{name}_valid"] = int(checker.validate(etree.fromstring(content)))
            print(name, checker.error_log.last_error or "valid")
        figures["qdc_exact"] = int(read_qdc(qdc) == book)
        back, sources = read_qdpx(qdpx)
        assert back == book
        same = sum(
            s.text == c.text and [p for _, p in s.codings] == [e for k in coded.codings for e in k.evidence]
            for s, (c, coded) in zip(sources, pairs, strict=True)
        )
        figures["positions_exact"] = same / N
    publish("refi_qda", figures, BARS)


if __name__ == "__main__":
    main()
