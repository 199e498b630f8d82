"""Exercise 10: what `-v` means, which mount answers for a path, what a volume begins with, what is pruned, a plugin.

The transplant is a small shop on the simulated runtime, with volumes of all kinds and a plugin, which is the learner's
own function behind a socket. What its containers see, and what is left after a prune, is compared.
"""

from __future__ import annotations

import http.server
import json
import os
import shutil
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from minidocker.container import mountpoints
from minidocker.container.options import volumes as options
from minidocker.errors import InvalidArgument
from minidocker.grading.compare import Prop
from minidocker.grading.exercise import Case, Task
from minidocker.grading.operation import Organs, Outcome, core, counted, operate
from minidocker.grading.show import show_lines, show_text, show_tree
from minidocker.grading.transplant import Functions
from minidocker.grading.verdict import Verdict
from minidocker.layer import Changeset, directory, file
from minidocker.notebook.pictures.svg import Figure
from minidocker.plugin import client
from minidocker.runtime import Bind, Stdio
from minidocker.runtime.simulated.files import Mounts
from minidocker.tree import Entry
from minidocker.volume import Volumes
from minidocker.volume.volume import ANONYMOUS

if TYPE_CHECKING:
    from minidocker.container import Container
    from minidocker.engine import Engine

Entries = dict[str, Entry]
Parsed = tuple[str, str, str, bool]

# Pictures


def show_mount(title: str, value: Parsed, _arguments: tuple[Any, ...]) -> Figure:
    """The four parts of a mount."""
    words = ("kind", "source", "target", "read-only")
    return show_text(
        title, [f"{word:<10}{part if part != '' else '-'}" for word, part in zip(words, value, strict=True)]
    )


def show_volume(title: str, value: Entries, _arguments: tuple[Any, ...]) -> Figure:
    """What is in a volume."""
    return show_tree(title, value, ({},))


def show_answer(title: str, value: Mapping[str, Any], arguments: tuple[Any, ...]) -> Figure:
    """A question to a plugin, and its answer."""
    return show_text(title, [f"POST {arguments[0]}", json.dumps(arguments[1]), f"-> {json.dumps(value)}"])


# Specifications

