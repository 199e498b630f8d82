"""Who we are to a registry: what `docker login` left in `~/.docker/config.json` (`$DOCKER_CONFIG` is another folder).

    {"auths": {"registry.lan:5000": {"auth": "dXNlcjpwYXNz"}}, "credsStore": "pass", "credHelpers": {"gcr.io": "gcr"}}

`auth` is base64 of `user:password`, and no secret to whoever can read the file. A helper is a program,
`docker-credential-pass`, with the verbs get, store, erase and list: asked on its stdin, it answers in JSON. Docker
Hub's name in all of this is `https://index.docker.io/v1/`. No repr and no error shows a secret.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from typing import Any

from minidocker.content import temp_path
from minidocker.errors import APIError, InvalidArgument
from minidocker.reference import HUB

INDEX_SERVER = "https://index.docker.io/v1/"
HELPER_TIMEOUT = 60
TOKEN_USER = "<token>"
NOT_FOUND = "credentials not found in native keychain"


@dataclass(frozen=True)
class Login:
    """A user's name and password, or a token in their place; empty for nobody."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)

    def __bool__(self) -> bool:
        return bool(self.username or self.identity_token or self.registry_token)

    @classmethod
    def of(cls, value: Any) -> Login:
        """One of config.json, or an `auth_config` of Docker's API. What makes no sense is nobody."""
        if not isinstance(value, Mapping):
            return cls()
        low = {str(key).lower(): one for key, one in value.items() if isinstance(one, str)}
        username, password = low.get("username", ""), low.get("password", "")
        if low.get("auth") and not username:
            username, password = decode(low["auth"])
        return cls(username, password, low.get("identitytoken", ""), low.get("registrytoken", ""))


