"""The views of a pipeline: frames have only what somebody reads."""

from __future__ import annotations

import json
from pathlib import Path

from llmvitals.pipeline import Pipeline
from llmvitals.record.frame import BlockFrame, decode
from llmvitals.record.log import Logged
from llmvitals.settings import Settings

START = 1_748_783_460_000
RULE = """
groups:
- name: g
  rules:
  - alert: A
    threshold: {metric: cost_per_hour, above: 3, by: [app]}
"""


def test_only_the_views_that_rules_read_have_exemplars(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULE, encoding="utf-8")
    pipeline = Pipeline.of(Settings(alerts=tmp_path), 1, ["calls"])
    combine = pipeline.combining("calls", 0, parts={}, beginning=0, sources={"calls": 1})
    call = {"id": "c", "ts": START, "model": "gpt-5", "app": "chat", "latency_ms": 70, "trace_id": "t"}
    combine.apply([Logged(0, START, json.dumps(call).encode())])
    blocks = [
        block.unpack()
        for message in combine.finish()
        if isinstance(frame := decode(message.value or b""), BlockFrame)
        for block in frame.blocks
    ]
    exemplars = {block.view: vitals.exemplars for block in blocks for vitals in block.rows.vitals()}
    assert exemplars.pop("app") == {"latency": ((70_000, "t"),)}
    assert len(exemplars) > 1
    assert not any(exemplars.values())
