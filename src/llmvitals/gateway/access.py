"""Who may send: a token, a client's certificate, or whoever is on this machine."""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import logging
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from llmvitals.errors import ConfigError
from llmvitals.gateway.answer import Refusal

if TYPE_CHECKING:
    from llmvitals.settings import Settings

log: Final = logging.getLogger(__name__)

_HEADERS: Final = ("X-API-Key", "Api-Key", "api_key")
"""Where vendors' clients put their key, unless it is in Authorization."""


def secured(settings: Settings) -> ssl.SSLContext | None:
    """The certificates of the gateway; None without TLS.

    Raises ConfigError if they can't be read, or if anybody on the network could send.
    """
    token, own = token_of(settings), _is_own(settings.gateway_host)
    if not own and token is None and settings.gateway_tls_ca is None:
        raise ConfigError(
            f"gateway_host: {settings.gateway_host} can be reached from other machines, and anybody there "
            "could send: set LLMVITALS_GATEWAY_TOKEN, or LLMVITALS_GATEWAY_TLS_CERT, _TLS_KEY and _TLS_CA "
            "for certificates of clients, or leave gateway_host at 127.0.0.1"
        )
    if settings.gateway_tls_cert is None or settings.gateway_tls_key is None:
        for name in ("gateway_tls_cert", "gateway_tls_key", "gateway_tls_ca"):
            if getattr(settings, name) is not None:
                raise ConfigError(f"{name}: TLS needs both gateway_tls_cert and gateway_tls_key: set them")
        if not own:
            log.warning(
                "the gateway's token and events travel unencrypted: set gateway_tls_cert and "
                "gateway_tls_key, unless a proxy before it ends TLS"
            )
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.gateway_tls_cert, settings.gateway_tls_key)
        if settings.gateway_tls_ca is not None:
            context.load_verify_locations(settings.gateway_tls_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:
        raise ConfigError(
            f"gateway_tls_cert, gateway_tls_key or gateway_tls_ca can't be read: {error}"
        ) from error
    return context


def token_of(settings: Settings) -> str | None:
    """The token that clients have to send; None without one."""
    token = settings.gateway_token
    return (token.get_secret_value() or None) if token is not None else None


def authorize(headers: Mapping[str, str], token: str | None) -> None:
    """Raise Refusal unless the request has the token, if there is one."""
    if token is None:
        return
    given = _given(headers)
    if not given:
        raise Refusal(401, "The request has no token: send `Authorization: Bearer TOKEN`, or it as API key")
    if not any(hmac.compare_digest(one.encode(errors="replace"), token.encode()) for one in given):
        raise Refusal(403, "The token is not that of the gateway (LLMVITALS_GATEWAY_TOKEN)")


def _given(headers: Mapping[str, str]) -> list[str]:
    """What may be the token: clients send it as Bearer, as password of Basic, bare, or as API key."""
    found = [headers[name] for name in _HEADERS if name in headers]
    scheme, _, rest = headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() == "basic":
        try:
            found.append(base64.b64decode(rest, validate=True).decode().partition(":")[2])
        except (binascii.Error, UnicodeDecodeError):
            found.append("")
    elif scheme:
        found.append(rest.strip() or scheme)
    return found


def _is_own(host: str) -> bool:
    """Whether only this machine reaches the address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