COLONS = "The parts stand between colons: source, target, and perhaps words."
TARGET = "Inside, only an absolute path will do, and not the root itself: raise ValueError."
WORDS = "After the second colon stand ro, rw, z or Z, separated by commas; anything else is an error."
PARSE = Task(
    "10.1",
    "parse_volume",
    ("text",),
    "So Docker knows what to mount, and where",
    (
        Case("a volume", ("orders:/data",), ("volume", "orders", "/data", False), COLONS),
        Case("a folder", ("/srv/desk:/data",), ("bind", "/srv/desk", "/data", False), "With a slash it is a folder."),
        Case("read-only", ("orders:/data:ro",), ("volume", "orders", "/data", True), "`ro` says read-only."),
        Case("writable, in so many words", ("orders:/data:rw",), ("volume", "orders", "/data", False), "rw is not ro."),
        Case(
            "a place alone",
            ("/data",),
            ("volume", "", "/data", False),
            "Without a colon there is no source: an anonymous volume, whose name is empty.",
        ),
        Case("two words", ("/srv:/data:z,ro",), ("bind", "/srv", "/data", True), WORDS),
        Case("a word for SELinux", ("orders:/data:Z",), ("volume", "orders", "/data", False), WORDS),
        Case(
            "a target in disorder",
            ("orders:/data/../books//a/",),
            ("volume", "orders", "/books/a", False),
            "posixpath.normpath puts a path in order.",
        ),
        Case(
            "a source in disorder",
            ("/srv/../x/:/data",),
            ("bind", "/x", "/data", False),
            "A folder of the host is a path too, and is put in order.",
        ),
        Case("a target that is not absolute", ("orders:data",), ValueError, TARGET),
        Case("a name alone", ("orders",), ValueError, TARGET),
        Case("the root", ("orders:/",), ValueError, TARGET),
        Case("the root, by a detour", ("orders:/data/..",), ValueError, f"{TARGET} Look after normpath."),
        Case("no source before the colon", (":/data",), ValueError, "No part may be empty."),
        Case("nothing after the colon", ("orders:",), ValueError, "No part may be empty."),
        Case("a word that nobody knows", ("orders:/data:fast",), ValueError, WORDS),
        Case("both at once", ("orders:/data:ro,rw",), ValueError, "ro and rw contradict each other."),
        Case("too much", ("a:/b:ro:c",), ValueError, "There are three parts at most."),
    ),
    (
        "parts = text.split(':'). One part is the target; two are source and target; three have the words too.",
        "First the errors: four parts or more, an empty one, a word not in {'ro', 'rw', 'z', 'Z'}, ro with rw.",
        "kind is 'bind' where source.startswith('/'), else 'volume'. Look at the target after posixpath.normpath.",
    ),
    options.bind,
    show_mount,
    2,
)
APP = {"/app": "desk", "/app/packages": "packages"}
WHOLE = "Names count as a whole: /database does not lie in /data. Compare with target + '/'."
ANSWERS = Task(
    "10.2",
    "answering",
    ("path", "mounts"),
    "The kernel asks this at every path that is opened",
    (
        Case("nothing is mounted", ("/data/a", {}), ("", "/data/a"), "Then the layers answer: ('', path)."),
        Case("in a mount", ("/data/a", {"/data": "orders"}), ("orders", "/a"), "What comes after the target."),
        Case("deep in it", ("/data/a/b/c", {"/data": "orders"}), ("orders", "/a/b/c"), "All that comes after it."),
        Case(
            "the target itself", ("/data", {"/data": "orders"}), ("orders", "/"), "It is the root of what is mounted."
        ),
        Case("beside it", ("/etc/passwd", {"/data": "orders"}), ("", "/etc/passwd"), "Then the layers answer."),
        Case("a name that begins alike", ("/database/a", {"/data": "orders"}), ("", "/database/a"), WHOLE),
        Case(
            "above it", ("/srv", {"/srv/data": "orders"}), ("", "/srv"), "It is not in the mount; the mount is in it."
        ),
        Case("a mount in a mount", ("/app/packages/x", APP), ("packages", "/x"), "The longest target wins."),
        Case(
            "listed the other way round",
            ("/app/packages/x", dict(reversed(APP.items()))),
            ("packages", "/x"),
            "Not the first nor the last one: the longest target that fits.",
        ),
        Case("beside the inner one", ("/app/main.py", APP), ("desk", "/main.py"), "The longest one *that fits*."),
        Case(
            "a longer one elsewhere",
            ("/a/x", {"/a": "short", "/very/long/place": "long"}),
            ("short", "/x"),
            "The longest one *that fits*.",
        ),
        Case("a target that comes twice in the path", ("/a/b/a/c", {"/a": "x"}), ("x", "/b/a/c"), "Cut it off once."),
    ),
    (
        "A target fits if path == target or path.startswith(target + '/').",
        "max(fitting, key=len) is the longest; where none fits, return ('', path).",
        "path[len(target):] or '/' is the path inside.",
    ),
    Mounts.route,
    show_lines,
    2,
)
MENU, PRICES = file(b"apples\n"), file(b"3\n", mode=0o600, uid=1000)
SAFE = directory(0o700, uid=1000)
IMAGE = {"/": directory(), "/data": SAFE, "/data/menu": MENU, "/data/old": directory(), "/data/old/prices": PRICES}
IMAGE |= {"/database": directory(), "/database/x": file(b"x"), "/note": file(b"a note")}
EMPTY, USED = {"/": directory()}, {"/": directory(), "/order": file(b"3 apples\n")}
FILLED = {"/": SAFE, "/menu": MENU, "/old": directory(), "/old/prices": PRICES}
FIRST = Task(
    "10.3",
    "filled",
    ("image", "place", "volume", "nocopy"),
    "This is why a named volume shows the image's files, and a bind mount does not",
    (
        Case(
            "an empty volume",
            (IMAGE, "/data", EMPTY, False),
            FILLED,
            "All that the image has below the place, and the place itself as '/', with its owner and its mode.",
        ),
        Case("a volume that was used", (IMAGE, "/data", USED, False), USED, "What is not empty stays as it is."),
        Case("nocopy", (IMAGE, "/data", EMPTY, True), EMPTY, "nocopy says: do not copy."),
        Case(
            "a place that the image has not", (IMAGE, "/books", EMPTY, False), EMPTY, "Then there is nothing to copy."
        ),
        Case("a place that is a file", (IMAGE, "/note", EMPTY, False), EMPTY, "Only a directory is copied."),
        Case(
            "deeper down",
            (IMAGE, "/data/old", EMPTY, False),
            {"/": directory(), "/prices": PRICES},
            "Cut the place off.",
        ),
        Case(
            "an empty directory of the image",
            ({"/": directory(), "/data": SAFE}, "/data", EMPTY, False),
            {"/": SAFE},
            "Nothing is in it, but its owner and mode are the volume's from now on.",
        ),
        Case(
            "a volume whose root has another owner",
            (IMAGE, "/data/old", {"/": SAFE}, False),
            {"/": directory(), "/prices": PRICES},
            "Empty means: nothing but '/' is in it.",
        ),
    ),
    (
        "First what needs no copy: nocopy, len(volume) > 1, no such place, not image[place].is_dir: return volume.",
        "Below a place are the paths that start with place + '/'.",
        "{'/': image[place]} | {path[len(place):]: entry for path, entry in image.items() if …}",
    ),
    mountpoints.content,
    show_volume,
    2,
)


