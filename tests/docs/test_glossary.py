"""docs/glossary.md is in order, and explains the words that classes and modules are called by.

A word that is no term of ours stands in ordinary_words.txt, which people read when it grows: no dictionary knows that
a plain word has been given a meaning of its own.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
TERMS = re.findall(r"^\* \*\*(.+?)\*\*: (.+)$", TEXT, re.MULTILINE)
LINES = (Path(__file__).parent / "ordinary_words.txt").read_text(encoding="utf-8").splitlines()
ORDINARY = [word for line in LINES if not line.startswith("#") for word in line.split()]
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def singular(word: str) -> str:
    """The word without the ending of a plural."""
    if word.endswith("ies"):
        return word[:-3] + "y"
    return word.removesuffix("s") if not word.endswith("ss") else word


def names() -> dict[str, str]:
    """Word → where it is used, of the names of all modules and classes."""
    found: dict[str, str] = {}
    for path in sorted((ROOT / "src" / "llmvitals").rglob("*.py")):
        module = path.parent.name if path.stem == "__init__" else path.stem
        classes = [
            node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)
        ]
        for name in (module, *classes):
            for word in WORD.findall(name):
                found.setdefault(word.lower(), f"{name} in {path.relative_to(ROOT)}")
    return found


def test_terms_are_in_alphabetical_order_and_stand_once():
    terms = [re.sub(r"[^a-z]", "", term.lower()) for term, _ in TERMS]
    assert len(terms) == TEXT.count("\n* ")
    assert terms == sorted(set(terms))


def test_each_term_has_one_sentence():
    assert [term for term, sentence in TERMS if not sentence.endswith(".") or ". " in sentence] == []


def test_every_word_of_a_class_or_module_is_explained_or_ordinary():
    ours = {singular(word.lower()) for term, _ in TERMS for word in re.findall(r"[A-Za-z]+", term)}
    known = ours | {singular(word) for word in ORDINARY}
    strange = {word: place for word, place in names().items() if singular(word) not in known}
    assert strange == {}, (
        "explain each in docs/glossary.md, use another word, or add it to ordinary_words.txt"
    )


def test_no_ordinary_word_is_a_term_or_stands_twice():
    terms = {singular(term.lower()) for term, _ in TERMS}
    assert sorted(word for word in ORDINARY if singular(word) in terms) == []
    assert [word for word in ORDINARY if ORDINARY.count(word) > 1] == []
