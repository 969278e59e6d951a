"""Sends a call by Langfuse's client, with a score, and one by MLflow's, to the gateway at the address that is given."""

from __future__ import annotations

import os
import sys

url = sys.argv[1]
os.environ["MLFLOW_ENABLE_OTLP_EXPORTER"] = "true"
os.environ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = f"{url}/v1/traces"
os.environ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] = "http/protobuf"
os.environ["OTEL_EXPORTER_OTLP_HEADERS"] = "authorization=Bearer%20the-token"

import mlflow  # noqa: E402 - it reads the environment
from langfuse import Langfuse  # noqa: E402
from mlflow.entities import SpanType  # noqa: E402

client = Langfuse(public_key="pk-lf-1", secret_key="the-token", base_url=url)  # noqa: S106
with client.start_as_current_observation(
    as_type="generation", name="answer", model="gpt-4o-mini", input="planted"
) as call:
    call.update(usage_details={"input": 12, "output": 7}, output="planted")
    client.score_current_span(name="helpful", value=0.5)
client.flush()
client.shutdown()

with mlflow.start_span("answer", span_type=SpanType.CHAT_MODEL) as span:
    span.set_inputs("planted")
    span.set_attributes(
        {
            "mlflow.chat.tokenUsage": {"input_tokens": 30, "output_tokens": 5, "total_tokens": 35},
            "mlflow.llm.model": "gpt-4o",
        }
    )
    span.set_outputs("planted")
mlflow.flush_trace_async_logging()