def _volume(name: str, labels: Mapping[str, str] | None = None, driver: str = "local") -> dict[str, Any]:
    return {"Name": name, "Driver": driver, "Labels": labels}


def _user(*names: str, status: str = "running") -> dict[str, Any]:
    return {"State": status, "Mounts": [{"Type": "volume", "Name": name} for name in names]}


NOBODY = _volume("0a1b", {ANONYMOUS: ""})
OTHER = _volume("2c3d", {ANONYMOUS: "", "season": "spring"})
ORDERS, PLAN = _volume("orders"), _volume("plan", {"keep": "yes"})
HAS_IT = "A container that has it protects it: a mount of Type volume with its Name."
LABELS = "`label` is a key alone or key=value; empty means that labels do not matter."
UNUSED = Task(
    "10.4",
    "unused",
    ("volumes", "containers", "every", "label"),
    "This is what `docker volume prune` removes",
    (
        Case("nobody's, without a name", ([NOBODY], [], False, ""), ["0a1b"], "Return the names of those to remove."),
        Case("somebody has it", ([NOBODY], [_user("0a1b")], False, ""), [], HAS_IT),
        Case(
            "a stopped container has it",
            ([NOBODY], [_user("0a1b", status="exited")], False, ""),
            [],
            f"{HAS_IT} Running or not.",
        ),
        Case(
            "one with a name",
            ([NOBODY, ORDERS], [], False, ""),
            ["0a1b"],
            f"Without `every` only anonymous ones go: those with the label {ANONYMOUS}.",
        ),
        Case("--all", ([NOBODY, ORDERS], [], True, ""), ["0a1b", "orders"], "With `every` those with a name go, too."),
        Case("--all, and one is used", ([NOBODY, ORDERS], [_user("orders")], True, ""), ["0a1b"], HAS_IT),
        Case(
            "a bind mount of that name",
            ([ORDERS], [{"State": "running", "Mounts": [{"Type": "bind", "Source": "/orders"}]}], True, ""),
            ["orders"],
            "Only mounts of Type volume have a Name.",
        ),
        Case(
            "one of a plugin", ([_volume("far", driver="shelf"), NOBODY], [], True, ""), ["0a1b"], "Only Driver local."
        ),
        Case("by a label", ([NOBODY, OTHER], [], False, "season"), ["2c3d"], LABELS),
        Case("by a label's value", ([PLAN, ORDERS], [], True, "keep=yes"), ["plan"], LABELS),
        Case("by another value", ([PLAN], [], True, "keep=no"), [], LABELS),
        Case("a key that begins alike", ([PLAN], [], True, "kee"), [], "A key counts as a whole."),
        Case("in the order of names", ([PLAN, ORDERS, NOBODY], [], True, ""), ["0a1b", "orders", "plan"], "sorted(…)"),
    ),
    (
        "used = {mount['Name'] for container in containers for mount in container['Mounts'] if …}",
        "Labels may be None: labels = volume['Labels'] or {}.",
        "key, equals, value = label.partition('='); it fits if key in labels and (not equals or labels[key] == value).",
    ),
    Volumes.prune,
    show_lines,
    2,
)


class Shelf(Prop):
    """The folders that a plugin keeps its volumes in."""

    def __init__(self, *names: str) -> None:
        self.first, self.there = names, list(names)

    def fresh(self) -> Shelf:
        """As it was at first."""
        return Shelf(*self.first)

    def __repr__(self) -> str:
        return f"a shelf with {', '.join(self.first) or 'nothing'}"

    def names(self) -> list[str]:
        """All volumes, by name."""
        return sorted(self.there)

    def make(self, name: str) -> None:
        """Make a folder."""
        if name in self.there:
            raise FileExistsError(name)
        self.there.append(name)

    def delete(self, name: str) -> None:
        """Delete one."""
        self.there.remove(name)

    def path(self, name: str) -> str:
        """Where it is."""
        return f"/shelf/{name}"


