"""Exercise 09: the same rules, of other values."""

from __future__ import annotations

from minidocker.grading.daemon import CHUNKED, CHUNKS, CLOSE, HOST, JSON, TINY, _said
from minidocker.grading.exercise import Case

OTHER = ((1, 40), (1, 50))
SEVEN, EIGHT = b"\1\0\0\0\0\0\0\7", b"\2\0\0\0\0\0\0\x08"

HIDDEN = {
    "9.1": (
        Case(
            "an emoji",
            ("PUT", "/volumes/x", '"\U0001f40b"'),
            b"PUT /volumes/x HTTP/1.1\r\n" + HOST + CLOSE + JSON + b'Content-Length: 6\r\n\r\n"\xf0\x9f\x90\x8b"',
        ),
        Case("HEAD", ("HEAD", "/a%20b", ""), b"HEAD /a%20b HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n"),
        Case("a tabulator", ("GET", "/a\tb", ""), ValueError),
        Case("a blank at the end", ("GET", "/a ", ""), ValueError),
        Case("a line feed", ("GET", "/a\nX: y", ""), ValueError),
    ),
    "9.2": (
        Case("three chunks", _said(CHUNKS, b"1\r\na\r\n0002\r\nbc\r\n1\r\n\n\r\n0\r\n\r\n"), (200, CHUNKED, b"abc\n")),
        Case("no chunk but the last", _said(CHUNKS, b"0\r\n\r\n"), (200, CHUNKED, b"")),
        Case("a chunk of 255", _said(CHUNKS, b"ff\r\n" + bytes(255) + b"\r\n0\r\n\r\n"), (200, CHUNKED, bytes(255))),
        Case(
            "a body with empty lines",
            _said("409 Conflict\ncontent-length: 8", b"a\r\n\r\nb\r\n"),
            (409, {"content-length": "8"}, b"a\r\n\r\nb\r\n"),
        ),
        Case("one byte too few", _said("200 OK\nContent-Length: 3", b"ab"), ValueError),
        Case("a size that is cut", _said(CHUNKS, b"2\r\nhi\r\n1"), ValueError),
        Case("nothing at all", (b"",), ValueError),
    ),
    "9.3": (
        Case("a terminal's bytes in a frame", (SEVEN + b"\x1b[31m\r\n",), ([(1, b"\x1b[31m\r\n")], b"")),
        Case("a frame and a header", (EIGHT + b"12345678" + SEVEN,), ([(2, b"12345678")], SEVEN)),
        Case("65,536 bytes", (b"\1\0\0\0\0\1\0\0" + bytes(65536),), ([(1, bytes(65536))], b"")),
        Case("one byte is missing", (SEVEN + b"123456",), ([], SEVEN + b"123456")),
        Case("seven bytes", (b"\1\0\0\0\0\0\0",), ([], b"\1\0\0\0\0\0\0")),
        Case("the daemon's own complaint", (b"\3\0\0\0\0\0\0\2no",), ([(3, b"no")], b"")),
    ),
    "9.4": (
        Case("an image of that name", (TINY, "GET", "/images/json/json/json"), ("image", {"name": "json/json"})),
        Case("a port in a name", (TINY, "GET", "/images/r:5000/a/history"), ("history", {"name": "r:5000/a"})),
        Case("two variables", ((("GET", "/{a}/x/{b}", "two"),), "GET", "/1%2B/x/2"), ("two", {"a": "1+", "b": "2"})),
        Case("HEAD, where there is only POST", (TINY, "HEAD", "/containers/web/start"), LookupError),
        Case("decoded only once", (TINY, "GET", "/containers/a%2520/json"), ("inspect", {"id": "a%20"})),
        Case("an empty table", ((), "GET", "/"), LookupError),
        Case("a slash at the end", (TINY, "GET", "/containers/json/"), LookupError),
        Case("another fits the path, a later one the method", (TINY, "DELETE", "/images/a/json"),
             ("untag", {"name": "a/json"})),
    ),
    "9.5": (
        Case("another daemon", ("/v1.45/info", *OTHER), ((1, 45), "/info")),
        Case("too old for it", ("/v1.39/info", *OTHER), ValueError),
        Case("none, at another daemon", ("/info", *OTHER), ((1, 50), "/info")),
        Case("0.50", ("/v0.50/info", *OTHER), ValueError),
        Case("three numbers", ("/v1.41.1/info", *OTHER), ((1, 50), "/v1.41.1/info")),
        Case("a word", ("/v1.x/info", *OTHER), ((1, 50), "/v1.x/info")),
        Case("the path is a slash", ("/v1.41/", *OTHER), ((1, 41), "/")),
    ),
}  # fmt: skip
