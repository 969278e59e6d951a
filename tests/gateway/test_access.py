"""Who may send: whoever is on this machine, has the token, or a certificate."""

from __future__ import annotations

import asyncio
import base64
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme

from gateways import Kept, listening
from llmvitals.errors import ConfigError
from llmvitals.gateway.server import Gateway
from llmvitals.settings import Settings

TOKEN = "right"  # noqa: S105 - a test's
CALL = {"id": "a", "ts": 1_764_000_000_000, "model": "m"}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "gateway.example"])  # noqa: S104 - that is the point
def test_an_address_that_others_reach_needs_a_token_or_certificates(host: str) -> None:
    with pytest.raises(ConfigError, match=r"set LLMVITALS_GATEWAY_TOKEN, or .*_TLS_CA .*127\.0\.0\.1"):
        Gateway(Settings(gateway_host=host), Kept())
    with pytest.raises(ConfigError, match="can be reached from other machines"):
        Gateway(Settings(gateway_host=host, gateway_token=""), Kept())
    Gateway(Settings(gateway_host=host, gateway_token=TOKEN), Kept())


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "::1", "localhost"])
def test_this_machine_needs_none(host: str) -> None:
    Gateway(Settings(gateway_host=host), Kept())


def basic(word: str) -> str:
    return "Basic " + base64.b64encode(word.encode()).decode()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer right"}, 200),
        ({"Authorization": "bearer right"}, 200),
        ({"Authorization": "right"}, 200),
        ({"Authorization": basic("pk-lf-1:right")}, 200),
        ({"X-API-Key": "right"}, 200),
        ({"api_key": "right"}, 200),
        ({"Authorization": "Bearer wrong"}, 403),
        ({"Authorization": "Bearer "}, 403),
        ({"Authorization": basic("right:wrong")}, 403),
        ({"Authorization": "Basic !"}, 403),
        ({"X-API-Key": ""}, 403),
    ],
)
async def test_the_token(headers: dict[str, str], status: int) -> None:
    """As clients send it: Bearer, Langfuse's password, Opik's bare key, LangSmith's and Phoenix' headers."""
    async with listening(gateway_token=TOKEN) as client, aiohttp.ClientSession() as session:
        url = f"{client.gateway.url}/v1/calls"
        async with session.post(url, json=CALL, headers=headers) as answer:
            told = await answer.text()
        assert answer.status == status, told
        assert len(client.values) == (status == 200)
        assert "right" not in told
        assert (answer.headers.get("WWW-Authenticate") == "Bearer") == (status == 401)
        assert (await client.get("/healthz")).status == 200


async def test_a_body_is_not_read_before_the_token() -> None:
    async with listening(gateway_token=TOKEN, gateway_max_bytes=1_024) as client:
        assert (await client.post("/v1/calls", b"x" * 5_000)).status == 401


@pytest.mark.parametrize(
    "files", [{"gateway_tls_cert": "a.pem"}, {"gateway_tls_key": "a.pem"}, {"gateway_tls_ca": "a.pem"}]
)
def test_a_certificate_and_its_key_are_set_together(files: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="TLS needs both gateway_tls_cert and gateway_tls_key"):
        Gateway(Settings(**files), Kept())


def test_a_certificate_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        Gateway(Settings(gateway_tls_cert=tmp_path / "a", gateway_tls_key=tmp_path / "b"), Kept())


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Any]:
    """A certificate of the gateway, and the authority that signed it."""
    authority = trustme.CA()
    own = authority.issue_cert("127.0.0.1")
    own.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    own.private_key_pem.write_to_path(tmp_path / "key.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("client@example").private_key_and_cert_chain_pem.write_to_path(
        tmp_path / "client.pem"
    )
    return {
        "gateway_tls_cert": tmp_path / "cert.pem",
        "gateway_tls_key": tmp_path / "key.pem",
        "gateway_tls_ca": tmp_path / "ca.pem",
    }


async def test_only_a_client_with_a_certificate_of_the_authority_comes_in(files: dict[str, Any]) -> None:
    trusted = ssl.create_default_context(cafile=files["gateway_tls_ca"])
    stranger = ssl.create_default_context(cafile=files["gateway_tls_ca"])
    await asyncio.to_thread(trusted.load_cert_chain, files["gateway_tls_ca"].with_name("client.pem"))
    async with listening(**files) as client, aiohttp.ClientSession() as session:
        url = f"{client.gateway.url}/v1/calls"
        assert url.startswith("https://")
        async with session.post(url, json=CALL, ssl=trusted) as answer:
            assert answer.status == 200
        with pytest.raises(aiohttp.ClientError):
            await session.post(url, json=CALL, ssl=stranger)
        assert len(client.values) == 1


async def test_an_address_in_use_is_a_mistake_in_the_settings() -> None:
    async with listening() as client:
        with pytest.raises(ConfigError, match="LLMVITALS_GATEWAY_PORT to a free port"):
            async with Gateway(Settings(gateway_port=client.gateway.port), Kept()):
                pass