class Folders(Shelf):
    """A shelf on a disk."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def make(self, name: str) -> None:
        """Make a folder."""
        super().make(name)
        (self.folder / name).mkdir()

    def delete(self, name: str) -> None:
        """Delete one."""
        super().delete(name)
        shutil.rmtree(self.folder / name)

    def path(self, name: str) -> str:
        """Where it is."""
        return str(self.folder / name)


def _asked(say: str, method: str, name: str, want: Any, hint: str, *there: str) -> Case:
    return Case(say, (method, {"Name": name} if name else {}, Shelf(*there)), want, hint)


BOOKS = {"Name": "books", "Mountpoint": "/shelf/books"}
NO_VOLUME, NO_METHOD = {"Err": "no such volume"}, {"Err": "unknown method"}
UNKNOWN = f"Of a volume that is not in shelf.names() say {NO_VOLUME}."
NOTHING = "There is nothing to tell: {}."
ANSWER = Task(
    "10.5",
    "answer",
    ("method", "asked", "shelf"),
    "A loop that reads requests, and this: that is a volume plugin",
    (
        _asked(
            "who are you?", "Plugin.Activate", "", {"Implements": ["VolumeDriver"]}, "A list of what it is good for."
        ),
        _asked("a new one", "VolumeDriver.Create", "books", {}, f"shelf.make(asked['Name']). {NOTHING}"),
        _asked(
            "one that is there", "VolumeDriver.Create", "books", {}, "Docker may ask twice: that is no error.", "books"
        ),
        _asked(
            "where is it?", "VolumeDriver.Path", "books", {"Mountpoint": "/shelf/books"}, "shelf.path(name)", "books"
        ),
        _asked("I need it", "VolumeDriver.Mount", "books", {"Mountpoint": "/shelf/books"}, "As with Path.", "books"),
        _asked("I need it no more", "VolumeDriver.Unmount", "books", {}, NOTHING, "books"),
        _asked(
            "what is it?",
            "VolumeDriver.Get",
            "books",
            {"Volume": BOOKS},
            "{'Volume': {'Name': …, 'Mountpoint': …}}",
            "books",
        ),
        _asked("mount what is not there", "VolumeDriver.Mount", "novels", NO_VOLUME, UNKNOWN, "books"),
        _asked("get what is not there", "VolumeDriver.Get", "novels", NO_VOLUME, UNKNOWN),
        _asked("remove what is not there", "VolumeDriver.Remove", "novels", NO_VOLUME, UNKNOWN),
        _asked("remove one", "VolumeDriver.Remove", "books", {}, f"shelf.delete(name). {NOTHING}", "books"),
        _asked("all of them, of none", "VolumeDriver.List", "", {"Volumes": []}, "An empty list, under Volumes."),
        _asked(
            "all of them",
            "VolumeDriver.List",
            "",
            {"Volumes": [BOOKS, {"Name": "maps", "Mountpoint": "/shelf/maps"}]},
            "Each of them as in Get.",
            "maps",
            "books",
        ),
        _asked(
            "for this machine alone?",
            "VolumeDriver.Capabilities",
            "",
            {"Capabilities": {"Scope": "local"}},
            "{'Capabilities': {'Scope': 'local'}}",
        ),
        _asked(
            "something new",
            "VolumeDriver.Snapshot",
            "books",
            NO_METHOD,
            f"Who knows no such method says {NO_METHOD}.",
            "books",
        ),
        _asked("for somebody else", "NetworkDriver.Create", "books", NO_METHOD, "It is no NetworkDriver."),
    ),
    (
        "First the methods that need no volume: Activate, Capabilities, List, Create. name = asked.get('Name', '').",
        "Then a method that nobody knows; then a name that is not in shelf.names(); then the rest.",
        "A helper for {'Name': name, 'Mountpoint': shelf.path(name)} serves Get and List.",
    ),
    client.ask,
    show_answer,
    3,
)
TASKS = (PARSE, ANSWERS, FIRST, UNUSED, ANSWER)

# The transplant

LONGEST = 100  # bytes of a UNIX socket's path: sun_path has 108 on Linux, and 104 elsewhere
FILES = {"shop/menu": "apples\npears\n", "shop/old/prices": "1\n2\n"}
RECIPE = """FROM minidocker/base
COPY --chown=1000 shop /data
RUN chmod 700 /data && mkdir /database && echo x > /database/y
"""
ASKED = ("orders:/data", "DESK:/desk:ro", "/cache", "orders:/data/../more:rw,z", "books:/database/books")
REFUSED = ("orders:data", "orders:/", "orders:/data:fast", ":/data", "a:/b:ro:c")
SCRIPT = """for place in /data /more /cache /database /desk; do echo $place: $(ls $place); done
ls -l / | grep data | cut -c1-17; cat /more/old/prices /database/y; echo 3 > /data/order; cat /more/order
echo 4711 > /database/books/one
touch /desk/x; echo $?"""


def transplant(namespace: MutableMapping[str, Any]) -> Verdict:
    """A shop with volumes, with the reference's functions and with the learner's."""
    return operate(counted(namespace, TASKS), grafts, _live, FILES, runtime="simulated")


def grafts(organs: Organs) -> Functions:
    """Which of the engine's functions the learner's take the place of; the plugin is no part of the engine."""
    return {
        options.bind: _bind(organs["parse_volume"]),
        Mounts.route: _route(organs["answering"]),
        mountpoints.fill: _fill(organs["filled"]),
        Volumes.prune: _prune(organs["unused"]),
        plugin_answers: organs["answer"],
    }


def plugin_answers(method: str, asked: Mapping[str, Any], shelf: Shelf) -> dict[str, Any]:
    """The reference's plugin."""
    name = str(asked.get("Name", ""))
    volumes = [{"Name": each, "Mountpoint": shelf.path(each)} for each in shelf.names()]
    mine = next((volume for volume in volumes if volume["Name"] == name), None)
    kind, _, verb = method.partition(".")
    if method == "Plugin.Activate":
        return {"Implements": ["VolumeDriver"]}
    if kind != "VolumeDriver" or verb not in "Capabilities Create Get List Mount Path Remove Unmount".split():
        return NO_METHOD
    if verb in ("Capabilities", "List"):
        return {"Volumes": volumes} if verb == "List" else {"Capabilities": {"Scope": "local"}}
    if verb == "Create":
        if not mine:
            shelf.make(name)
        return {}
    if not mine:
        return NO_VOLUME
    if verb == "Remove":
        shelf.delete(name)
    if verb in ("Mount", "Path"):
        return {"Mountpoint": mine["Mountpoint"]}
    return {"Volume": mine} if verb == "Get" else {}


