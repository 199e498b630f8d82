"""Exercise 08: what a name means, what a registry asks for, which image of an index, a blob that comes, one that goes.

The transplant is a conversation with a registry of our own on loopback, which gives tokens: an index of two images is
pushed, pulled and pulled again after somebody changed a byte there. Each upload of the learner's is cut once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from minidocker.content import INDEX, Descriptor, Store
from minidocker.errors import APIError, CorruptBlob, NotFound
from minidocker.grading.compare import Prop
from minidocker.grading.exercise import Case, Task
from minidocker.grading.operation import Organs, Outcome, core, counted, operate
from minidocker.grading.show import show_lines, show_text
from minidocker.grading.transplant import Functions
from minidocker.grading.verdict import Verdict
from minidocker.notebook.pictures.svg import Figure
from minidocker.platforms import Platform
from minidocker.reference import Reference
from minidocker.registry import challenge, resolve
from minidocker.registry.challenge import Challenge
from minidocker.registry.client import Repository
from minidocker.registry.download import Download
from minidocker.registry.upload import Source, Upload

if TYPE_CHECKING:
    from minidocker.engine import Engine
    from minidocker.image import Image

# Pictures


def show_name(title: str, value: tuple[str, str, str, str], _arguments: tuple[Any, ...]) -> Figure:
    """The four parts of a name."""
    words = ("registry", "repository", "tag", "digest")
    return show_text(title, [f"{word:<11}{part or '-'}" for word, part in zip(words, value, strict=True)])


def show_challenge(title: str, value: tuple[str, Mapping[str, str]], _arguments: tuple[Any, ...]) -> Figure:
    """The scheme, and one parameter a line."""
    return show_text(title, [value[0], *(f"  {name} = {said}" for name, said in value[1].items())])


def show_entries(title: str, value: str, arguments: tuple[Any, ...]) -> Figure:
    """The entries of an index, and which one it is."""
    lines = []
    for entry in arguments[0]:
        platform = entry.get("platform") or {}
        said = "/".join(filter(None, (platform.get(key) for key in ("os", "architecture", "variant"))))
        what = "  (an attestation)" if entry.get("annotations") else ""
        lines.append(f"{'>' if entry['digest'] == value else ' '} {entry['digest']} {said or 'no platform'}{what}")
    return show_text(title, [*lines, f"for {arguments[1][0]}"])


# Specifications

PINNED = "sha256:" + "0123456789abcdef" * 4
HUB = "Docker Hub is docker.io, and an image there without a slash in its name belongs to library/."
FIRST = "The part before the first slash is a registry only if it has a dot or a colon in it, or is localhost."
PORT = "The colon of a port comes before a slash, that of a tag after the last one."
NAME = Task(
    "8.1",
    "parse_name",
    ("text",),
    "So Docker knows whom to ask, and for what",
    (
        Case("a name alone", ("app",), ("docker.io", "library/app", "latest", ""), HUB),
        Case("with a tag", ("app:1.2",), ("docker.io", "library/app", "1.2", ""), "What follows the colon is the tag."),
        Case("of a team", ("team/app",), ("docker.io", "team/app", "latest", ""), f"{FIRST} Here it is a team."),
        Case("of a registry", ("ghcr.io/team/app:2",), ("ghcr.io", "team/app", "2", ""), FIRST),
        Case("of a registry, without a team", ("ghcr.io/app",), ("ghcr.io", "app", "latest", ""), "library/ is Hub's."),
        Case("a port is no tag", ("registry:5000/app",), ("registry:5000", "app", "latest", ""), PORT),
        Case("a port and a tag", ("registry:5000/app:1",), ("registry:5000", "app", "1", ""), PORT),
        Case("this machine", ("localhost/app",), ("localhost", "app", "latest", ""), FIRST),
        Case("Docker Hub by its name", ("docker.io/app",), ("docker.io", "library/app", "latest", ""), HUB),
        Case(
            "a digest",
            (f"team/app@{PINNED}",),
            ("docker.io", "team/app", "", PINNED),
            "With a digest, and no tag, there is no tag: not even latest. Split at the @ first.",
        ),
        Case(
            "a tag and a digest, of a registry",
            (f"registry:5000/team/app:1@{PINNED}",),
            ("registry:5000", "team/app", "1", PINNED),
            "All four. Split at the @ first: a digest has a colon too.",
        ),
    ),
    (
        "First the digest: text, _, digest = text.partition('@'). Then the registry: what is before the first slash?",
        "head, slash, rest = text.partition('/'). A registry, if slash and ('.' in head or ':' in head or …).",
        "Then the tag: rest.partition(':'). At last: latest where neither is there, library/ on docker.io.",
    ),
    Reference.parse,
    show_name,
    2,
)
SCOPE = "repository:team/app:pull,push"
COMMA = "A comma within quotes separates nothing: a split at commas cuts the scope in two."
CHALLENGE = Task(
    "8.2",
    "parse_challenge",
    ("header",),
    "So a client learns where tokens are to be had, and for what it must ask",
    (
        Case("one parameter", ('Basic realm="x"',), ("basic", {"realm": "x"}), "The scheme in lower case, and a dict."),
        Case(
            "Docker Hub's",
            ('Bearer realm="https://auth.docker.io/token",service="registry.docker.io"',),
            ("bearer", {"realm": "https://auth.docker.io/token", "service": "registry.docker.io"}),
            "Between parameters stands a comma.",
        ),
        Case(
            "with a scope",
            (f'Bearer realm="https://a/token",scope="{SCOPE}",service="a"',),
            ("bearer", {"realm": "https://a/token", "scope": SCOPE, "service": "a"}),
            COMMA,
        ),
        Case(
            "an address with a question",
            ('Bearer realm="https://a/token?x=1",service="a"',),
            ("bearer", {"realm": "https://a/token?x=1", "service": "a"}),
            "The first = separates name and value; others belong to the value.",
        ),
        Case(
            "blanks after commas",
            ('Bearer realm="https://a/token", service="a b"',),
            ("bearer", {"realm": "https://a/token", "service": "a b"}),
            "Blanks may stand around a comma; those within quotes belong to the value.",
        ),
        Case("without quotes", ("Basic realm=x",), ("basic", {"realm": "x"}), "A plain word needs no quotes."),
        Case(
            "names are written in any way",
            ('BEARER Realm="https://A/",SERVICE="A"',),
            ("bearer", {"realm": "https://A/", "service": "A"}),
            "Scheme and names are the same in capitals; values are not: only the former go to lower case.",
        ),
        Case("nothing but a scheme", ("Negotiate",), ("negotiate", {}), "There need be no parameters."),
    ),
    (
        "scheme, _, rest = header.partition(' ')",
        "A regular expression finds them one by one: a name, =, and a value in quotes or without.",
        're.findall(r\'(\\w+)=(?:"([^"]*)"|([^\\s,"]+))\', rest) gives (name, quoted, plain) for each.',
    ),
    challenge.parse,
    show_challenge,
    2,
)


def _entry(digest: str, os: str = "", architecture: str = "", variant: str = "", **more: Any) -> dict[str, Any]:
    platform = {"os": os, "architecture": architecture} | ({"variant": variant} if variant else {})
    return {"digest": f"sha256:{digest}", **({"platform": platform} if os else {}), **more}


ATTESTED = {"vnd.docker.reference.type": "attestation-manifest"}
AMD, ARM64 = _entry("aa", "linux", "amd64"), _entry("bb", "linux", "arm64")
V6, V7 = _entry("66", "linux", "arm", "v6"), _entry("77", "linux", "arm", "v7")
ON_V7, ON_AMD = ["linux/arm/v7", "linux/arm/v6", "linux/arm/v5"], ["linux/amd64", "linux/386"]
CHOOSE = Task(
    "8.3",
    "choose",
    ("entries", "platforms"),
    "So one name runs on a laptop, a server and a Raspberry Pi",
    (
        Case("the only one", ([AMD], ON_AMD), "sha256:aa", "os/architecture, joined by a slash, is a platform."),
        Case("the second one", ([ARM64, AMD], ON_AMD), "sha256:aa", "Compare each entry's platform with those wanted."),
        Case("a variant", ([V6, V7], ON_V7), "sha256:77", "The best platform that is there, not the first entry."),
        Case("an older one will do", ([AMD, V6], ON_V7), "sha256:66", "v7 runs what is for v6; so `platforms` says."),
        Case(
            "the best one comes last",
            ([_entry("55", "linux", "arm", "v5"), V6, V7], ON_V7),
            "sha256:77",
            "Go through the platforms, and for each of them through the entries.",
        ),
        Case(
            "another system",
            ([_entry("cc", "windows", "amd64"), AMD], ON_AMD),
            "sha256:aa",
            "The system counts: windows/amd64 is not linux/amd64.",
        ),
        Case(
            "an attestation about an image",
            ([_entry("dd", "linux", "amd64", annotations=ATTESTED), AMD], ON_AMD),
            "sha256:aa",
            "An entry with the annotation vnd.docker.reference.type is no image.",
        ),
        Case(
            "other annotations",
            ([_entry("ee", "linux", "amd64", annotations={"who": "me"}), AMD], ON_AMD),
            "sha256:ee",
            "Only that one annotation says that it is no image. Of two that fit the first counts.",
        ),
        Case(
            "one without a platform",
            ([_entry("ff"), AMD], ON_AMD),
            "sha256:aa",
            "`platform` may be missing: entry.get('platform') or {}",
        ),
        Case("none that fits", ([ARM64], ON_AMD), LookupError, "Any other one would not start: raise LookupError()."),
        Case("none at all", ([], ON_AMD), LookupError, "raise LookupError()"),
    ),
    (
        "Write a helper that makes `linux/arm/v7` of an entry's platform; the variant may be missing.",
        "for platform in platforms: for entry in entries: the first one that is it, and is an image.",
        "After both loops: raise LookupError('no matching manifest')",
    ),
    resolve.best,
    show_entries,
    2,
)


class Endless(Prop):
    """Chunks that never end, as a hostile server may send them."""

    def fresh(self) -> Endless:
        """The same."""
        return self

    def __repr__(self) -> str:
        return "chunks without end"

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(1000):
            yield b"more"
        raise RuntimeError("it read on and on, far beyond the size that was promised")


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


HELLO, EMPTY = _digest(b"hello"), _digest(b"")
BYTES = "'sha256:' + hashlib.sha256(data).hexdigest() is to be the digest; else raise ValueError."
RECEIVE = Task(
    "8.4",
    "receive",
    ("chunks", "digest", "size"),
    "Who checks this need not trust the registry, nor anybody between",
    (
        Case("one chunk", ([b"hello"], HELLO, 5), b"hello", "Put the chunks together, and return them."),
        Case("several", ([b"he", b"l", b"lo"], HELLO, 5), b"hello", "The digest is of all the chunks together."),
        Case("nothing", ([], EMPTY, 0), b"", "An empty blob has a digest too."),
        Case("another byte", ([b"hellO"], HELLO, 5), ValueError, BYTES),
        Case("it is cut", ([b"he", b"l"], HELLO, 5), ValueError, BYTES),
        Case("more than was promised", ([b"hello", b"!"], HELLO, 5), ValueError, "Not even one byte too many."),
        Case(
            "the right digest, another size",
            ([b"hello"], HELLO, 4),
            ValueError,
            "The manifest promises both, and both have to be true.",
        ),
        Case("it is shorter than its size", ([b"hello"], HELLO, 6), ValueError, "Both have to be true."),
        Case("nothing, with a size", ([], HELLO, 5), ValueError, BYTES),
        Case(
            "it never ends",
            (Endless(), HELLO, 5),
            ValueError,
            "Look at the size at each chunk, and stop at once: else a hostile server fills your disk.",
        ),
    ),
    (
        "data = b'', and for each chunk: data += chunk.",
        "Within the loop: if len(data) > size, raise ValueError.",
        "After it: if len(data) != size, or the digest is another one, raise ValueError. Else return data.",
    ),
    Repository.small_blob,
    show_lines,
    2,
)


class There(Prop):
    """A registry at the other end of one upload, which takes `most` bytes at once. `keeps`: of the request with that
    number it keeps so many bytes only; in `cuts` are those requests that get no answer.
    """

    def __init__(self, keeps: Mapping[int, int] | None = None, cuts: Sequence[int] = (), most: int = 4) -> None:
        self.keeps, self.cuts, self.most, self.data, self.requests = keeps or {}, cuts, most, b"", 0

    def fresh(self) -> There:
        """Nothing has been sent."""
        return There(self.keeps, self.cuts, self.most)

    def __repr__(self) -> str:
        return f"a registry (request {', '.join(map(str, self.cuts[:5]))} is cut)" if self.cuts else "a registry"

    def patch(self, content_range: str, data: bytes) -> str:
        """Take a chunk; how far it has come now."""
        self.requests += 1
        if self.requests > 40:
            raise RuntimeError("40 requests, and no end: give up after five cuts in a row")
        first, _, last = content_range.partition("-")
        if not data or int(last) - int(first) + 1 != len(data):
            raise ValueError(f"400: Content-Range {content_range}, but {len(data)} bytes came")
        if len(data) > self.most:
            raise ValueError(f"413: a chunk has at most {self.most} bytes, and this one {len(data)}")
        if int(first) != len(self.data):
            raise ValueError(f"416: the chunk begins at {first}, but {len(self.data)} bytes are here")
        self.data += data[: self.keeps.get(self.requests, 0 if self.requests in self.cuts else len(data))]
        if self.requests in self.cuts:
            raise ConnectionError("the connection was cut")
        return self.status()

    def status(self) -> str:
        """How far it has come."""
        return f"0-{max(len(self.data) - 1, 0)}"

    def put(self, digest: str) -> str:
        """That was all."""
        if digest != _digest(self.data):
            raise ValueError(f"400 DIGEST_INVALID: {len(self.data)} bytes are here, and their digest is another one")
        return f"/v2/app/blobs/{digest}"


def _sent(data: bytes) -> str:
    return f"/v2/app/blobs/{_digest(data)}"


TEN = b"abcdefghij"
ASK = "After a ConnectionError ask there.status() how far it came, and go on from there."
UPLOAD = Task(
    "8.5",
    "upload",
    ("blob", "size", "there"),
    "So a layer of a gigabyte survives a bad connection",
    (
        Case(
            "one chunk",
            (b"hello", 16, There(most=16)),
            _sent(b"hello"),
            "there.patch('0-4', b'hello'), then there.put('sha256:…'); what put gives is the result.",
        ),
        Case("several", (TEN, 4, There()), _sent(TEN), "0-3, 4-7, 8-9: the last byte's number, not the one after it."),
        Case("no rest", (TEN[:8], 4, There()), _sent(TEN[:8]), "Two chunks; a third one would be empty."),
        Case("an empty blob", (b"", 4, There()), _sent(b""), "There is nothing to patch: only put."),
        Case("a cut, and nothing came", (TEN, 4, There(cuts=[2])), _sent(TEN), ASK),
        Case(
            "a cut, and half of it came",
            (TEN, 4, There({2: 2}, [2])),
            _sent(TEN),
            f"{ASK} The next chunk begins there: not where the one before began, nor where it would have ended.",
        ),
        Case(
            "a cut at the very beginning",
            (TEN, 4, There(cuts=[1])),
            _sent(TEN),
            "0-0 means that nothing is there yet. (It could mean one byte; registries do not.)",
        ),
        Case(
            "not all of a chunk was taken",
            (TEN, 4, There({1: 3})),
            _sent(TEN),
            "patch gives how far it came, as status does. It may be less than what was sent: go on from there.",
        ),
        Case("four cuts in a row", (TEN, 4, There(cuts=[2, 3, 4, 5])), _sent(TEN), "Four are not five: go on."),
        Case(
            "four cuts, twice",
            (TEN, 4, There(cuts=[1, 2, 3, 4, 6, 7, 8, 9])),
            _sent(TEN),
            "A chunk that arrives ends the row of cuts: count anew.",
        ),
        Case(
            "nobody is there", (TEN, 4, There(cuts=range(1, 99))), ConnectionError, "At the fifth cut in a row, raise."
        ),
    ),
    (
        "while at < len(blob): part = blob[at : at + size], and its range is f'{at}-{at + len(part) - 1}'.",
        "at = int(said.partition('-')[2]) + 1 for what patch or status said; but 0 where it said 0-0.",
        "try: … cuts = 0; except ConnectionError: cuts += 1; if cuts == 5: raise; then ask there.status().",
    ),
    Upload.send,
    show_lines,
    3,
)
TASKS = (NAME, CHALLENGE, CHOOSE, RECEIVE, UPLOAD)

# The transplant

PLATFORMS = ("linux/arm/v6", "linux/arm64")
WANTED = ("linux/arm/v7", "linux/arm64")  # what is asked for; the first one is not there, but an older one is
CHUNK = 4096  # bytes of the learner's PATCH
FILES = {"words": "".join(hashlib.sha256(bytes([n])).hexdigest() for n in range(256)), "hello": "hello\n"}
RECIPE = (
    "FROM scratch\nARG TARGETPLATFORM\nCOPY --chmod=644 words /\nCOPY --chmod=644 hello /\nENV FOR=$TARGETPLATFORM\n"
)
WHO = {"username": "ada", "password": "secret"}


def transplant(namespace: MutableMapping[str, Any]) -> Verdict:
    """Push and pull through a registry, with the reference's functions and with the learner's."""
    return operate(counted(namespace, TASKS), grafts, _live, FILES, runtime="simulated")


def grafts(organs: Organs) -> Functions:
    """Which of the engine's functions the learner's take the place of."""
    return {
        Reference.parse: _parse(organs["parse_name"]),
        challenge.parse: _challenges(organs["parse_challenge"]),
        resolve.best: _best(organs["choose"]),
        Repository.small_blob: _small_blob(organs["receive"]),
        Download._rest: _rest(organs["receive"]),
        Upload.send: _send(organs["upload"]),
    }


def _live(engine: Engine, folder: Path, title: str) -> Outcome:
    from minidocker.registry.server import Registry
    from minidocker.registry.serving import serving
    from minidocker.registry.users import Users, line

    with TemporaryDirectory() as place:
        store = Store(Path(place) / "registry")
        registry = Registry(store, Users.parse(line(WHO["username"], WHO["password"], cost=4)), anonymous_pull=True)
        with serving(registry, "127.0.0.1:0") as url:
            name = f"{url.partition('//')[2]}/team/app"
            entries = [_pushed(engine, folder, name, platform) for platform in PLATFORMS]
            _push_index(engine, name, entries)
            facts = {"in full": ", ".join(Reference.parse(one).full for one in ("app", f"team/app@{PINNED}"))}
            for number, platform in enumerate(WANTED):
                image = _pulled(Path(place) / str(number), f"{name}:all", platform)
                facts[f"pulled for {platform}"] = image if isinstance(image, str) else image.id
            facts["where a byte was changed"] = _tampered(store, engine, name, Path(place) / "last")
        return Outcome(facts, core(engine.images.get(f"{name}:0"), engine, title))


def _pushed(engine: Engine, folder: Path, name: str, platform: str) -> dict[str, Any]:
    """Build an image for a platform, push it, and give its entry for an index."""
    tag = f"{name}:{PLATFORMS.index(platform)}"
    engine.images.build(path=str(folder), text=RECIPE, tag=tag, platform=platform)
    engine.images.registries.push(Reference.parse(tag), False, WHO)
    there = engine.images.get_registry_data(tag, auth_config=WHO).attrs["Descriptor"]
    blob = {"mediaType": there["mediaType"], "digest": there["digest"], "size": there["size"]}
    return blob | {"platform": Platform.parse(platform).config}


def _push_index(engine: Engine, name: str, entries: list[dict[str, Any]]) -> None:
    """Put an index of these images there, and an attestation that looks like one."""
    liar = entries[0] | {"annotations": ATTESTED, "platform": entries[1]["platform"]}
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [liar, *entries]}
    where = Reference.parse(name)
    with closing(engine.images.registries.client(WHO)) as client:
        there = client.repository(where.domain, where.path)
        there.pushes = True
        there.put_manifest("all", json.dumps(index).encode(), INDEX)


def _pulled(root: Path, name: str, platform: str) -> Image | str:
    """The image that another machine gets, or why it gets none."""
    from minidocker.engine import connect

    with closing(connect(root)) as other:
        try:
            image: Image = other.images.pull(name, platform=platform)
        except APIError as error:
            return f"refused: {type(error).__name__}"
        return image


def _tampered(store: Store, engine: Engine, name: str, root: Path) -> str:
    """What becomes of a pull when somebody has changed a byte of the configuration at the registry."""
    path = store.path(engine.images.get(f"{name}:1").id)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"FOR=l", b"FOR=L"))
    got = _pulled(root, f"{name}:1", "")
    return got if isinstance(got, str) else "taken for good"


# The adapters


def _parse(parse_name: Callable[[str], tuple[str, str, str, str]]) -> Callable[[str], Reference]:
    """`Reference.parse`, after the engine has refused what is no name."""
    right = Reference.parse

    def parse(text: str) -> Reference:
        right(text)
        return Reference(*parse_name(text))

    return parse


def _challenges(parse_challenge: Callable[[str], tuple[str, dict[str, str]]]) -> Callable[[str], list[Challenge]]:
    """`challenge.parse`, of headers with one challenge."""
    return lambda header: [Challenge(*parse_challenge(header))]


def _best(choose: Callable[..., str]) -> Callable[[dict[str, Any], str], dict[str, Any]]:
    """`resolve.best`, with platforms as the engine writes them."""

    def best(index: dict[str, Any], platform: str) -> dict[str, Any]:
        wanted = Platform.parse(platform)
        try:
            digest = choose(index["manifests"], [str(one) for one in wanted.runs()])
        except LookupError:
            raise NotFound(f"no matching manifest for {wanted} in the manifest list entries") from None
        return next(dict(one) for one in index["manifests"] if one["digest"] == digest)

    return best


Receive = Callable[..., bytes]


def _received(receive: Receive, chunks: Iterator[bytes], blob: Descriptor) -> bytes:
    try:
        return receive(chunks, blob.digest, blob.size)
    except ValueError as error:
        raise CorruptBlob(f"blob {blob.digest}: {error}") from error


def _small_blob(receive: Receive) -> Callable[[Repository, Descriptor], bytes]:
    """`Repository.small_blob`: a configuration."""

    def small_blob(there: Repository, blob: Descriptor) -> bytes:
        with there.blob(blob.digest) as answer:
            return _received(receive, answer.chunks(), blob)

    return small_blob


def _rest(receive: Receive) -> Callable[[Download, int], Iterator[bytes]]:
    """`Download._rest`: a layer, in one piece here."""
    right = Download._rest

    def rest(download: Download, start: int) -> Iterator[bytes]:
        yield _received(receive, right(download, start), download.blob)

    return rest


class Line:
    """An `Upload` as the learner's function sees it, with a bad connection: the first chunk is cut in the middle."""

    def __init__(self, upload: Upload) -> None:
        self.engine, self.cut = upload, False

    def _ask(self, method: str, url: str, why: str, range_: str = "", data: bytes = b"") -> tuple[str, str]:
        headers = {"Content-Range": range_} if range_ else {}
        body = (lambda: [data]) if method != "GET" else None
        with self.engine.repository.ask(method, url, why, [201, 202, 204], headers, body, len(data)) as answer:
            if method == "PATCH":
                self.engine._moved(answer)
            return answer.header("Range"), answer.header("Location")

    def patch(self, content_range: str, data: bytes) -> str:
        """PATCH."""
        if not self.cut and len(data) > 1:
            self.cut, first, half = True, int(content_range.partition("-")[0]), data[: len(data) // 2 + 1]
            self._ask("PATCH", self.engine.location, "half of it", f"{first}-{first + len(half) - 1}", half)
            raise ConnectionError("the connection was cut")
        return self._ask("PATCH", self.engine.location, "a part of the blob", content_range, data)[0]

    def status(self) -> str:
        """GET."""
        return self._ask("GET", self.engine.location, "how far did it come?")[0]

    def put(self, digest: str) -> str:
        """PUT."""
        url = f"{self.engine.location}{'&' if '?' in self.engine.location else '?'}digest={digest}"
        return self._ask("PUT", url, "that was all: its digest")[1]


def _send(upload: Callable[..., str]) -> Callable[[Upload, Source], Descriptor]:
    """`Upload.send`, of what is all there."""

    def send(engine: Upload, source: Source) -> Descriptor:
        engine.open()
        count, _ = source.available(0, 1 << 40)
        upload(b"".join(source.chunks(0, count)), CHUNK, Line(engine))
        return source.blob

    return send
