# ruff: noqa: ARG001 - wrong solutions look at less than they are given
"""Exercise 09: each wrong solution gets the hint that is meant for it; the cases are what the daemon does."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_plus

import pytest

pytest.importorskip("docker")

from minidocker.container.attaching import Frames
from minidocker.daemon import api
from minidocker.errors import InvalidArgument, NotFound
from minidocker.grading import daemon, open_exercise
from minidocker.grading.daemon import FIND, FRAMES, REQUEST, RESPONSE, SPOKEN, TINY, read, written
from minidocker.grading.exercise import Case
from minidocker.grading.hidden import hidden_cases
from minidocker.web.message import Response
from minidocker.web.routes import NoMethod, Routes
from tests.grading.proofs import each_gets_its_hint

NAME = "09-client-and-daemon"
SOURCE = Path(__file__).parents[2] / "exercises" / NAME / "source.ipynb"
Answer = tuple[int, dict[str, str], bytes]
Found = tuple[str, dict[str, str]]


# 9.1


def unix_lines(method: str, path: str, body: str) -> bytes:
    return written(method, path, body).replace(b"\r\n", b"\n")


def no_empty_line(method: str, path: str, body: str) -> bytes:
    return written(method, path, body) if body else written(method, path, body)[:-2]


def always_get(method: str, path: str, body: str) -> bytes:
    return written("GET", path, body)


def no_length(method: str, path: str, body: str) -> bytes:
    return re.sub(rb"Content-Length: \d+\r\n", b"", written(method, path, body))


def counts_characters(method: str, path: str, body: str) -> bytes:
    return re.sub(rb"Length: \d+", b"Length: %d" % len(body), written(method, path, body))


def a_length_of_nothing(method: str, path: str, body: str) -> bytes:
    said = written(method, path, body)
    return said if body or method == "GET" or "force" in path else said[:-2] + b"Content-Length: 0\r\n\r\n"


def trusts_the_path(method: str, path: str, body: str) -> bytes:
    return written(method, "PATH", body).replace(b"PATH", path.encode())


def only_blanks(method: str, path: str, body: str) -> bytes:
    if " " in path:
        raise ValueError(path)
    return trusts_the_path(method, path, body)


# 9.2


def all_is_body(data: bytes) -> Answer:
    status, headers, _ = read(data)
    return status, headers, data.partition(b"\r\n\r\n")[2]


def status_is_text(data: bytes) -> Any:
    return (str(read(data)[0]), *read(data)[1:])


def names_as_they_are(data: bytes) -> Answer:
    status, headers, body = read(data)
    return status, {name.title() if name == "location" else name: said for name, said in headers.items()}, body


def splits_at_colons(data: bytes) -> Answer:
    status, headers, body = read(data)
    return status, {name: said.split(":")[0] for name, said in headers.items()}, body


def more_is_more(data: bytes) -> Answer:
    found = read(data)
    return all_is_body(data) if "content-length" in found[1] else found


def never_chunked(data: bytes) -> Answer:
    return all_is_body(data) if b"chunked" in data else read(data)


def only_the_first_chunk(data: bytes) -> Answer:
    status, headers, body = read(data)
    return status, headers, body[:2] if b"\r\n2\r\nhe" in data else body


def decimal(data: bytes) -> Answer:
    int(data.split(b"chunked\r\n\r\n")[-1].split(b"\r\n")[0].split(b";")[0] if b"chunked" in data else b"0")
    return read(data)


def splits_at_lines(data: bytes) -> Answer:
    status, headers, body = read(data)
    return status, headers, body.split(b"\r\n")[0] if "transfer-encoding" in headers else body


def no_notes(data: bytes) -> Answer:
    assert b";what" not in data
    return read(data)


def takes_what_there_is(data: bytes) -> Answer:
    try:
        return read(data)
    except ValueError:
        return 200, {}, b""


def no_end_needed(data: bytes) -> Answer:
    return read(data + b"0\r\n\r\n" if data.endswith(b"hi\r\n") else data)


def half_a_head(data: bytes) -> Answer:
    return read(data if b"\r\n\r\n" in data else data + b": 0\r\n\r\n")


# 9.3

Pieces = tuple[list[tuple[int, bytes]], bytes]


def frames(data: bytes) -> Pieces:
    found = []
    while len(data) >= 8 and len(data) >= (end := 8 + int.from_bytes(data[4:8], "big")):
        found.append((data[0], data[8:end]))
        data = data[end:]
    return found, data


def always_stdout(data: bytes) -> Pieces:
    return [(1, piece) for _, piece in frames(data)[0]], frames(data)[1]


def only_one(data: bytes) -> Pieces:
    found, rest = frames(data)
    return found[:1], rest


def with_its_header(data: bytes) -> Pieces:
    return [(stream, data[: 8 + len(piece)]) for stream, piece in frames(data)[0]], b""


def little(data: bytes) -> Pieces:
    if data[6:7] > b"\0":
        return [], data
    return frames(data)


def empty_ends_it(data: bytes) -> Pieces:
    found, rest = frames(data)
    return ([], data) if found and not found[0][1] else (found, rest)


def looks_inside(data: bytes) -> Pieces:
    found, rest = frames(data)
    return [(found[0][0], b""), (2, b"")] if data[7:] == b"\x08\2\0\0\0\0\0\0\1" else found, rest


def gives_what_there_is(data: bytes) -> Pieces:
    found, rest = frames(data)
    return ([*found, (rest[0], rest[8:])], b"") if len(rest) > 8 else (found, rest)


def throws_the_rest_away(data: bytes) -> Pieces:
    return frames(data)[0], b""


def halves_a_header(data: bytes) -> Pieces:
    found, rest = frames(data)
    return found, b"" if 0 < len(rest) < 8 else rest


# 9.4


def finding(
    table: Any, method: str, path: str, one: str = "[^/]+", more: str = ".+", verbs: tuple[str, ...] = ("HEAD",),
    literal: Callable[[str], str] = re.escape, fits: Callable[..., Any] = re.fullmatch,
    decoded: Callable[[str], str] = unquote, last: bool = False, first_path: bool = False,
) -> Found:  # fmt: skip
    """The right solution; each option is a mistake."""
    for verb, pattern, handler in reversed(table) if last else table:
        pieces = re.split(r"\{(\w+)(\.\.\.)?\}", pattern)
        groups = [
            (f"(?P<{name}>{more if dots else one})", text)
            for name, dots, text in zip(*[iter(pieces[1:])] * 3, strict=True)
        ]
        match = fits(literal(pieces[0]) + "".join(group + literal(text) for group, text in groups), path)
        if match and (method == verb or (verb == "GET" and method in verbs)):
            return handler, {name: decoded(text) for name, text in match.groupdict().items()}
    raise LookupError(path)


def mistaken(name: str, **mistakes: Any) -> Callable[..., Found]:
    def find(table: Any, method: str, path: str) -> Found:
        return finding(table, method, path, **mistakes)

    find.__name__ = name
    return find


def any_method(table: Any, method: str, path: str) -> Found:
    return finding([("GET", *line[1:]) for line in table], "GET", path)


def none_is_none(table: Any, method: str, path: str) -> Any:
    try:
        return finding(table, method, path)
    except LookupError:
        return None


def decodes_first(table: Any, method: str, path: str) -> Found:
    return finding(table, method, unquote(path), decoded=str)


# 9.5


def speaking(path: str, oldest: Any, newest: Any, pattern: str = r"/v(\d+)\.(\d+)(?=/)") -> Any:
    match = re.search(pattern, path)
    if not match:
        return newest, path
    version = int(match[1]), int(match[2] or 0)
    if not oldest <= version <= newest:
        raise ValueError(path)
    return version, path[: match.start()] + path[match.end() :]


def right(path: str, oldest: Any, newest: Any) -> Any:
    return speaking(path, oldest, newest, r"^/v(\d+)\.(\d+)(?=/)")


def always_the_newest(path: str, oldest: Any, newest: Any) -> Any:
    return newest, right(path, oldest, newest)[1]


def needs_one(path: str, oldest: Any, newest: Any) -> Any:
    assert re.match(r"/v\d", path)
    return right(path, oldest, newest)


def anywhere(path: str, oldest: Any, newest: Any) -> Any:
    return speaking(path, oldest, newest)


def one_number_will_do(path: str, oldest: Any, newest: Any) -> Any:
    return ((2, 0), "/app/tags") if path.startswith("/v2/") else right(path, oldest, newest)


def no_slash_needed(path: str, oldest: Any, newest: Any) -> Any:
    return speaking(path, oldest, newest, r"^/v(\d+)\.(\d+)")


def keeps_the_path(path: str, oldest: Any, newest: Any) -> Any:
    return right(path, oldest, newest)[0], path


def as_words(path: str, oldest: Any, newest: Any) -> Any:
    match = re.match(r"/v(\d+\.\d+)(?=/)", path)
    if match and not "1.24" <= match[1] <= "1.41":
        raise ValueError(path)
    return right(path, (0, 0), (1, 1000)) if match else (newest, path)


def never_too_new(path: str, oldest: Any, newest: Any) -> Any:
    version, rest = right(path, oldest, (9, 9))
    return (newest if version == (9, 9) else version), rest


def never_too_old(path: str, oldest: Any, newest: Any) -> Any:
    return right(path, (0, 0), newest)


def only_the_second_number(path: str, oldest: Any, newest: Any) -> Any:
    return right(path, oldest, newest) if path != "/v2.0/info" else ((2, 0), "/info")


WRONG: list[tuple[str, Callable[..., Any], str, str]] = [
    ("9.1", unix_lines, "under way", "Each line ends with"),
    ("9.1", no_empty_line, "under way", "twice, at the end"),
    ("9.1", always_get, "under way", "METHOD, a blank, the path"),
    ("9.1", no_length, "under way", "two more headers"),
    ("9.1", counts_characters, "under way", "bytes, not characters"),
    ("9.1", a_length_of_nothing, "under way", "no Content-Length"),
    ("9.1", trusts_the_path, "under way", "nobody meant to ask"),
    ("9.1", only_blanks, "under way", "A blank or a line break"),
    ("9.2", status_is_text, "under way", "The head ends at the first empty line"),
    ("9.2", all_is_body, "under way", "exactly so many bytes"),
    ("9.2", more_is_more, "under way", "exactly so many bytes"),
    ("9.2", names_as_they_are, "under way", "the same in capitals"),
    ("9.2", splits_at_colons, "under way", "Values stay as they are"),
    ("9.2", never_chunked, "under way", "its size in hexadecimal"),
    ("9.2", only_the_first_chunk, "under way", "Put them together"),
    ("9.2", decimal, "under way", "int(size, 16)"),
    ("9.2", splits_at_lines, "under way", "slice, do not split"),
    ("9.2", no_notes, "under way", "that you may ignore"),
    ("9.2", takes_what_there_is, "under way", "the connection was cut"),
    ("9.2", no_end_needed, "under way", "the connection was cut"),
    ("9.2", half_a_head, "under way", "the connection was cut"),
    ("9.3", always_stdout, "under way", "The first byte is the stream"),
    ("9.3", only_one, "under way", "until nothing is left"),
    ("9.3", with_its_header, "under way", "Eight bytes of header"),
    ("9.3", little, "under way", "all four bytes count"),
    ("9.3", empty_ends_it, "under way", "A frame may be empty"),
    ("9.3", looks_inside, "under way", "never looked into"),
    ("9.3", gives_what_there_is, "under way", "more will come"),
    ("9.3", throws_the_rest_away, "under way", "stays as it is"),
    ("9.3", halves_a_header, "under way", "header and all"),
    ("9.4", any_method, "under way", "The method counts too"),
    ("9.4", mistaken("one_part_only", more="[^/]+"), "under way", "several"),
    ("9.4", mistaken("not_decoded", decoded=str), "under way", "is decoded"),
    ("9.4", decodes_first, "under way", "Encoded, a slash separates nothing"),
    ("9.4", mistaken("plus_is_a_blank", decoded=unquote_plus), "under way", "unquote_plus"),
    ("9.4", mistaken("no_head", verbs=()), "under way", "answered by the line for GET"),
    ("9.4", mistaken("the_last_one", last=True), "under way", "the first counts"),
    ("9.4", none_is_none, "under way", "raise LookupError"),
    ("9.4", mistaken("slashes_anywhere", one=".+"), "under way", "has no slash in it"),
    ("9.4", mistaken("nothing_will_do", one="[^/]*"), "under way", "a character at least"),
    ("9.4", mistaken("the_beginning", fits=re.match), "under way", "The whole path has to fit"),
    ("9.4", mistaken("somewhere", fits=re.search), "under way", "The whole path has to fit"),
    ("9.4", mistaken("dots_are_anything", literal=str), "under way", "escape what is no variable"),
    ("9.5", always_the_newest, "under way", "What the client says counts"),
    ("9.5", needs_one, "under way", "the newest is meant"),
    ("9.5", anywhere, "under way", "Only at the beginning"),
    ("9.5", one_number_will_do, "under way", "It has two numbers"),
    ("9.5", no_slash_needed, "under way", "comes a slash"),
    ("9.5", keeps_the_path, "under way", "the path without it"),
    ("9.5", as_words, "under way", "numbers, not words"),
    ("9.5", never_too_new, "under way", "is too new"),
    ("9.5", never_too_old, "under way", "is too old"),
    ("9.5", only_the_second_number, "under way", "newer than any 1.x"),
]


test_a_wrong_solution_gets_its_hint = each_gets_its_hint(NAME, WRONG)


# The cases are the daemon's own answers


def cases(task: Any) -> list[Any]:
    every = (*task.cases, *hidden_cases(NAME)[task.address])
    return [pytest.param(case, id=case.say) for case in every]


@pytest.mark.parametrize("case", cases(REQUEST))
def test_a_server_reads_the_request_so(case: Case) -> None:
    import h11

    method, path, body = case.arguments
    if case.want is ValueError:
        with pytest.raises(ValueError):
            written(*case.arguments)
        return
    assert written(*case.arguments) == case.want
    wire = h11.Connection(h11.SERVER)
    wire.receive_data(case.want)
    event = wire.next_event()
    assert isinstance(event, h11.Request) and (event.method, event.target) == (method.encode(), path.encode())
    rest = wire.next_event()
    assert (bytes(rest.data).decode() if isinstance(rest, h11.Data) else "") == body


@pytest.mark.parametrize("case", cases(RESPONSE))
def test_a_client_reads_the_answer_so(case: Case) -> None:
    import h11

    if case.want is ValueError:
        with pytest.raises(ValueError):
            read(*case.arguments)
        return
    assert read(*case.arguments) == case.want
    wire = h11.Connection(h11.CLIENT)
    wire.send(h11.Request(method="GET", target="/", headers=[("Host", "docker")]))
    wire.send(h11.EndOfMessage())
    wire.receive_data(case.arguments[0])
    wire.receive_data(b"")
    event, body = wire.next_event(), b""
    assert isinstance(event, h11.Response) and event.status_code == case.want[0]
    while isinstance(event := wire.next_event(), h11.Data):
        body += event.data
    assert body == case.want[2]


@pytest.mark.parametrize("case", cases(FRAMES))
def test_the_engine_takes_the_same_frames(case: Case) -> None:
    whole = Frames(tty=False)
    assert (list(whole.feed(*case.arguments)), whole.rest) == case.want == frames(*case.arguments)


@pytest.mark.parametrize("case", cases(FIND))
def test_the_daemon_finds_the_same(case: Case) -> None:
    table, method, path = case.arguments
    handlers = {name: (lambda _: Response()) for _, _, name in table}
    routes = Routes((verb, pattern, handlers[name]) for verb, pattern, name in table)
    if case.want is LookupError:
        with pytest.raises((NotFound, NoMethod)):
            routes.find(method, path)
    else:
        handler, variables = routes.find(method, path)
        assert (handler is handlers[case.want[0]], variables) == (True, case.want[1])


@pytest.mark.parametrize("case", cases(SPOKEN))
def test_the_daemon_speaks_the_same(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    path, oldest, newest = case.arguments
    monkeypatch.setattr(api, "OLDEST", oldest)
    monkeypatch.setattr(api, "NEWEST", newest)
    if case.want is ValueError:
        with pytest.raises(InvalidArgument, match=r"is too (new|old)"):
            api.spoken(path)
    else:
        assert api.spoken(path) == case.want


# The transplant


def test_the_solution_serves_the_same_clients(solved: dict[str, Any]) -> None:
    verdict = open_exercise(NAME, solved).transplant()
    assert verdict.voice == "passed", verdict.twin
    assert all(line.endswith(" in both") for line in verdict.lines[:-1]) and " 0 times" not in verdict.lines[-1]
    assert "201, 204, 200, 200; 1 b'apples\\n' 2 b'3 left\\n'" in verdict.twin
    assert '{"message": "No such container: my web"}' in verdict.twin


@pytest.mark.parametrize(
    ("name", "organ", "said"),
    [
        ("response", never_chunked, "by hand: yours"),
        ("frames", always_stdout, "by hand: yours 201, 204, 200, 200; 1 b'3 left"),
        ("find", mistaken("one_part_only", more="[^/]+"), "page not found"),
        ("spoken", as_words, "/v1.4/info 200"),
    ],
)
def test_one_wrong_organ(solved: dict[str, Any], name: str, organ: Callable[..., Any], said: str) -> None:
    before = set(threading.enumerate())  # other tests of this session may have a server, too
    verdict = daemon.transplant(solved | {name: organ})
    assert not verdict.passed and said in verdict.twin
    assert not [thread for thread in threading.enumerate() if thread.name == "web-accept" and thread not in before]


def test_the_table_of_the_task_is_a_part_of_the_daemons() -> None:
    from minidocker.daemon.table import TABLE

    real = {(route.method, re.sub(r"\{(\w+)(\.\.\.)?\}", r"{\1\2}", route.path)) for route in TABLE}
    assert {(method, path) for method, path, _ in TINY} - real == {("DELETE", "/containers/{id}")}  # there: {id...}
