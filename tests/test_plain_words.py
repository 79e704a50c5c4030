"""Words that readers had to read twice stay out of messages, docstrings and documents."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = [path for folder in ("s3img", "flask_ext", "mkdocs_plugin") for path in sorted((ROOT / folder).rglob("*.py"))]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md"))]

MOST_WORDS = 110
"""Words of a paragraph, or of an entry of a list."""

BANNED = {
    "a private metaphor: say variant, inventory, snapshot, policy, pool or limit": (
        r"\b(?:ladders?|rungs?|shelf|shelves|brakes?|workshops?|lanes?)\b"
    ),
    "repair, or fix": r"\bmend(?:s|ed|ing)?\b",
    'a form that sounds like a riddle: write "is not a …", and what is wrong': (
        r"(?<!there )\b(?:is|are) no (?!longer|need|way|newer|more|other|one)[A-Za-z]"
    ),
    "unusual English": r"\bin the words of\b|\bas HTTP has it\b|\bwords? (?:to|for) s3img\b|\bof no weight\b",
    'a riddle: write "is not a …", "is not one of", "lacks"': (
        r"\b(?:that|which|what) (?:is|are) (?-i:none)\b|(?<!there )\b(?:is|are) (?-i:none) (?:of|by)\b|\bhas not(?: got)?(?= ?[.,;:)|])"
    ),
    "a word of books: say respect, so, except for": r"\bheed(?:s|ed)?\b|\bhence\b|\bbut for\b",
    "something that is deleted": r"\bs3img\[fast\]|\bquick path\b|\bs3_small_puts\b",
}


@pytest.mark.parametrize("reason", BANNED)
def test_text_is_in_plain_words(reason: str) -> None:
    pattern = re.compile(BANNED[reason], re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]!r}"
        for path in (*SOURCES, *PAGES)
        for text in (path.read_text("utf-8"),)
        for match in pattern.finditer(text)
    ]
    assert found == [], f"{reason}:\n" + "\n".join(found)


GUIDES = [page for page in PAGES if page.name not in {"benchmarks.md", "decisions.md"}]
"""Pages for users; the other two are records, for those who work on s3img."""


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_paragraphs_of_a_page_are_short(page: Path) -> None:
    text = re.sub(r"^ *(```+).*?^ *\1$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    prose = (part.strip() for part in re.split(r"\n\n|\n(?=\s*(?:[-*]|\d+\.) )", text))
    long = [part[:60] for part in prose if not part.startswith(("|", "<")) and len(part.split()) > MOST_WORDS]
    assert long == [], "split it, or make a list of it"


@pytest.mark.parametrize(
    "text",
    [
        "The LADDER of an image",
        "mended",
        "plan.json: is no plan",
        "Accept is heeded",
        "a date that is none",
        "which it has not.",
        "pip install s3img[fast]",
    ],
)
def test_banned_words_are_found(text: str) -> None:
    assert any(re.search(pattern, text, re.IGNORECASE) for pattern in BANNED.values())


@pytest.mark.parametrize(
    "text", ["There is not a bucket", "it has not changed", "it is no longer there", "a planetary amendment", "trunk"]
)
def test_usual_words_are_not_found(text: str) -> None:
    assert not any(re.search(pattern, text, re.IGNORECASE) for pattern in BANNED.values())
