"""Matchers and regexes: what is read, and that no search takes long."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmvitals.record.matcher import Matcher, all_match, parsed, safe_regex

MARKS = {"team": "search", "rule": "SlowAnswers", "severity": "warning"}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("team=search", True),
        ("team = 'search'", True),
        ('team!="search"', False),
        ("rule=~Slow.*", True),
        ("rule=~Slow", False),
        ("rule!~Slow.*|Fast.*", False),
        ("app=", True),
        ("app!=", False),
        ("app!=chat", True),
    ],
)
def test_a_matcher_sees_labels(text, matches):
    assert parsed(text).matches(MARKS) is matches


def test_all_have_to_match():
    assert all_match([parsed("team=search"), parsed("rule=~.*")], MARKS)
    assert not all_match([parsed("team=search"), parsed("rule=x")], MARKS)
    assert all_match([], MARKS)


def test_what_is_written_is_read_again():
    for text in ('team="search"', 'rule=~"a|b"', 'tags.tier!="x"'):
        assert str(parsed(text)) == text
        assert parsed(str(parsed(text))) == parsed(text)


def test_double_equals_is_told():
    with pytest.raises(ValueError, match="write team=search"):
        parsed("team==search")


PIECES = st.sampled_from(
    [
        "a",
        "b",
        ".",
        "a*",
        "a+",
        ".*",
        "a?",
        "(a|a)",
        "(a|aa)",
        "(a|b)?",
        "a{2,5}",
        "|",
        "(a*)",
        "(?:a+)",
        "[ab]*",
        "a*?",
        r"\w+",
        "(a?)",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, min_size=1, max_size=40).map("".join))
def test_a_regex_that_is_accepted_ends_soon(regex):
    try:
        safe_regex("app", regex[:200])
    except ValueError:
        return
    began = time.thread_time()
    re.fullmatch(regex[:200], "a" * 255 + "!")
    assert time.thread_time() - began < 2


def test_a_label_that_is_not_there_is_empty():
    assert Matcher("app", "=~", "chat|").matches({})
