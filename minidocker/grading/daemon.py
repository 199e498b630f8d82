"""Exercise 09: a request, an answer, the frames of a stream, the end point that is meant, the version that is spoken.

The transplant is a daemon without a socket on the simulated runtime: somebody speaks to it by hand, and Docker's SDK
drives it. What both are told is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidocker.container.attaching import Frames
from minidocker.daemon import api, inprocess
from minidocker.daemon.api import Api
from minidocker.daemon.table import TABLE
from minidocker.daemon.tap import Tap
from minidocker.errors import InvalidArgument
from minidocker.grading.exercise import Case, Task
from minidocker.grading.operation import Organs, Outcome, counted, operate
from minidocker.grading.show import show_lines, show_text
from minidocker.grading.transplant import Functions
from minidocker.grading.verdict import Verdict
from minidocker.notebook.pictures.svg import Figure
from minidocker.web.routes import NoRoute, Routes

if TYPE_CHECKING:
    from minidocker.engine import Engine

Version = tuple[int, int]
Answer = tuple[int, dict[str, str], bytes]
Pieces = tuple[list[tuple[int, bytes]], bytes]
Table = Sequence[tuple[str, str, str]]

# Pictures


def show_request(title: str, value: bytes, _arguments: tuple[Any, ...]) -> Figure:
    """The lines as they are sent; each shows how it ends."""
    return show_text(title, [repr(line)[2:-1] for line in value.splitlines(keepends=True)])


def show_answer(title: str, value: Answer, _arguments: tuple[Any, ...]) -> Figure:
    """Status, headers and body."""
    status, headers, body = value
    return show_text(title, [str(status), *(f"  {name}: {said}" for name, said in headers.items()), repr(body)])


def show_frames(title: str, value: Pieces, _arguments: tuple[Any, ...]) -> Figure:
    """A frame a line, and what is left."""
    found, rest = value
    return show_text(title, [*(f"stream {stream}: {data!r}" for stream, data in found), f"left: {rest!r}"])


# Who speaks by hand


def written(method: str, path: str, body: str) -> bytes:
    """The reference's request."""
    if path.split() != [path]:
        raise ValueError(path)
    data = body.encode()
    more = ["Content-Type: application/json", f"Content-Length: {len(data)}"] if body else []
    return (
        "\r\n".join([f"{method} {path} HTTP/1.1", "Host: docker", "Connection: close", *more, "", ""]).encode() + data
    )


def read(data: bytes) -> Answer:
    """The reference's answer. Raises ValueError."""
    head, empty, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    size = int(headers.get("content-length", len(body)))
    if not empty or len(body) < size:
        raise ValueError("cut")
    whole = _joined(body) if headers.get("transfer-encoding") == "chunked" else body[:size]
    return int(first.split()[1]), headers, whole


def _joined(body: bytes) -> bytes:
    whole = b""
    while True:
        line, _, body = body.partition(b"\r\n")
        size = int(line.split(b";")[0], 16)  # an empty one is a ValueError
        if len(body) < size:
            raise ValueError("cut in a chunk")
        if size == 0:
            return whole
        whole, body = whole + body[:size], body[size + 2 :]


# Specifications

