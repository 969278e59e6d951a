"""The settings that say how to reach Kafka: all that a publisher needs."""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from llmvitals.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_ADDRESS: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+)(:\d{1,5})?")


def _addresses(text: str) -> str:
    # Not quoted: there may be a password in it.
    if not all(_ADDRESS.fullmatch(address.strip()) for address in text.split(",")):
        raise ValueError("write host:port, several separated by commas, and nothing else")
    return text


class Connection(BaseModel):
    """How to reach Kafka, what our topics are called, and how to publish. It reads nothing by itself."""

    model_config = ConfigDict(frozen=True)

    brokers: Annotated[str, AfterValidator(_addresses)] = Field(
        "localhost:9092", description="The addresses of Kafka: host:port, separated by commas."
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_SSL", "SASL_PLAINTEXT"] = Field(
        "PLAINTEXT",
        description="Whether connections to Kafka are encrypted (SSL), and whether they log in (SASL).",
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "PLAIN", description="The SASL mechanism of the login."
    )
    sasl_username: str | None = Field(None, description="The user; SASL needs it.")
    sasl_password: SecretStr | None = Field(None, description="The password; SASL needs it.")
    ssl_cafile: Path | None = Field(
        None, description="A file of trusted certificates, instead of those of the system."
    )
    ssl_certfile: Path | None = Field(
        None,
        description="A file of the client certificate (PEM), for brokers that ask for one.",
    )
    ssl_keyfile: Path | None = Field(
        None, description="A file of the certificate's private key, if that is not in `ssl_certfile`."
    )
    ssl_password: SecretStr | None = Field(None, description="The password of the private key.")
    allow_plaintext: bool = Field(
        False, description="Allow SASL_PLAINTEXT, which sends the password unencrypted."
    )
    group: str = Field("llmvitals", description="The prefix of the consumer groups: GROUP-combine and so on.")
    topic_prefix: str = Field("llm", description="The prefix of the topics: PREFIX.calls.v1 and so on.")
    publisher_validate: bool = Field(
        False,
        description="Whether `llmvitals.Publisher` checks each call, and does not send a call that the "
        "worker could not read. For development.",
    )

    @classmethod
    def needed(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the values that this connection makes use of."""
        protocol = str(values.get("security_protocol", "PLAINTEXT"))
        return {
            name: value
            for name, value in values.items()
            if name in cls.model_fields
            and (protocol.startswith("SASL") or not name.startswith("sasl_"))
            and (protocol == "SASL_PLAINTEXT" or name != "allow_plaintext")
            and (protocol.endswith("SSL") or not name.startswith("ssl_"))
        }

    def tls(self) -> ssl.SSLContext | None:
        """The certificates to trust, and the one to show; None without encryption. Raises ConfigError."""
        if self.security_protocol not in {"SSL", "SASL_SSL"}:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ssl_cafile)
        except OSError as error:
            raise ConfigError(f"ssl_cafile: {self.ssl_cafile} can't be read: {error}") from error
        if self.ssl_certfile is not None:
            # Without a password OpenSSL would ask on the terminal.
            password = self.ssl_password.get_secret_value() if self.ssl_password else ""
            try:
                context.load_cert_chain(self.ssl_certfile, self.ssl_keyfile, password)
            except (OSError, ValueError) as error:
                raise ConfigError(
                    f"ssl_certfile: {self.ssl_certfile} can't be loaded: {error}. Is it there, and "
                    "ssl_keyfile, do they belong together, and is ssl_password the key's?"
                ) from error
        return context

    def client(self, name: str) -> dict[str, Any]:
        """The arguments of every aiokafka client: addresses, name, encryption, login. Raises ConfigError."""
        found: dict[str, Any] = {
            "bootstrap_servers": self.brokers,
            "client_id": f"{self.group}-{name}",
            "security_protocol": self.security_protocol,
            "metadata_max_age_ms": 60_000,
        }
        if (context := self.tls()) is not None:
            found["ssl_context"] = context
        if self.security_protocol.startswith("SASL"):
            found["sasl_mechanism"] = self.sasl_mechanism
            found["sasl_plain_username"] = self.sasl_username
            password = self.sasl_password
            found["sasl_plain_password"] = password.get_secret_value() if password else None
        return found

    def topic(self, what: str) -> str:
        """The full name of one of our own topics.

        >>> Connection(topic_prefix="llm").topic("partials")
        'llm.partials.v1'
        """
        return f"{self.topic_prefix}.{what}.v1"

    @model_validator(mode="after")
    def _secure(self) -> Self:
        if self.security_protocol == "SASL_PLAINTEXT" and not self.allow_plaintext:
            raise ValueError(
                "security_protocol SASL_PLAINTEXT sends the password unencrypted: use SASL_SSL, "
                "or set allow_plaintext if the network is trusted"
            )
        if self.security_protocol.startswith("SASL") and not (self.sasl_username and self.sasl_password):
            raise ValueError(
                f"security_protocol {self.security_protocol} needs sasl_username and sasl_password"
            )
        if (self.ssl_keyfile or self.ssl_password) and not self.ssl_certfile:
            raise ValueError("ssl_keyfile and ssl_password are of a certificate: set ssl_certfile, too")
        return self
