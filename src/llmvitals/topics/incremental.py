"""IncrementalAlterConfigs (KIP-339), which aiokafka lacks.

Its AlterConfigs replaces *all* settings of a topic, those that others have set included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aiokafka.errors import for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int8, Int16, Int32, Schema, String

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiokafka.admin import AIOKafkaAdminClient

_TOPIC: Final = 2
_SET: Final = 0


class _Response(Response):
    API_KEY = 44
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "responses",
            Array(
                ("error_code", Int16),
                ("error_message", String("utf-8")),
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
            ),
        ),
    )


class _Struct(RequestStruct):
    API_KEY = 44
    API_VERSION = 0
    RESPONSE_TYPE = _Response
    SCHEMA = Schema(
        (
            "resources",
            Array(
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
                (
                    "configs",
                    Array(("name", String("utf-8")), ("operation", Int8), ("value", String("utf-8"))),
                ),
            ),
        ),
        ("validate_only", Boolean),
    )


class _Request(Request[_Struct]):
    API_KEY = 44

    def __init__(self, name: str, values: Mapping[str, str]) -> None:
        self._resource = (_TOPIC, name, [(key, _SET, value) for key, value in values.items()])

    def build(self, request_struct_class: type[_Struct]) -> _Struct:
        return request_struct_class([self._resource], False)


async def alter_settings(admin: AIOKafkaAdminClient, topic: str, values: Mapping[str, str]) -> None:
    """Set these settings of a topic and no others. Raises KafkaError with the broker's reason."""
    response: Any = await admin._send_request(_Request(topic, values))  # noqa: SLF001 - pinned exactly
    for code, message, _, name in response.responses:
        if code:
            raise for_code(code)(f"changing the settings of {name}: {message or 'no reason given'}")
