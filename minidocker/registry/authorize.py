"""The answer to a registry's challenge: a password (Basic), or a token fetched elsewhere with it (Bearer).

A registry that wants a token names who gives them: `realm`, a URL, asked for a `scope` of a `service`. With a password
or without, it is a GET; with an identity token, which `docker login` may have left, a POST as in OAuth 2. A token is
kept for its scope, until it expires. Specified in the Distribution project's `docs/spec/auth`.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

from minidocker.errors import APIError
from minidocker.registry.challenge import Challenge
from minidocker.registry.credentials import Login
from minidocker.registry.refusals import Refused, refusal
from minidocker.registry.settings import Endpoint, Settings
from minidocker.registry.wire import Request, Unreachable, Wire

CLIENT = "minidocker"
USUAL_LIFE = 60  # seconds, where the server does not say
MAX_TOKEN = 1 << 20


class NoCredentials(APIError):
    """A password is wanted, and there is none."""

    status_code = 401


class Authorizer:
    """Answers challenges for one client. `logins` gives who we are to a registry."""

    def __init__(self, wire: Wire, settings: Settings, logins: Callable[[str], Login]) -> None:
        self.wire, self.settings, self.logins = wire, settings, logins
        self.lock = threading.RLock()
        self.chosen: dict[str, Challenge] = {}  # by the server's URL
        self.known: dict[str, Login] = {}
        self.tokens: dict[tuple[str, str, str], tuple[str, float]] = {}

    def login(self, endpoint: Endpoint) -> Login:
        """Who we are to a server."""
        with self.lock:
            if endpoint.name not in self.known:
                self.known[endpoint.name] = self.logins(endpoint.name)
            return self.known[endpoint.name]

    def header(self, endpoint: Endpoint, scopes: Sequence[str]) -> str:
        """What to show a server, as far as it has said what it wants to see."""
        with self.lock:
            challenge = self.chosen.get(endpoint.url)
            if challenge is None:
                return ""
            login = self.login(endpoint)
            if challenge.scheme == "bearer":
                return f"Bearer {login.registry_token or self._token(endpoint, challenge, login, scopes)}"
            return basic(login) if login.username else ""

    def learn(self, endpoint: Endpoint, challenges: Sequence[Challenge]) -> None:
        """A server has said what it wants. Raises NoCredentials where we have nothing of the kind."""
        for scheme in ("bearer", "basic"):
            found = next((one for one in challenges if one.scheme == scheme), None)
            if found is not None and (scheme == "basic" or found.parameters.get("realm")):
                with self.lock:
                    self.chosen[endpoint.url] = found
                return

    def forget(self, endpoint: Endpoint, shown: str) -> bool:
        """What was shown is not good (any more). Whether another try may help."""
        with self.lock:
            stale = [key for key, (token, _) in self.tokens.items() if shown == f"Bearer {token}"]
            for key in stale:
                del self.tokens[key]
            return bool(stale) or (not shown and endpoint.url in self.chosen)

    def wants_password(self, endpoint: Endpoint) -> bool:
        """Whether a server has asked for a password that we do not have."""
        challenge = self.chosen.get(endpoint.url)
        return challenge is not None and challenge.scheme == "basic" and not self.login(endpoint).username

    def _token(self, endpoint: Endpoint, challenge: Challenge, login: Login, scopes: Sequence[str]) -> str:
        realm, service = challenge.parameters["realm"], challenge.parameters.get("service", "")
        key = (realm, service, " ".join(sorted(scopes)))
        token, until = self.tokens.get(key, ("", 0.0))
        if time.monotonic() >= until:
            value = self.fetch(endpoint, realm, service, login, scopes)
            token, life = _read_token(value, realm)
            self.tokens[key] = (token, time.monotonic() + life)
        return token

    def fetch(
        self, endpoint: Endpoint, realm: str, service: str, login: Login, scopes: Sequence[str], offline: bool = False
    ) -> dict[str, Any]:
        """Ask for a token. Raises Refused, Unreachable, APIError."""
        url = urlsplit(realm)
        insecure = self.settings.is_insecure(url.netloc.rpartition("@")[2])
        if url.scheme not in ("https", "http") or not url.hostname or (url.scheme == "http" and not insecure):
            raise APIError(
                f"{endpoint.host} wants a token from {url.scheme}://{url.hostname or ''}, which is no https address: "
                "nothing was sent there; list that host in daemon.json's insecure-registries if it is to be trusted"
            )
        fields = [("service", service)] if service else []
        scope = [("scope", one) for one in scopes]
        if login.identity_token:
            fields += [("client_id", CLIENT), ("grant_type", "refresh_token"), ("refresh_token", login.identity_token)]
            return self._ask(realm, not insecure, form=[*fields, ("scope", " ".join(scopes))])
        if login.username:
            fields.append(("account", login.username))
        if offline:
            fields += [("client_id", CLIENT), ("offline_token", "true")]
        query = urlencode([*scope, *fields])
        address = url._replace(query="&".join(part for part in (url.query, query) if part)).geturl()
        return self._ask(address, not insecure, shown=basic(login) if login.username else "")

    def _ask(self, url: str, verify: bool, shown: str = "", form: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
        data = urlencode(form).encode()
        request = Request("POST" if form else "GET", url, "a token, please", authorization=shown, verify=verify)
        if form:
            request.headers["Content-Type"] = "application/x-www-form-urlencoded"
            request.body, request.size = lambda: [data], len(data)
        answer = self.wire.ask(request)
        if answer.status != 200:
            raise refusal(answer)
        with answer:
            try:
                value = json.loads(answer.read(MAX_TOKEN))
            except (ValueError, RecursionError):
                value = None
        if not isinstance(value, dict):
            raise APIError(f"the token server {urlsplit(url).hostname} answered something that makes no sense")
        return value


def _read_token(value: dict[str, Any], realm: str) -> tuple[str, float]:
    """The token, and for how many seconds it is good."""
    token = value.get("token") or value.get("access_token")
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or " " in token:
        raise APIError(f"authorization server did not include a token in the response ({urlsplit(realm).hostname})")
    life = value.get("expires_in")
    seconds = float(life) if isinstance(life, (int, float)) and 0 < life < 1 << 31 else float(USUAL_LIFE)
    return token, seconds * 0.9


def basic(login: Login) -> str:
    """The header for a password."""
    return f"Basic {base64.b64encode(f'{login.username}:{login.password}'.encode()).decode()}"


__all__ = ["Authorizer", "NoCredentials", "Refused", "Unreachable", "basic"]
