"""The benchmark of detection runs on any texts with topics, and says what it promises to say."""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from waiting import deadline

pytest.importorskip("wordllama")
ROOT = Path(__file__).parents[2]
CHANGES = ("new-topic-5%", "new-topic-10%", "new-topic-20%", "spread", "loop")
DETECTORS = ("llmvitals", "centroid", "mmd", "classifier")
TOPICS = {
    "weather": "rain sun wind cloud storm forecast umbrella snow",
    "cooking": "recipe oven butter onion soup bake garlic flour",
    "football": "goal match referee league striker penalty coach stadium",
    "computers": "laptop keyboard driver reboot screen install update crash",
    "gardening": "rose soil seed prune compost lawn tulip shovel",
    "law": "contract court lawyer lawsuit clause judge appeal verdict",
}


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The benchmark, as a stranger runs it."""
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.detection", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=deadline(200), check=False,
    )  # fmt: skip


def texts(path: Path) -> Path:
    """400 texts of six topics, law the rarest, with commas, quotes, line breaks, and rows with nothing."""
    dice = random.Random(5)
    topics = [topic for topic in TOPICS for _ in range(40 if topic == "law" else 72)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text", "label"])
        for number, topic in enumerate(topics):
            words = dice.sample(TOPICS[topic].split(), 4)
            writer.writerow([number, f'my "{words[0]}", {words[1]}\nand {" ".join(words[2:])}?', topic])
            writer.writerow([number, "", topic] if number % 50 else [])
    return path


def test_a_table_for_any_texts(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    done = bench("--texts", str(texts(tmp_path / "t.csv")), "--json", str(out), "--quick")
    assert done.returncode == 0, done.stderr
    assert "400 texts; new will be 1 of 6 topics: law" in done.stderr
    rows = {row["name"]: row for row in json.loads(out.read_text())}
    for detector in DETECTORS:
        for change in CHANGES:
            row = rows[f"drift/{change}/{detector}"]
            assert 1 <= row["delay_panes"] <= row["horizon"]
            assert row["never"] == (row["found"] == 0)
        assert rows[f"drift/null/{detector}"]["alarms_per_30000"] >= 0
    for name in ("llmvitals", "z-test"):
        assert 0 <= rows[f"canary/null/{name}"]["false_alarm_share"] <= 1
    assert rows["drift/null/llmvitals"]["alarms_per_30000"] == 0
    assert rows["drift/new-topic-20%/llmvitals"]["delay_panes"] < 60
    assert rows["cost/drift/series-panes"]["bytes_per_series"] > 0
    assert "new-topic-10%" in done.stdout


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("name,topic\na,b\n", "there must be text and label"),
        ("text,label\nhello,a\n", "at least 100 are needed"),
        ("text,label\n" + "hello,a\n" * 200, "only one label"),
    ],
)
def test_what_it_cannot_use_it_says(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(content)
    done = bench("--texts", str(path))
    assert done.returncode
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    done = bench("--texts", str(tmp_path / "none.csv"))
    assert "can't be read" in done.stderr
    assert "Traceback" not in done.stderr