def _live(engine: Engine, folder: Path, title: str) -> Outcome:
    engine.images.build(path=str(folder), text=RECIPE, tag="shop")
    (folder / "desk").mkdir()
    facts = {"what is refused": ", ".join(text for text in REFUSED if _refused(engine, text)) or "nothing"}
    with TemporaryDirectory() as place, serving(engine.root, Folders(Path(place))) as shelf:
        engine.volumes.create("books", driver="shelf")
        engine.volumes.create("plan", labels={"keep": "yes"})
        mounts = [text.replace("DESK", str(folder / "desk")) for text in ASKED]
        shop = engine.containers.create("shop", ["sh", "-c", SCRIPT], volumes=mounts, name="shop")
        facts["what is mounted"] = ", ".join(map(_point, shop.config["Mounts"]))
        shop.start(Stdio(attached=True))
        facts["what it sees"] = " | ".join(shop.logs().decode().split("\n"))
        facts["on the shelf"] = ", ".join(sorted(path.name for path in Path(place).glob("*/*")))
        image = shop.commit("saved")
        kept = _pruned(engine, {"all": ["true"], "label": ["keep"]})
        facts["pruned beside it"] = f"{kept}, then {_pruned(engine, {'all': ['true']})}"
        shop.remove()
        facts["pruned after it"] = f"{_pruned(engine, {})}, then {_pruned(engine, {'all': ['true']})}"
        engine.volumes.get("books").remove()
        facts["left on the shelf"] = ", ".join(shelf.names()) or "nothing"
    return Outcome(facts | {"the id of what is committed": image.id}, core(image, engine, title))


def _refused(engine: Engine, text: str) -> bool:
    try:
        engine.containers.create("shop", "true", volumes=[text]).remove(v=True)
    except InvalidArgument:
        return True
    return False