HOST, CLOSE = b"Host: docker\r\n", b"Connection: close\r\n"
LINES = "Each line ends with \\r\\n, and an empty line ends the head: \\r\\n twice, at the end."
BYTES = "Content-Length counts bytes, not characters: encode the body first, then len()."
SMUGGLED = "A blank or a line break in it would begin something else that nobody meant to ask: raise ValueError."
JSON = b"Content-Type: application/json\r\n"
REQUEST = Task(
    "9.1",
    "request",
    ("method", "path", "body"),
    "Whoever can write these bytes needs no client",
    (
        Case("a question", ("GET", "/_ping", ""), b"GET /_ping HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", LINES),
        Case(
            "another method and path",
            ("DELETE", "/v1.41/containers/web?force=1", ""),
            b"DELETE /v1.41/containers/web?force=1 HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n",
            "The first line: METHOD, a blank, the path as it is, a blank, HTTP/1.1",
        ),
        Case(
            "with a body",
            ("POST", "/containers/create", '{"Image": "shop"}'),
            b"POST /containers/create HTTP/1.1\r\n" + HOST + CLOSE + JSON + b"Content-Length: 17\r\n\r\n"
            b'{"Image": "shop"}',
            "With a body come two more headers, Content-Type and Content-Length; after the empty line the body.",
        ),
        Case(
            "a body with more bytes than characters",
            ("POST", "/build", '{"t": "caf\u00e9"}'),
            b"POST /build HTTP/1.1\r\n" + HOST + CLOSE + JSON + b'Content-Length: 14\r\n\r\n{"t": "caf\xc3\xa9"}',
            BYTES,
        ),
        Case("a POST without a body", ("POST", "/containers/web/start", ""),
             b"POST /containers/web/start HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n",
             "Without a body there is no Content-Type and no Content-Length."),
        Case("a blank in the path", ("GET", "/containers/my web/json", ""), ValueError, SMUGGLED),
        Case("a line break in the path", ("GET", "/x HTTP/1.1\r\nHost: y\r\n\r\nDELETE /a", ""), ValueError, SMUGGLED),
        Case("a line break alone", ("GET", "/x\r\nEvil:1", ""), ValueError, SMUGGLED),
    ),
    (
        "lines = [f'{method} {path} HTTP/1.1', 'Host: docker', 'Connection: close'], and perhaps two more.",
        "data = body.encode(); f'Content-Length: {len(data)}'",
        "('\\r\\n'.join(lines) + '\\r\\n\\r\\n').encode() + data. Before: path.split() != [path] is an error.",
    ),
    written,
    show_request,
    1,
)  # fmt: skip


def _said(head: str, body: bytes = b"") -> tuple[bytes]:
    return (("HTTP/1.1 " + head.replace("\n", "\r\n") + "\r\n\r\n").encode() + body,)


