"""Exercise 08: each wrong solution gets the hint that is meant for it; the cases are what the engine does."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from minidocker.errors import CorruptBlob, NotFound
from minidocker.grading import open_exercise, registries
from minidocker.grading.exercise import Case
from minidocker.grading.registries import CHALLENGE, CHOOSE, NAME, RECEIVE, UPLOAD
from minidocker.reference import Reference
from minidocker.registry import challenge, resolve
from tests.grading.proofs import each_gets_its_hint

SOURCE = Path(__file__).parents[2] / "exercises" / "08-registries" / "source.ipynb"
Name = tuple[str, str, str, str]


def parsed(text: str) -> Name:
    name = Reference.parse(text)
    return name.domain, name.path, name.tag, name.digest


borrows = parsed


def by_hand(text: str, is_registry: Callable[[str], bool], *, library: bool = True, latest: bool = False) -> Name:
    text, _, digest = text.partition("@")
    head, slash, rest = text.partition("/")
    registry, rest = (head, rest) if slash and is_registry(head) else ("docker.io", text)
    path, _, tag = rest.partition(":")
    path = f"library/{path}" if library and registry == "docker.io" and "/" not in path else path
    return registry, path, tag or ("latest" if latest or not digest else ""), digest


def right_registry(head: str) -> bool:
    return "." in head or ":" in head or head == "localhost"


def no_library(text: str) -> Name:
    return by_hand(text, right_registry, library=False)


def any_head(text: str) -> Name:
    return by_hand(text, lambda _: True)


def dots_only(text: str) -> Name:
    return by_hand(text, lambda head: "." in head)


def no_localhost(text: str) -> Name:
    return by_hand(text, lambda head: "." in head or ":" in head)


def always_latest(text: str) -> Name:
    return by_hand(text, right_registry, latest=True)


def tag_first(text: str) -> Name:
    name, _, tag = text.partition(":")
    registry, path, _, digest = by_hand(name, right_registry)
    return registry, path, tag or "latest", digest


def digest_or_tag(text: str) -> Name:
    registry, path, tag, digest = by_hand(text, right_registry)
    return registry, path, "" if digest else tag, digest


def library_everywhere(text: str) -> Name:
    registry, path, tag, digest = by_hand(text, right_registry)
    return registry, path if "/" in path else f"library/{path}", tag, digest


Challenged = tuple[str, dict[str, str]]


def at_commas(header: str) -> Challenged:
    scheme, _, rest = header.partition(" ")
    pairs = (part.strip().partition("=") for part in rest.split(",") if part)
    return scheme.lower(), {name.lower(): value.strip('"') for name, _, value in pairs}


def at_every_equals(header: str) -> Challenged:
    scheme, _, rest = header.partition(" ")
    found = re.findall(r'(\w+)=(?:"([^"=]*)"|([^\s,"]+))', rest)
    return scheme.lower(), {name.lower(): quoted or plain for name, quoted, plain in found}


def quoted_only(header: str) -> Challenged:
    scheme, _, rest = header.partition(" ")
    return scheme.lower(), {name.lower(): value for name, value in re.findall(r'(\w+)="([^"]*)"', rest)}


def all_lower(header: str) -> Challenged:
    scheme, parameters = solved_challenge(header)
    return scheme, {name: value.lower() for name, value in parameters.items()}


def as_it_is(header: str) -> Challenged:
    return header.split(" ")[0], solved_challenge(header)[1]


def solved_challenge(header: str) -> Challenged:
    scheme, _, rest = header.partition(" ")
    found = re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,"]+))', rest)
    return scheme.lower(), {name.lower(): quoted or plain for name, quoted, plain in found}


def no_blanks(header: str) -> Challenged:
    scheme, parameters = solved_challenge(header)
    return scheme, {name: value.replace(" ", "") for name, value in parameters.items()}


def needs_parameters(header: str) -> Challenged:
    scheme, rest = header.split(" ", 1)
    return scheme.lower(), solved_challenge(f"x {rest}")[1]


Entries = list[dict[str, Any]]


def name_of(entry: dict[str, Any]) -> str:
    platform = entry.get("platform") or {}
    return "/".join(platform[key] for key in ("os", "architecture", "variant") if platform.get(key))


def is_image(entry: dict[str, Any]) -> bool:
    return "vnd.docker.reference.type" not in entry.get("annotations", {})


def picked(entries: Entries, platforms: Iterable[str], name: Callable[[Any], str] = name_of) -> str:
    for platform in platforms:
        for entry in entries:
            if name(entry) == platform:
                return str(entry["digest"])
    raise LookupError


def the_first(entries: Entries, platforms: list[str]) -> str:  # noqa: ARG001
    return str(entries[0]["digest"])


def entries_first(entries: Entries, platforms: list[str]) -> str:
    return next(str(entry["digest"]) for entry in entries if is_image(entry) and name_of(entry) in platforms)


def only_the_best(entries: Entries, platforms: list[str]) -> str:
    return picked([*filter(is_image, entries)], platforms[:1])


def any_system(entries: Entries, platforms: list[str]) -> str:
    wanted = [platform.partition("/")[2] for platform in platforms]
    return picked([*filter(is_image, entries)], wanted, lambda entry: name_of(entry).partition("/")[2])


def believes_attestations(entries: Entries, platforms: list[str]) -> str:
    return picked(entries, platforms)


def no_annotations_at_all(entries: Entries, platforms: list[str]) -> str:
    return picked([entry for entry in entries if "annotations" not in entry], platforms)


def needs_a_platform(entries: Entries, platforms: list[str]) -> str:
    assert all(entry["platform"] for entry in entries)
    return picked([*filter(is_image, entries)], platforms)


def better_than_none(entries: Entries, platforms: list[str]) -> str:
    try:
        return picked([*filter(is_image, entries)], platforms)
    except LookupError:
        return str(entries[0]["digest"])


def gives_none(entries: Entries, platforms: list[str]) -> str | None:
    try:
        return picked([*filter(is_image, entries)], platforms)
    except LookupError:
        return None


def hashed(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def takes_all(chunks: Iterable[bytes], digest: str, size: int) -> bytes:  # noqa: ARG001
    return b"".join(chunks)


def at_the_end(chunks: Iterable[bytes], digest: str, size: int) -> bytes:
    data = b"".join(chunks)
    if hashed(data) != digest or len(data) != size:
        raise ValueError
    return data


def size_alone(chunks: Iterable[bytes], digest: str, size: int) -> bytes:  # noqa: ARG001
    data = b""
    for chunk in chunks:
        data += chunk
        if len(data) > size:
            raise ValueError
    if len(data) != size:
        raise ValueError
    return data


def digest_alone(chunks: Iterable[bytes], digest: str, size: int) -> bytes:  # noqa: ARG001
    data = b"".join(chunks)
    if hashed(data) != digest:
        raise ValueError
    return data


def cuts_off(chunks: Iterable[bytes], digest: str, size: int) -> bytes:
    data = b""
    for chunk in chunks:
        data += chunk
        if len(data) >= size:
            break
    return at_the_end([data[:size]], digest, size)


def each_chunk(chunks: Iterable[bytes], digest: str, size: int) -> bytes:
    return b"".join(at_the_end([chunk], digest, size) for chunk in chunks)


def sends(
    blob: bytes,
    size: int,
    there: Any,
    *,
    last: int = 1,
    most: int = 5,
    forget: bool = True,
    after: Callable[[str, int, int], int] = lambda said, _at, _size: 0 if said == "0-0" else int(said[2:]) + 1,
    trust: bool = False,
) -> str:
    at = cuts = 0
    while at < len(blob):
        part = blob[at : at + size]
        try:
            said = there.patch(f"{at}-{at + len(part) - last}", part)
            cuts = 0 if forget else cuts
            at = at + len(part) if trust else after(said, at, size)
        except ConnectionError:
            cuts += 1
            if cuts == most:
                raise
            at = after(there.status(), at, size)
    return str(there.put(hashed(blob)))


def one_beyond(blob: bytes, size: int, there: Any) -> str:
    return sends(blob, size, there, last=0)


def at_once(blob: bytes, size: int, there: Any) -> str:  # noqa: ARG001
    there.patch(f"0-{len(blob) - 1}", blob)
    return str(there.put(hashed(blob)))


def one_more(blob: bytes, size: int, there: Any) -> str:
    for at in range(0, len(blob) + 1, size):
        there.patch(f"{at}-{at + len(blob[at : at + size]) - 1}", blob[at : at + size])
    return str(there.put(hashed(blob)))


def gives_up(blob: bytes, size: int, there: Any) -> str:
    return sends(blob, size, there, most=1)


def the_same_again(blob: bytes, size: int, there: Any) -> str:
    def again(said: str, at: int, size: int) -> int:
        return int(said[2:]) + 1 if int(said[2:]) + 1 in (at + size, len(blob)) else at

    return sends(blob, size, there, after=again)


def from_the_beginning(blob: bytes, size: int, there: Any) -> str:
    def again(said: str, at: int, size: int) -> int:
        return int(said[2:]) + 1 if int(said[2:]) + 1 in (at + size, len(blob)) else 0

    return sends(blob, size, there, after=again)


def zero_is_a_byte(blob: bytes, size: int, there: Any) -> str:
    return sends(blob, size, there, after=lambda said, _at, _size: int(said[2:]) + 1)


def trusts_the_chunk(blob: bytes, size: int, there: Any) -> str:
    return sends(blob, size, there, trust=True)


def impatient(blob: bytes, size: int, there: Any) -> str:
    return sends(blob, size, there, most=4)


def counts_all_cuts(blob: bytes, size: int, there: Any) -> str:
    return sends(blob, size, there, forget=False)


def never_gives_up(blob: bytes, size: int, there: Any) -> str:
    return sends(blob, size, there, most=10**6)


def forgets_to_put(blob: bytes, size: int, there: Any) -> None:
    sends(blob, size, there)


WRONG: list[tuple[str, Callable[..., Any], str, str]] = [
    ("8.1", no_library, "under way", "belongs to library/"),
    ("8.1", any_head, "under way", "Here it is a team"),
    ("8.1", dots_only, "under way", "The colon of a port"),
    ("8.1", tag_first, "under way", "The colon of a port"),
    ("8.1", no_localhost, "under way", "or is localhost"),
    ("8.1", always_latest, "under way", "not even latest"),
    ("8.1", digest_or_tag, "under way", "All four"),
    ("8.1", library_everywhere, "under way", "library/ is Hub's"),
    ("8.1", borrows, "cannot pass", "minidocker's own parse()"),
    ("8.2", as_it_is, "under way", "The scheme in lower case"),
    ("8.2", at_commas, "under way", "A comma within quotes"),
    ("8.2", at_every_equals, "under way", "The first = separates"),
    ("8.2", no_blanks, "under way", "those within quotes belong to the value"),
    ("8.2", quoted_only, "under way", "A plain word needs no quotes"),
    ("8.2", all_lower, "under way", "values are not"),
    ("8.2", needs_parameters, "under way", "There need be no parameters"),
    ("8.3", the_first, "under way", "Compare each entry's platform"),
    ("8.3", entries_first, "under way", "The best platform that is there"),
    ("8.3", only_the_best, "under way", "v7 runs what is for v6"),
    ("8.3", any_system, "under way", "The system counts"),
    ("8.3", believes_attestations, "under way", "is no image"),
    ("8.3", no_annotations_at_all, "under way", "Only that one annotation"),
    ("8.3", needs_a_platform, "under way", "`platform` may be missing"),
    ("8.3", better_than_none, "under way", "Any other one would not start"),
    ("8.3", gives_none, "under way", "Any other one would not start"),
    ("8.4", takes_all, "under way", "is to be the digest"),
    ("8.4", each_chunk, "under way", "of all the chunks together"),
    ("8.4", size_alone, "under way", "is to be the digest"),
    ("8.4", digest_alone, "under way", "both have to be true"),
    ("8.4", cuts_off, "under way", "Not even one byte too many"),
    ("8.4", at_the_end, "under way", "fills your disk"),
    ("8.5", at_once, "under way", "0-3, 4-7, 8-9"),
    ("8.5", one_beyond, "under way", "there.patch('0-4', b'hello')"),
    ("8.5", one_more, "under way", "a third one would be empty"),
    ("8.5", gives_up, "under way", "After a ConnectionError ask"),
    ("8.5", the_same_again, "under way", "The next chunk begins there"),
    ("8.5", from_the_beginning, "under way", "After a ConnectionError ask"),
    ("8.5", zero_is_a_byte, "under way", "0-0 means that nothing is there"),
    ("8.5", trusts_the_chunk, "under way", "go on from there"),
    ("8.5", impatient, "under way", "Four are not five"),
    ("8.5", counts_all_cuts, "under way", "count anew"),
    ("8.5", never_gives_up, "under way", "At the fifth cut in a row"),
    ("8.5", forgets_to_put, "under way", "is there a `return`?"),
]


test_a_wrong_solution_gets_its_hint = each_gets_its_hint("08-registries", WRONG)


# The cases are the engine's own answers


def cases(task: Any) -> list[Any]:
    return [pytest.param(case, id=case.say) for case in task.cases]


@pytest.mark.parametrize("case", cases(NAME))
def test_the_engine_takes_names_apart_in_the_same_way(case: Case) -> None:
    assert parsed(*case.arguments) == case.want


@pytest.mark.parametrize("case", cases(CHALLENGE))
def test_the_engine_reads_the_same_challenge(case: Case) -> None:
    (found,) = challenge.parse(*case.arguments)
    assert (found.scheme, found.parameters) == case.want


@pytest.mark.parametrize("case", cases(CHOOSE))
def test_the_engine_chooses_the_same(case: Case) -> None:
    entries, platforms = case.arguments
    index = {"manifests": [entry | {"size": 1, "mediaType": "x", "digest": wide(entry["digest"])} for entry in entries]}
    if case.want is LookupError:
        with pytest.raises(NotFound):
            resolve.best(index, platforms[0])
    else:
        assert resolve.best(index, platforms[0])["digest"] == wide(case.want)


def wide(short: str) -> str:
    return "sha256:" + short.removeprefix("sha256:").ljust(64, "0")


def test_what_is_to_be_refused_is_refused() -> None:
    assert {case.want for case in RECEIVE.cases if isinstance(case.want, type)} == {ValueError}
    assert [case.want for case in UPLOAD.cases].count(ConnectionError) == 1


# The transplant


def test_the_solution_pushes_and_pulls_the_same(solved: dict[str, Any]) -> None:
    before = vars(Reference)["parse"]
    verdict = open_exercise("08-registries", solved).transplant()
    assert verdict.voice == "passed", verdict.twin
    assert all(line.endswith(" in both") for line in verdict.lines[:-1]) and " 0 times" not in verdict.lines[-1]
    assert "where a byte was changed: refused: CorruptBlob in both" in verdict.twin
    assert vars(Reference)["parse"] is before and isinstance(before, classmethod)


def test_wrong_organs_are_noticed(solved: dict[str, Any]) -> None:
    wrong = {"receive": takes_all, "choose": believes_attestations, "parse_name": always_latest}
    verdict = registries.transplant(solved | wrong)
    assert not verdict.passed
    assert "in full: yours" in verdict.twin and "pulled for linux/arm64: yours" in verdict.twin
    assert "where a byte was changed: yours refused: NotFound" in verdict.twin, "it is stored under its own digest"


@pytest.mark.parametrize(
    ("name", "organ", "said"),
    [("parse_challenge", as_it_is, "the engine refused"), ("upload", gives_up, "the connection was cut")],
)
def test_a_push_fails_by_a_wrong_organ(solved: dict[str, Any], name: str, organ: Callable[..., Any], said: str) -> None:
    verdict = registries.transplant(solved | {name: organ})
    assert not verdict.passed and said in verdict.twin


def test_a_blob_that_is_refused_is_corrupt_to_the_engine() -> None:
    from minidocker.content import Descriptor

    with pytest.raises(CorruptBlob, match="no"):
        registries._received(_says_no, iter([b""]), Descriptor("x", hashed(b""), 0))


def _says_no(*_: Any) -> bytes:
    raise ValueError("no")
