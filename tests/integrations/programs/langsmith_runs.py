"""Sends runs by LangSmith's client to the gateway at the address that is given.

It asks the gateway how, or sends multipart bodies unasked, as clients do that do not ask.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from langsmith import Client
from langsmith.run_trees import RunTree

url, unasked = sys.argv[1], sys.argv[2:] == ["multipart"]
CONFIG = {
    "use_multipart_endpoint": True, "size_limit": 100, "size_limit_bytes": 2_000_000, "scale_up_qsize_trigger": 1_000,
    "scale_up_nthreads_limit": 4, "scale_down_nempty_trigger": 4,
}  # fmt: skip
"""What LangSmith's own server answers."""
told = {"version": "0", "batch_ingest_config": CONFIG} if unasked else None
client = Client(api_url=url, api_key="the-token", info=told)


def begun(name: str, kind: str, **more: object) -> RunTree:
    run = RunTree(
        name=name,
        run_type=kind,
        client=client,
        project_name="support",
        inputs={"question": "planted"},
        **more,
    )
    run.post()
    return run


USAGE = {"input_tokens": 412, "output_tokens": 37, "total_tokens": 449}
METADATA = {"ls_provider": "openai", "ls_model_name": "gpt-4o-mini", "user_id": "u-7"}

together = begun(
    "together", "llm", extra={"metadata": METADATA}, attachments={"picture": ("image/png", b"planted")}
)
together.end(outputs={"text": "planted", "usage_metadata": USAGE})
together.patch()
client.create_feedback(together.id, "helpful", score=0.5, trace_id=together.trace_id, comment="planted")
client.flush()

apart = begun("apart", "llm", extra={"metadata": METADATA | {"ls_model_name": "gpt-4o"}})
client.flush()
apart.end(error="TimeoutError('planted')", end_time=datetime.now(UTC))
apart.patch()
client.flush()

search = begun("search", "retriever")
search.end(outputs={"documents": [{"page_content": "planted"}, {"page_content": "planted"}]})
search.patch()
begun("never ends", "llm")
client.flush()
client.cleanup()