def decode(auth: str) -> tuple[str, str]:
    """The user's name and password of an `auth`; empty where it is none."""
    try:
        name, colon, password = base64.b64decode(auth, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return (name, password.rstrip("\0")) if colon and name else ("", "")


def key_of(domain: str) -> str:
    """The name of a registry in config.json."""
    return INDEX_SERVER if domain in (HUB, "", "index.docker.io", "registry-1.docker.io", INDEX_SERVER) else domain


def host_of(key: str) -> str:
    """`https://registry.lan:5000/v1/` -> `registry.lan:5000`."""
    return key.removeprefix("http://").removeprefix("https://").partition("/")[0]


class Credentials:
    """The file, and the helpers that it names. It is read anew each time: somebody may log in meanwhile."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or config_path()

    def get(self, domain: str) -> Login:
        """Who we are to a registry. Raises APIError where a helper fails."""
        config, key = self._read(), key_of(domain)
        helper = _helper(config, key)
        if helper:
            return _ask_helper(helper, key)
        auths = _mapping(config, "auths")
        if key in auths:
            return Login.of(auths[key])
        return next((Login.of(value) for name, value in auths.items() if host_of(name) == host_of(key)), Login())

    def store(self, domain: str, login: Login) -> str:
        """Remember who we are; the path of the file where it now stands unencrypted, "" where a helper has it."""
        key = key_of(domain)
        helper = _helper(self._read(), key)
        secret: dict[str, str] = {}
        if helper:
            user = TOKEN_USER if login.identity_token else login.username
            given = {"ServerURL": key, "Username": user, "Secret": login.identity_token or login.password}
            _run_helper(helper, "store", json.dumps(given))
        else:
            pair = f"{login.username}:{'' if login.identity_token else login.password}"
            secret["auth"] = base64.b64encode(pair.encode()).decode()
            if login.identity_token:
                secret["identitytoken"] = login.identity_token
        self._change(lambda auths: auths.update({key: secret}))
        return "" if helper else str(self.path)

    def erase(self, domain: str) -> None:
        """Forget who we are to a registry, under each name that it may have in the file."""
        config, key = self._read(), key_of(domain)
        names = (
            [key] if key == INDEX_SERVER else [key, host_of(key), f"http://{host_of(key)}", f"https://{host_of(key)}"]
        )
        for name in dict.fromkeys(names):
            if helper := _helper(config, name):
                try:
                    _run_helper(helper, "erase", name)
                except APIError as error:
                    if NOT_FOUND not in error.explanation:
                        raise
        if any(name in _mapping(config, "auths") for name in names):
            self._change(lambda auths: [auths.pop(name, None) for name in names])

    def names(self) -> dict[str, str]:
        """Registry -> user, of all that are known: in the file, and with its helpers."""
        config = self._read()
        found = {name: Login.of(value).username for name, value in _mapping(config, "auths").items()}
        helpers = {*_mapping(config, "credHelpers").values(), config.get("credsStore")}
        for helper in sorted(one for one in helpers if isinstance(one, str) and one):
            listed = json.loads(_run_helper(helper, "list", "") or "{}")
            found |= {str(name): str(user) for name, user in listed.items()}
        return found

    def _read(self) -> dict[str, Any]:
        try:
            value = json.loads(self.path.read_bytes() or b"{}")
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not valid JSON"
            raise InvalidArgument(f"cannot read {self.path}: {why}") from None
        if not isinstance(value, dict):
            raise InvalidArgument(f"cannot read {self.path}: it is no JSON object")
        return value

    def _change(self, change: Any) -> None:
        def in_auths(config: dict[str, Any]) -> None:
            auths = dict(_mapping(config, "auths"))
            change(auths)
            config["auths"] = auths

        self.change_file(in_auths)

    def change_file(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Write config.json anew: as a whole, for nobody else's eyes; what else stands in it stays."""
        path = self.path.resolve()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        config = self._read()
        change(config)
        temp = temp_path(path)
        try:
            with os.fdopen(os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
                out.write(json.dumps(config, indent="\t"))
                out.flush()
                os.fsync(out.fileno())
            temp.replace(path)
        finally:
            temp.unlink(missing_ok=True)


def config_path() -> Path:
    """Where docker's command line keeps its settings."""
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"


def _mapping(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = config.get(key)
    return value if isinstance(value, dict) else {}


def _helper(config: Mapping[str, Any], key: str) -> str:
    name = _mapping(config, "credHelpers").get(key) or config.get("credsStore") or ""
    if not isinstance(name, str) or "/" in name or "\0" in name:
        raise InvalidArgument("credsStore and credHelpers of config.json must be names of credential helpers")
    return name


def _ask_helper(helper: str, key: str) -> Login:
    try:
        value = json.loads(_run_helper(helper, "get", key))
        user, secret = str(value["Username"]), str(value["Secret"])
    except APIError as error:
        if NOT_FOUND in error.explanation:
            return Login()
        raise
    except (ValueError, KeyError, TypeError):
        raise APIError(f"docker-credential-{helper} answered something that makes no sense") from None
    if user == TOKEN_USER:
        return Login(identity_token=secret)
    return Login(user, secret) if user or secret else Login()


def _run_helper(helper: str, verb: str, given: str) -> str:
    """What a helper says. Raises APIError, with its own words but never with what it was given."""
    name = f"docker-credential-{helper}"
    program = which(name)
    if program is None:
        raise APIError(f'error getting credentials - err: exec: "{name}": executable file not found in $PATH')
    try:
        done = subprocess.run(
            [program, verb], input=given, capture_output=True, text=True, timeout=HELPER_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise APIError(f"error getting credentials - err: {name} {verb}: {type(error).__name__}") from None
    if done.returncode:
        words = (done.stdout.strip() or done.stderr.strip())[:300]
        secret = given if verb == "store" else ""
        words = "it failed" if secret and any(part in words for part in json.loads(secret).values()) else words
        raise APIError(f"error getting credentials - err: exit status {done.returncode}, out: `{words}`")
    return done.stdout
