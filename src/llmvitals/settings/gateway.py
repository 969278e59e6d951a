"""The settings of `llmvitals gateway`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import BaseModel, Field, SecretStr

OTLP_PORT: Final = 4_318
"""The port of OTLP/HTTP."""


class GatewaySettings(BaseModel):
    """Where the gateway listens, who may send to it, and how much."""

    gateway_host: str = Field(
        "127.0.0.1",
        description="The address that `llmvitals gateway` listens on; an address that other machines "
        "can reach needs gateway_token or gateway_tls_ca.",
    )
    gateway_port: int = Field(
        OTLP_PORT, ge=0, le=65_535, description="The port of the gateway. 0: any free port."
    )
    gateway_token: SecretStr | None = Field(
        None, description="The token that clients send: as Bearer token, password, or API key."
    )
    gateway_tls_cert: Path | None = Field(
        None, description="The gateway's certificate (PEM, with its chain); with it, only HTTPS works."
    )
    gateway_tls_key: Path | None = Field(None, description="The private key of this certificate (PEM).")
    gateway_tls_ca: Path | None = Field(
        None,
        description="Certificates (PEM); one of them has to have signed the client's certificate (mTLS).",
    )
    gateway_max_bytes: int = Field(
        4_194_304, ge=1_024, description="The largest body of a request, in bytes, after decompression."
    )
