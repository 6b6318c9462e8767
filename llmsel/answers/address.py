"""Where a server is, which secret it may be told, and how secrets stay out of what is shown."""

from __future__ import annotations

import base64
import ipaddress
import os

import httpx

from llmsel._base.errors import InputError

OFFICIAL = "https://api.openai.com/v1"
OFFICIAL_KEY = "OPENAI_API_KEY"
SHORTEST = 8  # a secret below it ("none", "EMPTY") is no secret, and masking it would spoil answers


class Address:
    """The address of a server, and the secrets that go there and nowhere else.

    Args:
        base_url: None is OpenAI's own.
        key: the environment variable that holds the key; None for none, except that OpenAI's own
            address gets ``OPENAI_API_KEY``.

    Attributes:
        url: without user and password.
        local: whether it is on this machine.
        shown: how messages name it.

    Raises:
        InputError: no address of the form http(s)://host/path.
    """

    def __init__(self, base_url: str | None, key: str | None):
        """Take the address apart; no secret is read yet."""
        try:
            parts = httpx.URL(base_url or OFFICIAL)
        except httpx.InvalidURL as error:
            raise InputError(f"base_url is no address ({error}).") from error
        if parts.scheme not in ("http", "https") or not parts.host:
            raise InputError(
                "base_url is no address of the form http://localhost:8080/v1: "
                f"'{parts.copy_with(userinfo=b'')}'."
            )
        official = httpx.URL(OFFICIAL)
        self._is_official = (parts.scheme, parts.host, parts.port) == (
            official.scheme,
            official.host,
            official.port,
        )
        self._user, self._password = parts.username, parts.password
        self.url = str(parts.copy_with(userinfo=b"")).rstrip("/")
        self.key_name = key or (OFFICIAL_KEY if self._is_official else None)
        self.local = _is_loopback(parts.host)
        self._encrypted = parts.scheme == "https"
        self.shown = "the OpenAI server" if base_url is None else self.url

    def headers(self) -> dict[str, str]:
        """Read the secrets and put them into headers.

        Raises:
            InputError: the key is not in the environment, is no key, or would go over an open line.
        """
        value = None
        if self.key_name:
            value = _read_key(self.key_name, self.shown)
        elif self._user or self._password:
            value = self._basic()
        if value is None:
            return {}
        if not (self._encrypted or self.local):
            raise InputError(
                f"the key for {self.shown} would be sent unencrypted; use https, or leave it out."
            )
        return {"Authorization": f"{'Bearer' if self.key_name else 'Basic'} {value}"}

    def mask(self, text: str) -> str:
        """Replace every secret of this server by ``***``."""
        secrets = [os.environ.get(self.key_name or "", "").strip(), self._password, self._basic()]
        for secret in secrets:
            if len(secret) >= SHORTEST:
                text = text.replace(secret, "***")
        return text

    def _basic(self) -> str:
        return base64.b64encode(f"{self._user}:{self._password}".encode()).decode()


def _read_key(name: str, shown: str) -> str:
    value = os.environ.get(name, "").strip()
    if not value:
        raise InputError(
            f"no key for {shown}; set {name} in the environment, or give base_url for another "
            "server."
        )
    if not (value.isascii() and value.isprintable()):
        raise InputError(f"what {name} holds is no key: it has characters that no key has.")
    return value


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
