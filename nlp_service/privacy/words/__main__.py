"""Writes common_words.txt from the starter corpus."""

from pathlib import Path

from nlp_service.privacy.words import common_words

if __name__ == "__main__":
    corpus = Path("training/starter/corpus.jsonl")
    Path("nlp_service/privacy/words/common_words.txt").write_text(
        "# Made from the starter corpus: python -m nlp_service.privacy.words\n"
        + "\n".join(common_words(corpus))
        + "\n",
        encoding="utf-8",
    )
