"""A registry's "no" in words: the error codes of the OCI distribution specification, as Docker prints them.

{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}   ->  manifest unknown: manifest unknown
"""

from __future__ import annotations

import json
from typing import Any

from minidocker.drawn import printable
from minidocker.errors import APIError, ImageNotFound
from minidocker.reference import Reference
from minidocker.registry.challenge import parse_all
from minidocker.registry.errorcodes import CODES
from minidocker.registry.wire import Answer

OF_BEARER = {"invalid_token": "UNAUTHORIZED", "insufficient_scope": "DENIED"}  # RFC 6750, 3.1
OF_STATUS = {401: "UNAUTHORIZED", 403: "DENIED", 429: "TOOMANYREQUESTS"}
NOT_FOUND = ("DENIED", "MANIFEST_UNKNOWN", "NAME_UNKNOWN")
MAX_WORDS = 1000


class Refused(APIError):
    """A registry says no. `code` is its own word for why, `http_status` the status of its answer."""

    def __init__(self, code: str, message: str, http_status: int, wait: float | None = None) -> None:
        words = f"{code.lower().replace('_', ' ')}: {message}" if code else message
        super().__init__(printable(words)[:MAX_WORDS])
        self.code, self.http_status, self.wait = code, http_status, wait

    @property
    def again(self) -> bool:
        """Whether it may say yes later."""
        return self.http_status in (408, 429) or self.http_status >= 500


def refusal(answer: Answer) -> Refused:
    """What an answer with a status of 400 and more says; it is read and closed."""
    with answer:
        try:
            body = answer.read(64 << 10)
        except APIError:
            body = b""
    status, wait = answer.status, retry_after(answer.header("Retry-After"))
    code, message = first_error(body, status)
    for challenge in parse_all(answer.headers.get_all("WWW-Authenticate") or ()):
        said = OF_BEARER.get(challenge.parameters.get("error", "")) if challenge.scheme == "bearer" else None
        if said and 400 <= status < 500:
            return Refused(said, challenge.parameters.get("error_description") or CODES[said][1], status, wait)
    if code or status in OF_STATUS:
        code = code or OF_STATUS[status]
        return Refused(code, message or CODES.get(code, (0, code.lower().replace("_", " ")))[1], status, wait)
    if status == 404:
        return Refused("", f"received unexpected HTTP status: {answer.reason}: is {server(answer)} a registry?", status)
    return Refused("", f"received unexpected HTTP status: {answer.reason}", status, wait)


def first_error(body: bytes, status: int) -> tuple[str, str]:
    """The code and the message of the first error in a body; what is none has neither."""
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(value, dict):
        return "", ""
    errors = value.get("errors")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        code = errors[0].get("code")
        message = errors[0].get("message")
        return code if isinstance(code, str) else "UNKNOWN", message if isinstance(message, str) else ""
    said = value.get("details") or value.get("detail") or value.get("message")
    return OF_STATUS.get(status, ""), said if isinstance(said, str) else ""


def retry_after(text: str) -> float | None:
    """Seconds to wait: a number of them, or until a date."""
    if text.isascii() and text.isdigit():
        return float(text[:6])
    if text:
        import time
        from email.utils import parsedate_to_datetime

        try:
            return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
        except (ValueError, TypeError, OverflowError):
            return None
    return None


def server(answer: Answer) -> str:
    """The host that answered."""
    from urllib.parse import urlsplit

    return urlsplit(answer.request.url).netloc.rpartition("@")[2]


def of_pull(error: APIError, name: Reference) -> APIError:
    """What `docker pull` says where a registry refuses."""
    if not isinstance(error, Refused) or error.code not in NOT_FOUND:
        return error
    if error.code == "MANIFEST_UNKNOWN":
        return ImageNotFound(f"manifest for {name} not found: {error.explanation}")
    if error.code == "NAME_UNKNOWN":
        return ImageNotFound(f"repository {name.name} not found: {error.explanation}")
    return ImageNotFound(
        f"pull access denied for {name.name}, repository does not exist or may require 'docker login': "
        f"{error.explanation}"
    )
