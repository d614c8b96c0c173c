import json
from pathlib import Path

import pytest

from nlp_service.privacy.language import ENGLISH, find_language

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Ayuda con la basura en mi calle por favor, hay mucha droga", "es"),
        ("Precisamos de mais polícia à noite na nossa rua", "pt"),
        ("تحتاج الشرطة إلى دوريات أكثر", "ar"),
        ("Potrzebujemy więcej policji wieczorem na naszej ulicy", "pl"),
        ("我们需要更多的警察巡逻", "zh"),
        ("Mae angen mwy o heddlu yma", "cy"),
    ],
)
def test_other_languages_are_named(text: str, language: str) -> None:
    assert find_language(text) == language


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Gracias",
        "n/a",
        "bins bins bins",
        "Nitrous cannisters evrywhere m8",
        "Innit bruv",
        "ASB nr Lancaster Rd, drugs etc",
    ],
)
def test_short_and_careless_english_is_english(text: str) -> None:
    assert find_language(text) == ENGLISH


def test_english_comments_are_not_called_foreign() -> None:
    corpus = (ROOT / "training" / "starter" / "corpus.jsonl").read_text(encoding="utf-8").splitlines()[::10]
    assert [t for line in corpus if find_language(t := json.loads(line)["text"]) != ENGLISH] == []
