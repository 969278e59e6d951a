"""`llmvitals schema rules`: what is right passes, and what an editor can know to be wrong is marked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

import wrong_rules
from llmvitals.cli import app
from llmvitals.rules.kinds import KINDS
from llmvitals.rules.schema import rule_schema
from llmvitals.ruletest.schema import rule_test_schema

SHIPPED = Path(__file__).parents[2] / "alerts"
SCHEMA = rule_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
CASES = jsonschema.Draft202012Validator(rule_test_schema())

# What compares values with each other, with the pane or with other rules; what YAML has dropped; regexes.
UNKNOWABLE = {
    "NaN",
    "a back-reference",
    "a duration without end",
    "a key twice",
    "a limit without end",
    "a named back reference",
    "a possessive repeat",
    "a regex that is large",
    "absence over a day",
    "after a wider one",
    "after one without match",
    "blanks in a regex",
    "block at no threshold",
    "burn rate longer than its period",
    "burn rate the wrong way round",
    "canary against itself",
    "canary apart from its control",
    "change of sessions",
    "change told for a moment",
    "drift of an hour",
    "equal of an unknown label",
    "for over a day",
    "group by nothing known",
    "inhibition of itself",
    "label far off",
    "label named as a dimension",
    "large matcher",
    "long matcher",
    "long wait",
    "look-ahead in a matcher",
    "look-ahead in a regex",
    "look-ahead that negates",
    "look-behind in a regex",
    "merge key",
    "mute time twice",
    "no mute times",
    "no span",
    "outage released too late",
    "outage the wrong way round",
    "release over the limit",
    "release under the limit",
    "rolling too far",
    "short interval",
    "short repeat",
    "signatures of all",
    "thresholds falling",
    "twice",
    "two of a name",
    "unknown label",
    "unknown mute time",
    "unknown name in a text",
    "window below a pane",
    "window between minutes",
    "window between panes",
    "window over a day",
    "wrong regex",
}


class Editor(yaml.SafeLoader):
    """Of YAML 1.2, as editors have it: `on` is a word."""

    yaml_implicit_resolvers: ClassVar = {
        first: [] if first == "o" else found
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def read(text: str) -> object:
    return yaml.load(text, Editor)  # noqa: S506 - a SafeLoader


def wrong() -> list[tuple[str, object]]:
    """Name and data of the wrong files that are YAML."""
    found = []
    for table in (wrong_rules.RULES, wrong_rules.NOTIFY):
        for name, (marked, _) in table.items():
            try:
                data = read(marked.replace("§", ""))
            except (yaml.YAMLError, ValueError, RecursionError):
                continue
            found.append((name, data))
    return found


def test_it_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    "path", [path for path in SHIPPED.glob("*.yaml") if "_test" not in path.name], ids=lambda path: path.name
)
def test_what_ships_is_valid(path):
    assert list(VALIDATOR.iter_errors(read(path.read_text()))) == []


def test_what_it_does_not_know_is_little():
    passed = {name for name, data in wrong() if VALIDATOR.is_valid(data)}
    assert passed == UNKNOWABLE


def test_each_field_of_each_kind_is_in_it():
    rule = SCHEMA["properties"]["groups"]["items"]["properties"]["rules"]["items"]
    for name, kind in KINDS.items():
        fields = {field.alias or key for key, field in kind.model_fields.items()}
        assert set(rule["properties"][name]["properties"]) == fields, name


def test_each_field_is_described():
    def bare(schema: dict, path: str):
        for name, field in schema.get("properties", {}).items():
            if field and "description" not in field:
                yield f"{path}.{name}"
            yield from bare(field, f"{path}.{name}") if isinstance(field, dict) else ()
        if isinstance(schema.get("items"), dict):
            yield from bare(schema["items"], f"{path}[]")

    assert list(bare(SCHEMA, "")) == []


@pytest.mark.parametrize("name", ["rules", "tests"])
def test_the_command_prints_it(name):
    done = CliRunner().invoke(app, ["schema", name])
    assert json.loads(done.stdout) == {"rules": SCHEMA, "tests": rule_test_schema()}[name]


def plain(text: str) -> object:
    """The data as an editor sees it, which knows no dates."""
    return json.loads(json.dumps(read(text), default=lambda moment: moment.isoformat()))


def test_the_tests_that_ship_are_valid():
    jsonschema.Draft202012Validator.check_schema(rule_test_schema())
    for path in SHIPPED.glob("*_test.yaml"):
        assert list(CASES.iter_errors(plain(path.read_text()))) == []


def test_what_it_does_not_know_of_tests_is_little():
    passed = {
        name
        for name, (marked, _) in wrong_rules.TESTS.items()
        if CASES.is_valid(plain(marked.replace("§", "")))
    }
    assert passed == {
        "unknown file", "a pane of seven", "two of a name", "an unknown rule", "only an unknown rule",
        "an unknown rule in an alert", "calls that end before they begin", "too many calls",
    }  # fmt: skip