def _point(point: Mapping[str, Any]) -> str:
    name = point["Type"] if len(point.get("Name") or "") in (0, 64) else point["Name"]
    return f"{name} on {point['Destination']}{'' if point['RW'] else ' (read-only)'}"


def _pruned(engine: Engine, filters: Mapping[str, list[str]]) -> str:
    gone = engine.volumes.prune(filters)["VolumesDeleted"] or []
    return " ".join(sorted("anonymous" if len(name) == 64 else name for name in gone)) or "nothing"


@contextmanager
def serving(root: Path, shelf: Shelf) -> Iterator[Shelf]:
    """The plugin `shelf`, answered for by `plugin_answers` in a thread; at a port where no UNIX socket can be had."""

    class Plugin(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
            try:
                said, status = plugin_answers(self.path[1:], asked, shelf), 200
            except Exception as error:
                said, status = {"Err": f"{type(error).__name__}: {error}"}, 500
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(said).encode())

        def log_message(self, *_: object) -> None:
            pass

    plugins = root / "plugins"
    plugins.mkdir(exist_ok=True)
    server: socketserver.TCPServer
    path = str(plugins / "shelf.sock")
    if hasattr(socketserver, "UnixStreamServer") and len(os.fsencode(path)) < LONGEST:
        server = socketserver.UnixStreamServer(path, Plugin)
    else:
        server = socketserver.TCPServer(("127.0.0.1", 0), Plugin)
        (plugins / "shelf.spec").write_text(f"tcp://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield shelf
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# The adapters


def _bind(parse_volume: Callable[[str], Parsed]) -> Callable[..., dict[str, Any]]:
    """`options.bind`, by the learner's `parse_volume`."""

    def bind(text: str, driver: str = "") -> dict[str, Any]:
        try:
            kind, source, target, read_only = parse_volume(text)
        except ValueError as error:
            raise InvalidArgument(f"invalid volume specification: '{text}': {error}") from None
        point = {"Type": kind, "Destination": target, "Mode": "", "RW": not read_only}
        if kind == "bind":
            return point | {"Source": source, "Propagation": "rprivate"}
        return point | {"Name": source, "Propagation": "", "Spec": {"NoCopy": False, "Driver": driver}}

    return bind


def _route(
    answering: Callable[[str, dict[str, str]], tuple[str, str]],
) -> Callable[[Mounts, str], tuple[Any, bool, str]]:
    """`Mounts.route`, by the learner's `answering`: each mount is called by its own target."""

    def route(mounts: Mounts, path: str) -> tuple[Any, bool, str]:
        source, _ = answering(path, {target: target for target in mounts.table})
        return (*mounts.table[source], source) if source else (mounts.root, mounts.read_only, "/")

    return route


def _fill(filled: Callable[..., Entries]) -> Callable[[Container, Volumes], None]:
    """`mountpoints.fill`, by the learner's `filled`, for the volumes that are ours."""

    def fill(container: Container, volumes: Volumes) -> None:  # noqa: ARG001
        image = container.image.tree().entries()
        for point in container.config["Mounts"]:
            if point["Type"] == "volume" and point["Driver"] == "local":
                folder = Bind(point["Source"], "/", owned=True)
                before = container.runtime.listing(folder).entries()
                after = filled(dict(image), point["Destination"], dict(before), point["Spec"]["NoCopy"])
                if after != before:
                    container.runtime.fill(folder, Changeset(after))

    return fill


def _prune(unused: Callable[..., list[str]]) -> Callable[..., dict[str, Any]]:
    """`Volumes.prune`, by the learner's `unused`. Raises Conflict for one that a container has."""

    def prune(volumes: Volumes, filters: Mapping[str, Sequence[str]] | None = None) -> dict[str, Any]:
        wanted = filters or {}
        label, every = (wanted.get("label") or [""])[0], wanted.get("all") == ["true"]
        found = [volume.attrs for volume in volumes.list()]
        has = [{"State": "exited", "Mounts": mounts} for mounts in _mounts(volumes.store.root)]
        gone = unused(found, has, every, label)
        for name in gone:
            volumes.remove(name)
        return {"VolumesDeleted": gone or None, "SpaceReclaimed": 0}

    return prune


def _mounts(root: Path) -> Iterator[list[dict[str, Any]]]:
    """What each container has mounted."""
    for path in sorted((root / "containers").glob("*/config.json")):
        yield json.loads(path.read_bytes())["Mounts"]
