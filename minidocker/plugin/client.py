"""A plugin asked: one `POST` of JSON a question, over a UNIX socket or TCP.

Where nobody listens it is asked again, after 1, 2, 4… seconds, as by Docker: it may just be starting. One that does not
answer in time, or whose answer is none, is reported by its name.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from minidocker.errors import APIError, NotFound, Unsupported
from minidocker.plugin.discovery import Plugin

MIME = "application/vnd.docker.plugins.v1.2+json"
PATIENCE = 30.0  # seconds in which a plugin that nobody can reach may come back; $MINIDOCKER_PLUGIN_PATIENCE
LARGEST = 8 << 20  # bytes of an answer


class PluginError(APIError):
    """A plugin says no, or nothing."""


def activate(plugin: Plugin, patience: float | None = None) -> list[str]:
    """What a plugin is good for: `["VolumeDriver"]`. Raises PluginError."""
    found = ask(plugin, "Plugin.Activate", {}, 30, patience).get("Implements")
    return [str(each) for each in found] if isinstance(found, list) else []


def ask(
    plugin: Plugin, method: str, question: Mapping[str, Any], timeout: float, patience: float | None = None
) -> dict[str, Any]:
    """Ask a plugin something, and give its answer. Raises PluginError with the plugin's own words, if it has some."""
    if plugin.wrong:
        raise PluginError(plugin.wrong)
    patience = float(os.environ.get("MINIDOCKER_PLUGIN_PATIENCE") or PATIENCE) if patience is None else patience
    end, pause = time.monotonic() + patience, 1.0
    while True:
        connection = _connection(plugin, timeout)
        try:
            connection.connect()
        except OSError as error:
            if time.monotonic() + pause > end:
                why = f"dial {plugin.address}: {(error.strerror or str(error)).lower()}"
                raise PluginError(f"plugin {plugin.name} does not answer ({method}): {why}") from None
            time.sleep(pause)
            pause *= 2
            continue
        try:
            return _answer(connection, plugin, method, question)
        finally:
            connection.close()


def _answer(
    connection: http.client.HTTPConnection, plugin: Plugin, method: str, question: Mapping[str, Any]
) -> dict[str, Any]:
    try:
        headers = {"Content-Type": MIME, "Accept": MIME, "Host": plugin.name}
        connection.request("POST", f"/{method}", json.dumps(question).encode(), headers)
        response = connection.getresponse()
        text = response.read(LARGEST + 1)
    except TimeoutError:
        raise PluginError(f"plugin {plugin.name} did not answer {method} in time") from None
    except (OSError, http.client.HTTPException) as error:
        why = str(error) or type(error).__name__
        raise PluginError(f"plugin {plugin.name} went away in the middle of {method}: {why}") from None
    try:
        said = json.loads(text[:LARGEST] or b"{}")
    except ValueError:
        said = None
    if response.status == http.client.NOT_FOUND and not (isinstance(said, dict) and said.get("Err")):
        raise Unknown(f"{method}: plugin {plugin.name} does not know that")
    if response.status != http.client.OK:
        words = str(said["Err"]) if isinstance(said, dict) and said.get("Err") else text[:500].decode(errors="replace")
        raise PluginError(f"{method}: {words.strip()}")
    if not isinstance(said, dict) or len(text) > LARGEST:
        raise PluginError(f"plugin {plugin.name} answered {method} with something that is no JSON object")
    if said.get("Err"):
        raise PluginError(str(said["Err"]))
    return said


class Unknown(NotFound, PluginError):
    """A question that the plugin does not know."""


def _connection(plugin: Plugin, timeout: float) -> http.client.HTTPConnection:
    address = urlsplit(plugin.address)
    if address.scheme == "unix" and hasattr(socket, "AF_UNIX"):
        return _UnixConnection(address.path, timeout)
    if address.scheme in ("tcp", "http") and not plugin.tls:
        return http.client.HTTPConnection(address.hostname or "", address.port or 80, timeout=timeout)
    if address.scheme in ("tcp", "https"):
        secure = ssl.create_default_context(cafile=plugin.tls.get("CAFile") or None)
        if plugin.tls.get("InsecureSkipVerify"):
            secure.check_hostname, secure.verify_mode = False, ssl.CERT_NONE
        if plugin.tls.get("CertFile"):
            secure.load_cert_chain(plugin.tls["CertFile"], plugin.tls.get("KeyFile") or None)
        return http.client.HTTPSConnection(address.hostname or "", address.port or 443, timeout=timeout, context=secure)
    raise Unsupported(f"cannot ask plugin {plugin.name} at {plugin.address}: use unix:///path or tcp://host:port")


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a UNIX socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)
