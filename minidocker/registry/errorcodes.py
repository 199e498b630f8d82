"""The error codes of the OCI distribution specification, and the JSON that carries them.

    {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown", "detail": {…}}]}

>>> RegistryError("NAME_UNKNOWN", {"name": "app"}).body()
{'errors': [{'code': 'NAME_UNKNOWN', 'message': 'repository name not known to registry', 'detail': {'name': 'app'}}]}
"""

from __future__ import annotations

from typing import Any

from minidocker.errors import APIError

CODES = {
    "BLOB_UNKNOWN": (404, "blob unknown to registry"),
    "BLOB_UPLOAD_INVALID": (400, "blob upload invalid"),
    "BLOB_UPLOAD_UNKNOWN": (404, "blob upload unknown to registry"),
    "DIGEST_INVALID": (400, "provided digest did not match uploaded content"),
    "MANIFEST_BLOB_UNKNOWN": (400, "manifest references a manifest or blob unknown to registry"),
    "MANIFEST_INVALID": (400, "manifest invalid"),
    "MANIFEST_UNKNOWN": (404, "manifest unknown to registry"),
    "NAME_INVALID": (400, "invalid repository name"),
    "NAME_UNKNOWN": (404, "repository name not known to registry"),
    "PAGINATION_NUMBER_INVALID": (400, "invalid number of results requested"),
    "RANGE_INVALID": (416, "invalid content range"),
    "SIZE_INVALID": (400, "provided length did not match content length"),
    "TAG_INVALID": (400, "manifest tag did not match URI"),
    "UNAUTHORIZED": (401, "authentication required"),
    "DENIED": (403, "requested access to the resource is denied"),
    "UNSUPPORTED": (405, "the operation is unsupported"),
    "TOOMANYREQUESTS": (429, "too many requests"),
    "UNKNOWN": (500, "unknown error"),
}


class RegistryError(APIError):
    """A registry's "no": a code of the specification, in the words of Docker's registry, and what it is about."""

    def __init__(
        self, code: str, detail: Any = None, message: str = "", status: int = 0, headers: dict[str, str] | None = None
    ) -> None:
        self.code, self.detail, self.headers = code, detail, headers or {}
        self.status_code = status or CODES[code][0]
        super().__init__(message or CODES[code][1])

    def body(self) -> dict[str, Any]:
        """What is sent."""
        detail = {} if self.detail is None else {"detail": self.detail}
        return {"errors": [{"code": self.code, "message": self.explanation, **detail}]}
