"""Rule files, their `notify:` section and their tests, wrong and hostile: each is told with place and cure."""

from __future__ import annotations

import os
import time

import pytest

import wrong_rules
from llmvitals import topics
from llmvitals.errors import ConfigError, RuleError
from llmvitals.rules import yaml_reader
from llmvitals.rules.engine import load_engine
from llmvitals.rules.yaml_reader import Loader
from llmvitals.ruletest import load_tests
from llmvitals.settings import Settings
from panes import PANE

RULE = """groups:
- name: g
  labels: {severity: warning, crew: red}
  rules:
  - {alert: A, threshold: {metric: errors, above: 4, by: [team, provider]}}
"""


def test_they_are_more_than_a_hundred():
    texts = [*wrong_rules.RULES.values(), *wrong_rules.NOTIFY.values(), *wrong_rules.TESTS.values()]
    assert len({text for text, _ in texts}) >= 200


def read(folder) -> None:
    """The rules of a folder and their tests."""
    load_tests(folder, [rule.name for rule in load_engine(folder, PANE).rules.rules], PANE)


def check(marked: str, cure: str, folder, name: str) -> None:
    """The file is refused with one error, which names the marked place and the cure, and soon."""
    before = marked.partition("§")[0]
    file = folder / name
    file.write_text(marked.replace("§", ""), encoding="utf-8")
    began = time.thread_time()
    with pytest.raises(RuleError) as caught:
        read(folder)
    took = time.thread_time() - began
    error = caught.value
    assert cure.replace("{file}", str(file)) in str(error)
    assert "\n" not in str(error), "one mistake, one line"
    assert error.file == str(file)
    if "§" in marked:
        assert (error.line, error.column) == (before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1)
    assert took < 1


@pytest.mark.parametrize("name", wrong_rules.RULES)
def test_a_mistake_in_rules_is_told(tmp_path, name):
    check(*wrong_rules.RULES[name], tmp_path, "wrong.yaml")


@pytest.mark.parametrize("name", wrong_rules.NOTIFY)
def test_a_mistake_in_the_notify_section_is_told(tmp_path, name):
    (tmp_path / "rules.yaml").write_text(RULE, encoding="utf-8")
    check(*wrong_rules.NOTIFY[name], tmp_path, "wrong.yaml")


@pytest.mark.parametrize("name", wrong_rules.TESTS)
def test_a_mistake_in_tests_is_told(tmp_path, name):
    (tmp_path / "rules.yaml").write_text(RULE, encoding="utf-8")
    check(*wrong_rules.TESTS[name], tmp_path, "wrong_test.yaml")


def test_all_mistakes_below_one_key_are_told_at_once(tmp_path):
    text = RULE + "    labels: {severity: sev1, on-call: a, paged: yes}\n    for: 5\n"
    (tmp_path / "rules.yaml").write_text(
        text.replace("{alert: A, threshold", "alert: A\n    threshold").replace("}}\n", "}\n", 1)
    )
    with pytest.raises(RuleError) as caught:
        read(tmp_path)
    places = [line.split(": ")[0].rpartition("rules.yaml:")[2] for line in str(caught.value).splitlines()]
    assert places == ["7:24", "7:39", "7:49", "8:10"]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("line", ["- 1\n", "- {a: b}\n", "- [[[]]]\n", "a: &a b\n? - c\n"])
def test_a_file_of_a_megabyte_is_given_up_soon(tmp_path, line):
    (tmp_path / "large.yaml").write_text(line * ((1 << 20) // len(line)))
    with pytest.raises(RuleError):
        read(tmp_path)


def test_a_long_value_is_not_repeated_whole(tmp_path):
    (tmp_path / "long.yaml").write_text(RULE.replace("errors", "e" * 100_000))
    with pytest.raises(RuleError) as caught:
        read(tmp_path)
    assert len(caught.value.message) < 700
    assert caught.value.message.endswith("score.NAME_mean")


def test_what_is_no_file_is_said_and_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere")
    with pytest.raises(RuleError) as caught:
        read(tmp_path)
    assert str(caught.value).count("is not a file: move it elsewhere") == 3


def test_a_file_in_another_encoding_is_told_with_its_place(tmp_path):
    (tmp_path / "latin.yaml").write_bytes("groups:\n- name: Zürich\n".encode("latin-1"))
    with pytest.raises(RuleError, match=r"latin\.yaml:2:10: invalid YAML: .*save the file as UTF-8"):
        read(tmp_path)


def laughs(levels: int, *, wide: int = 9, mapping: bool = False) -> str:
    """A few hundred bytes that stand for wide ** levels values."""
    lines = ["a0: &a0 [lol]"]
    for level in range(1, levels):
        again = [f"k{n}: *a{level - 1}" if mapping else f"*a{level - 1}" for n in range(wide)]
        lines.append(f"a{level}: &a{level} " + ("{%s}" if mapping else "[%s]") % ", ".join(again))
    return "\n".join(lines)


BOMBS = {
    "laughs": (laughs(10), "too many values"),
    "laughs of mappings": (laughs(30, mapping=True), "too many values"),
    "wide": (
        "a: &a [" + "1," * 400 + "]\nb: &b [" + "*a," * 50 + "]\nc: [" + "*b," * 50 + "]",
        "too many values",
    ),
    "itself": ("a: &a [*a, *a]", "repeats the value that contains it"),
    "brackets": ("a: " + "[" * 100_000, "nested too deeply"),
    "braces": ("{a: " * 100_000, "nested too deeply"),
    "dashes": ("- " * 100_000, "nested too deeply"),
}


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("kind", ["rules", "tests", "topics"])
def test_a_bomb_is_refused_before_anything_is_made_of_it(tmp_path, monkeypatch, name, kind):
    text, why = BOMBS[name]
    composed = []
    compose = Loader.compose_node
    monkeypatch.setattr(Loader, "compose_node", lambda *given: composed.append(0) or compose(*given))
    monkeypatch.setattr(yaml_reader._Reader, "value", lambda *_: pytest.fail("it is being made"))
    if kind == "tests":
        monkeypatch.undo()  # the rules beside it are read
        (tmp_path / "rules.yaml").write_text(RULE)
    file = tmp_path / ("bomb_test.yaml" if kind == "tests" else "bomb.yaml")
    file.write_text(text)
    with pytest.raises(ConfigError, match=why) as refused:
        topics.load(Settings(), tmp_path) if kind == "topics" else read(tmp_path)
    assert f"{file}:" in str(refused.value)
    assert len(composed) < 1_000


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_takes_little_time(name):
    """Of the processor, the best of five tries: on an idle machine it is what a clock shows."""
    times = []
    for _ in range(5):
        began = time.thread_time()
        with pytest.raises(RuleError):
            yaml_reader.read(BOMBS[name][0].encode(), "bomb.yaml")
        times.append(time.thread_time() - began)
    assert min(times) < 0.05


def test_aliases_that_are_few_are_read():
    document = yaml_reader.read(b"a: &a [1, 2]\nb: *a\nc: [*a, *a]\n", "rules.yaml")
    assert document.data == {"a": [1, 2], "b": [1, 2], "c": [[1, 2], [1, 2]]}