CHUNKED = {"transfer-encoding": "chunked"}
CHUNKS = "200 OK\nTransfer-Encoding: chunked"
HEAD = "The head ends at the first empty line (\\r\\n\\r\\n); status and headers are before it, the body after it."
NAMES = (
    "Names of headers are the same in capitals: make them lower case. Values stay as they are, without blanks around."
)
CHUNK = "A chunk: its size in hexadecimal, \\r\\n, so many bytes, \\r\\n. One of size 0 is the end."
CUT = "Where something is missing at the end, the connection was cut: raise ValueError."
RESPONSE = Task(
    "9.2",
    "response",
    ("data",),
    "Progress bars, logs and events come like this, a chunk each time that there is something new",
    (
        Case("with a length", _said("200 OK\nContent-Length: 2", b"OK"), (200, {"content-length": "2"}, b"OK"), HEAD),
        Case("an error", _said("404 Not Found\nContent-Length: 0"), (404, {"content-length": "0"}, b""),
             "The status is the number in the first line, as an int."),
        Case("without a body", _said("204 No Content\nServer: x"), (204, {"server": "x"}, b""),
             "Without a length or chunks the body is all that comes after the head, here nothing."),
        Case("until the end", _said("200 OK\nServer: x", b"all\r\nof it"), (200, {"server": "x"}, b"all\r\nof it"),
             "Without a length or chunks, the body is all that comes after the head."),
        Case("no header at all", _said("200 OK", b"x"), (200, {}, b"x"), HEAD),
        Case("names in capitals, a colon in a value", _said("200 OK\nLOCATION:  http://x:1/ \nContent-Length: 0"),
             (200, {"location": "http://x:1/", "content-length": "0"}, b""), NAMES),
        Case("more than the length", _said("200 OK\nContent-Length: 2", b"OKmore"),
             (200, {"content-length": "2"}, b"OK"), "Of a body with a length, exactly so many bytes count."),
        Case("one chunk", _said(CHUNKS, b"5\r\nhello\r\n0\r\n\r\n"), (200, CHUNKED, b"hello"), CHUNK),
        Case("several", _said(CHUNKS, b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"), (200, CHUNKED, b"hello"),
             f"{CHUNK} Put them together."),
        Case("a size in hexadecimal", _said(CHUNKS, b"1A\r\n" + b"x" * 26 + b"\r\n0\r\n\r\n"),
             (200, CHUNKED, b"x" * 26), "int(size, 16)"),
        Case("a line break in a chunk", _said(CHUNKS, b"8\r\na\r\n0\r\n\r\n\r\n0\r\n\r\n"),
             (200, CHUNKED, b"a\r\n0\r\n\r\n"),
             "Its size says where a chunk ends, no line break does: slice, do not split."),
        Case("a size with a note", _said(CHUNKS, b"2;what=ever\r\nhi\r\n0\r\n\r\n"), (200, CHUNKED, b"hi"),
             "After the size may stand a ; and something that you may ignore."),
        Case("shorter than the length", _said("200 OK\nContent-Length: 9", b"OK"), ValueError, CUT),
        Case("no last chunk", _said(CHUNKS, b"2\r\nhi\r\n"), ValueError, CUT),
        Case("in the middle of a chunk", _said(CHUNKS, b"5\r\nhel"), ValueError, CUT),
        Case("in the middle of the head", (b"HTTP/1.1 200 OK\r\nContent-Le",), ValueError, CUT),
    ),
    (
        "head, empty, body = data.partition(b'\\r\\n\\r\\n'). Nothing in `empty`: ValueError. Then "
        "lines = head.decode().split('\\r\\n').",
        "status = int(lines[0].split()[1]); each further line: name, _, value = line.partition(':').",
        "Chunks, in a loop: line, found, body = body.partition(b'\\r\\n'); size = int(line.split(b';')[0], 16); if "
        "len(body) < size: ValueError; whole += body[:size]; body = body[size + 2:]; size 0 ends it.",
    ),
    read,
    show_answer,
    3,
)  # fmt: skip
WHOLE = "Eight bytes of header, of which the first is the stream and the last four the length, big-endian."
LEFT = "What is no whole frame yet stays as it is, header and all: more will come."
FRAMES = Task(
    "9.3",
    "frames",
    ("data",),
    "So one connection carries stdout and stderr, and docker run can tell them apart",
    (
        Case("one frame", (b"\1\0\0\0\0\0\0\5hello",), ([(1, b"hello")], b""), WHOLE),
        Case("of stderr", (b"\2\0\0\0\0\0\0\4oops",), ([(2, b"oops")], b""), "The first byte is the stream."),
        Case("several", (b"\1\0\0\0\0\0\0\2hi\2\0\0\0\0\0\0\2no\1\0\0\0\0\0\0\1!",),
             ([(1, b"hi"), (2, b"no"), (1, b"!")], b""), "After a frame comes the next one, until nothing is left."),
        Case("nothing", (b"",), ([], b""), "No frames, and nothing left."),
        Case("a long one", (b"\1\0\0\0\0\0\1\x2c" + b"x" * 300,), ([(1, b"x" * 300)], b""),
             "300 is 0x012c: all four bytes count. int.from_bytes(data[4:8], 'big')"),
        Case("an empty one", (b"\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\1x",), ([(1, b""), (2, b"x")], b""),
             "A frame may be empty; it is one nevertheless."),
        Case("data that looks like a header", (b"\1\0\0\0\0\0\0\x08\2\0\0\0\0\0\0\1",),
             ([(1, b"\2\0\0\0\0\0\0\1")], b""), "What is in a frame is never looked into: jump over it by its length."),
        Case("cut in the data", (b"\1\0\0\0\0\0\0\2hi\2\0\0\0\0\0\0\5oo",),
             ([(1, b"hi")], b"\2\0\0\0\0\0\0\5oo"), LEFT),
        Case("cut in the header", (b"\1\0\0\0\0\0\0\2hi\2\0\0",), ([(1, b"hi")], b"\2\0\0"), LEFT),
        Case("a header alone", (b"\1\0\0\0\0\0\0\2",), ([], b"\1\0\0\0\0\0\0\2"), LEFT),
    ),
    (
        "while len(data) >= 8: size = int.from_bytes(data[4:8], 'big')",
        "If len(data) < 8 + size, stop: this frame is not all there.",
        "found.append((data[0], data[8 : 8 + size])); data = data[8 + size :]. At the end: return found, data",
    ),
    Frames.feed,
    show_frames,
    2,
)  # fmt: skip
TINY = (
    ("GET", "/containers/json", "list"),
    ("POST", "/containers/create", "create"),
    ("GET", "/containers/{id}/json", "inspect"),
    ("POST", "/containers/{id}/start", "start"),
    ("DELETE", "/containers/{id}", "remove"),
    ("GET", "/images/{name...}/json", "image"),
    ("GET", "/images/{name...}/history", "history"),
    ("DELETE", "/images/{name...}", "untag"),
)
DOTS = "{name...} stands for one part of the path or several: names of images have slashes in them."
WORDS = "A variable's value is decoded (urllib.parse.unquote), after the path was matched."
FIND = Task(
    "9.4",
    "find",
    ("table", "method", "path"),
    "This is what a daemon does all day",
    (
        Case("a path without variables", (TINY, "GET", "/containers/json"), ("list", {}), "Compare part by part."),
        Case("a variable", (TINY, "GET", "/containers/web/json"), ("inspect", {"id": "web"}),
             "{id} stands for one part; its value goes into the dict."),
        Case("by the method", (TINY, "DELETE", "/containers/json"), ("remove", {"id": "json"}),
             "The method counts too."),
        Case("a name with slashes", (TINY, "GET", "/images/team/app/json"), ("image", {"name": "team/app"}), DOTS),
        Case("a name without", (TINY, "GET", "/images/app/history"), ("history", {"name": "app"}), DOTS),
        Case("slashes to the end", (TINY, "DELETE", "/images/ghcr.io/team/app:1"),
             ("untag", {"name": "ghcr.io/team/app:1"}), DOTS),
        Case("percent signs", (TINY, "POST", "/containers/my%20web/start"), ("start", {"id": "my web"}), WORDS),
        Case("a slash, encoded", (TINY, "GET", "/containers/a%2Fb/json"), ("inspect", {"id": "a/b"}),
             f"{WORDS} Encoded, a slash separates nothing."),
        Case("a plus is a plus", (TINY, "GET", "/containers/c+d/json"), ("inspect", {"id": "c+d"}),
             "In a path, + is no blank: unquote, not unquote_plus."),
        Case("HEAD", (TINY, "HEAD", "/containers/web/json"), ("inspect", {"id": "web"}),
             "HEAD is answered by the line for GET."),
        Case("the first one that fits", ((*TINY, ("GET", "/containers/{all...}", "rest")), "GET", "/containers/json"),
             ("list", {}), "Of several lines that fit, the first counts."),
        Case("another method", (TINY, "PUT", "/containers/json"), LookupError, "raise LookupError('page not found')"),
        Case("no such path", (TINY, "GET", "/nothing"), LookupError, "raise LookupError('page not found')"),
        Case("too much for one part", (TINY, "GET", "/containers/a/b/json"), LookupError, "{id} has no slash in it."),
        Case("an empty part", (TINY, "GET", "/containers//json"), LookupError, "A variable has a character at least."),
        Case("more at the end", (TINY, "GET", "/containers/json/x"), LookupError, "The whole path has to fit."),
        Case("more at the beginning", (TINY, "GET", "/x/containers/json"), LookupError, "The whole path has to fit."),
        Case("a dot is a dot", ((("GET", "/a.b", "dot"),), "GET", "/axb"), LookupError,
             "In a regular expression a dot is any character: escape what is no variable."),
    ),
    (
        "Make a regular expression of a pattern: {id} becomes ([^/]+), {name...} becomes (.+), the rest re.escape.",
        r"re.split(r'\{(\w+)(\.\.\.)?\}', pattern) gives text, name, dots, text, name, dots, …, text.",
        "re.fullmatch(expression, path), with groups (?P<id>[^/]+); then {name: unquote(text) for … in groupdict()}.",
    ),
    Routes.find,
    show_lines,
    3,
)  # fmt: skip
OLDEST, NEWEST = (1, 24), (1, 41)
NUMBERS = "Versions are numbers, not words: 1.4 is older than 1.24. Compare (1, 4) with (1, 24)."
NONE = "Without a version the newest is meant, and the path stays as it is."
SPOKEN = Task(
    "9.5",
    "spoken",
    ("path", "oldest", "newest"),
    "So a client of today drives a daemon of years ago, or is told why not",
    (
        Case("the newest", ("/v1.41/containers/json", OLDEST, NEWEST), ((1, 41), "/containers/json"),
             "The version as two numbers, and the path without it."),
        Case("an older one", ("/v1.30/info", OLDEST, NEWEST), ((1, 30), "/info"), "What the client says counts."),
        Case("the oldest", ("/v1.24/info", OLDEST, NEWEST), ((1, 24), "/info"),
             "The oldest is one that is spoken."),
        Case("none", ("/_ping", OLDEST, NEWEST), (NEWEST, "/_ping"), NONE),
        Case("it only begins like one", ("/version", OLDEST, NEWEST), (NEWEST, "/version"),
             f"{NONE} /version is none."),
        Case("a volume of such a name", ("/volumes/v1.30/x", OLDEST, NEWEST), (NEWEST, "/volumes/v1.30/x"),
             "Only at the beginning of the path."),
        Case("one number", ("/v2/app/tags", OLDEST, NEWEST), (NEWEST, "/v2/app/tags"), f"{NONE} It has two numbers."),
        Case("nothing after it", ("/v1.41", OLDEST, NEWEST), (NEWEST, "/v1.41"), "After a version comes a slash."),
        Case("a longer path", ("/v1.40/images/a/v1.2/json", OLDEST, NEWEST), ((1, 40), "/images/a/v1.2/json"),
             "Take it off once."),
        Case("too new", ("/v1.99/info", OLDEST, NEWEST), ValueError, "raise ValueError('… is too new')"),
        Case("a little too new", ("/v1.42/info", OLDEST, NEWEST), ValueError, "raise ValueError('… is too new')"),
        Case("too old", ("/v1.23/info", OLDEST, NEWEST), ValueError, "raise ValueError('… is too old')"),
        Case("1.4", ("/v1.4/info", OLDEST, NEWEST), ValueError, NUMBERS),
        Case("1.100", ("/v1.100/info", OLDEST, NEWEST), ValueError, NUMBERS),
        Case("2.0", ("/v2.0/info", OLDEST, NEWEST), ValueError, "2.0 is newer than any 1.x."),
    ),
    (
        r"match = re.match(r'/v(\d+)\.(\d+)(?=/)', path); where there is none, return newest, path.",
        "version = (int(match[1]), int(match[2])): tuples compare as versions do.",
        "if not oldest <= version <= newest: raise ValueError(…); return version, path[match.end():]",
    ),
    api.spoken,
    show_lines,
    2,
)  # fmt: skip
TASKS = (REQUEST, RESPONSE, FRAMES, FIND, SPOKEN)

# The transplant

FILES = {"menu": "apples\n"}
RECIPE = 'FROM minidocker/base\nCOPY menu /\nCMD ["sh", "-c", "cat /menu; echo 3 left >&2"]\n'
PATHS = ("/_ping", "/v1.24/version", "/v1.41/nothing", "/v1.99/info", "/v1.4/info", "/images/a/b/json")


def transplant(namespace: MutableMapping[str, Any]) -> Verdict:
    """A daemon is spoken to by hand and by Docker's SDK, with the reference's functions and with the learner's."""
    return operate(counted(namespace, TASKS), grafts, _live, FILES, runtime="simulated")


def grafts(organs: Organs) -> Functions:
    """Which functions the learner's take the place of; who speaks by hand is no part of the engine."""
    return {
        written: organs["request"],
        read: organs["response"],
        Frames.feed: _feed(organs["frames"]),
        Routes.find: _find(organs["find"]),
        api.spoken: _spoken(organs["spoken"]),
    }


def _live(engine: Engine, folder: Path, title: str) -> Outcome:
    engine.images.build(path=str(folder), text=RECIPE, tag="team/shop")
    tap = Tap(Api(engine))
    facts = {"by hand": _by_hand(tap)}
    facts["paths"] = ", ".join(f"{path} {_asked(tap, 'GET', path)[0]}" for path in PATHS)
    facts["who is not there"] = _asked(tap, "GET", "/v1.41/containers/my%20web/json")[2].decode().strip()
    facts |= _by_sdk(tap)
    return Outcome(facts, show_text(title, [f"{name}: {said}" for name, said in facts.items()]))


def _asked(tap: Tap, method: str, path: str, body: str = "") -> Answer:
    with inprocess.connect(tap) as sock:
        sock.settimeout(10)
        sock.sendall(written(method, path, body))
        return read(sock.makefile("rb").read())


def _by_hand(tap: Tap) -> str:
    steps = [_asked(tap, "POST", "/v1.41/containers/create?name=ann", '{"Image": "team/shop", "Labels": {"f": "é"}}')]
    steps += [_asked(tap, "POST", f"/v1.41/containers/ann/{verb}") for verb in ("start", "wait")]
    logs = _asked(tap, "GET", "/v1.30/containers/ann/logs?stdout=1&stderr=1")
    said = sorted(f"{stream} {data!r}" for stream, data in Frames(tty=False).feed(logs[2]))
    return f"{', '.join(str(step[0]) for step in [*steps, logs])}; {' '.join(said)}"


def _by_sdk(tap: Tap) -> dict[str, str]:
    """What Docker's own client is told."""
    client = inprocess.client(tap, timeout=10)
    try:
        bob = client.containers.create("team/shop", name="bob", labels={"who": "the SDK"})
        bob.start()
        code = bob.wait()["StatusCode"]
        names = " ".join(sorted(one.name for one in client.containers.list(all=True)))
        image = client.images.get("team/shop")
        told = {
            "the SDK runs a container": f"exit code {code}, {bob.logs(stderr=False)!r}, {names}",
            "the SDK asks for an image": f"{' '.join(image.tags)}, {len(image.history())} lines of history",
        }
        bob.remove()
        client.images.remove("team/shop", force=True)
        return told | {"the SDK removes": " ".join(one.name for one in client.containers.list(all=True))}
    finally:
        client.close()


# The adapters


def _feed(frames: Callable[[bytes], Pieces]) -> Callable[[Frames, bytes], Iterator[tuple[int, bytes]]]:
    """`Frames.feed`, by the learner's `frames`."""

    def feed(self: Frames, data: bytes) -> Iterator[tuple[int, bytes]]:
        found, self.rest = frames(self.rest + data)
        yield from found

    return feed


def _find(
    find: Callable[[Table, str, str], tuple[str, dict[str, str]]],
) -> Callable[[Routes, str, str], tuple[Any, Mapping[str, str]]]:
    """`Routes.find` of an Api, by the learner's `find`: each line of the table is called by its number."""
    lines = [(route.method, route.path, str(number)) for number, route in enumerate(TABLE)]

    def look(routes: Routes, method: str, path: str) -> tuple[Any, Mapping[str, str]]:
        try:
            number, variables = find(lines, method, path)
        except LookupError:
            raise NoRoute("page not found") from None
        return routes._table[int(number)][2], variables

    return look


def _spoken(spoken: Callable[[str, Version, Version], tuple[Version, str]]) -> Callable[[str], tuple[Version, str]]:
    """`api.spoken`, by the learner's."""

    def say(path: str) -> tuple[Version, str]:
        try:
            return spoken(path, api.OLDEST, api.NEWEST)
        except ValueError as error:
            raise InvalidArgument(str(error)) from None

    return say
