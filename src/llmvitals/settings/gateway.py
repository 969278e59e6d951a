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
        description="The address that `llmvitals gateway` listens on; any but this machine's own needs "
        "gateway_token or gateway_tls_ca.",
    )
    gateway_port: int = Field(OTLP_PORT, ge=0, le=65_535, description="Its port. 0: any free port.")
    gateway_token: SecretStr | None = Field(
        None, description="The token that clients send: as Bearer token, password, or API key."
    )
    gateway_tls_cert: Path | None = Field(
        None, description="The gateway's certificate (PEM, with its chain): it then speaks HTTPS only."
    )
    gateway_tls_key: Path | None = Field(None, description="The private key of this certificate (PEM).")
    gateway_tls_ca: Path | None = Field(
        None, description="Certificates (PEM) of which one has to have signed a client's (mTLS)."
    )
    gateway_max_bytes: int = Field(
        4_194_304, ge=1_024, description="The most bytes of a request's body, after decompression."
    )
