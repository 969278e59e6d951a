"""Rule files, their `notify:` section and their tests, wrong and hostile: each is told with place and cure."""

from __future__ import annotations

import os
import time

import pytest

import wrong_rules
from llmvitals.errors import RuleError
from llmvitals.ruletest import load_tests
from llmvitals.watch import load_watch
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
    load_tests(folder, [rule.name for rule in load_watch(folder, PANE).rules.rules], PANE)


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


@pytest.mark.parametrize("line", ["- 1\n", "- {a: b}\n", "- [[[]]]\n", "a: &a b\n? - c\n"])
def test_a_file_of_a_megabyte_is_given_up_soon(tmp_path, line):
    (tmp_path / "large.yaml").write_text(line * ((1 << 20) // len(line)))
    began = time.thread_time()
    with pytest.raises(RuleError):
        read(tmp_path)
    assert time.thread_time() - began < 5


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
    assert str(caught.value).count("is no file: move it elsewhere") == 3


def test_a_file_in_another_encoding_is_told_with_its_place(tmp_path):
    (tmp_path / "latin.yaml").write_bytes("groups:\n- name: Zürich\n".encode("latin-1"))
    with pytest.raises(RuleError, match=r"latin\.yaml:2:10: no YAML: .*save the file as UTF-8"):
        read(tmp_path)
