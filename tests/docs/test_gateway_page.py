"""docs/gateway.md names settings, metrics, paths and limits that are there."""

from __future__ import annotations

import re
from pathlib import Path

from llmvitals.gateway.delivery import MOST_BYTES, PATIENCE
from llmvitals.gateway.meters import GatewayMeters
from llmvitals.gateway.records import Form, form_of
from llmvitals.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "gateway.md").read_text(encoding="utf-8")


def test_settings_are_there() -> None:
    named = {name.lower() for name in re.findall(r"LLMVITALS_([A-Z_]+[A-Z])", PAGE)}
    assert named <= set(Settings.model_fields)
    assert f"http://127.0.0.1:{Settings().gateway_port}" in PAGE
    assert f"({Settings().gateway_max_bytes >> 20} MiB)" in PAGE


def test_metrics_are_there_and_all_of_them_named() -> None:
    families = [family.name for family in GatewayMeters(lambda: 0).registry.collect()]
    named = {name.removesuffix("_total") for name in re.findall(r"`(llmvitals_gateway_\w+)", PAGE)}
    assert named == {name for name in families if name.startswith("llmvitals_gateway_")}


def test_paths_and_limits_are_those_of_the_code() -> None:
    for path, form in {"/v1/traces": Form.TRACES, "/v1/logs": Form.LOGS, "/litellm": Form.LITELLM,
                       "/v1/calls": Form.CALLS, "/helicone": Form.REST}.items():  # fmt: skip
        assert f"`{path}`" in PAGE
        assert form_of(path) is form
    assert f"more than {MOST_BYTES >> 20} MiB wait" in PAGE
    assert f"within {PATIENCE:.0f} s" in PAGE
