"""Images: listed, looked at, tagged, removed; pulled, pushed, imported, saved and loaded."""

from __future__ import annotations

import contextlib
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidocker import archive
from minidocker.base import is_base
from minidocker.build.remotes import Remotes, kind
from minidocker.content import temp_path
from minidocker.daemon.progress import Tell, Work, login_of, stream
from minidocker.daemon.route import Call
from minidocker.daemon.shapes import read
from minidocker.engine import reference_of
from minidocker.errors import InvalidArgument, NotFound, Unsupported
from minidocker.filters import texts
from minidocker.image import CONFIG, Image
from minidocker.images import matches
from minidocker.layer import chain_ids
from minidocker.platforms import Platform
from minidocker.reference import Reference
from minidocker.registry.credentials import Login
from minidocker.registry.refusals import Refused
from minidocker.registry.service import domain_of
from minidocker.times import unix_time
from minidocker.web.message import Response

if TYPE_CHECKING:
    from minidocker.engine import Engine, ImageCollection

NOTHING = "<none>"
AUTH = dict.fromkeys(("username", "password", "email", "serveraddress", "auth", "identitytoken", "registrytoken"), str)


# Looking


def listed(call: Call) -> Response:
    """All images, newest first."""
    filters = call.filters()
    if name := call.text("filter"):  # of before 1.41
        filters.setdefault("reference", []).append(name)
    return Response.json(summaries(call.engine, filters))


def summaries(engine: Engine, filters: Mapping[str, Any] | None = None, used: bool = False) -> list[dict[str, Any]]:
    """One line of the listing for each image; with `used`, also how many containers have it."""
    users = Counter(image for image, _ in engine.images.in_use().values()) if used else Counter[str]()
    images, patterns = engine.images.list(filters=filters), texts((filters or {}).get("reference"))
    names, digests = engine.images.names(), engine.images.digests()
    stacks = {image.id: chain_ids(image.diff_ids) for image in images} if used else {}
    copies = Counter(layer for stack in stacks.values() for layer in stack)
    found = []
    for image in images:
        tags, pinned = (named(known.get(image.id, []), patterns) for known in (names, digests))
        sizes = [layer.size for layer in image.layers]
        size = sum(sizes)
        shared = sum(part for part, layer in zip(sizes, stacks.get(image.id, ()), strict=False) if copies[layer] > 1)
        found.append(
            {
                "Containers": users[image.id] if used else -1,
                "Created": unix_time(image.raw.get("created")),
                "Id": image.id,
                "Labels": image.config.get("Labels"),
                "ParentId": "",
                "RepoDigests": pinned or (None if tags else [f"{NOTHING}@{NOTHING}"]),
                "RepoTags": tags or (None if pinned else [f"{NOTHING}:{NOTHING}"]),
                "SharedSize": shared if used else -1,
                "Size": size,
                "VirtualSize": size,
            }
        )
    return found


def named(names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """The names that one of the patterns lets through."""
    return [name for name in names if not patterns or any(matches(name, pattern) for pattern in patterns)]


def inspected(call: Call) -> Response:
    """All that is known of an image; below API 1.45 also what made it, where docker-compose 1.29 looks for volumes."""
    image = call.engine.images.get(call["name"])
    made = CONFIG | (image.raw.get("container_config") or image.config)
    more = {"Container": image.raw.get("container") or "", "ContainerConfig": made}
    return Response.json(image.attrs | more | {"Parent": _parent(call, image)})


def _parent(call: Call, image: Image) -> str:
    """The image of the container that a committed one was made of, for as long as it is what it was."""
    name = (image.raw.get("container_config") or {}).get("Image") if image.raw.get("container") else None
    with contextlib.suppress(NotFound, InvalidArgument):
        base = call.engine.images.get(name) if name else image
        under = base.diff_ids
        if base.id != image.id and image.diff_ids[: len(under)] == under:
            return base.id
    return ""


def history(call: Call) -> Response:
    """How an image was made, newest first."""
    return Response.json(call.engine.images.get(call["name"]).history())


def search(call: Call) -> Response:
    """Refused, by name."""
    call.engine.images.search(call.text("term"))
    raise AssertionError


def distribution(call: Call) -> Response:
    """What a registry has under a name; nothing is pulled."""
    images, name = acting(call, Reference.parse(call["name"]))
    return Response.json(images.registries.inspect(str(name)))


# Names


def tag(call: Call) -> Response:
    """Give an image one more name."""
    image = call.engine.images.get(call["name"])
    name = reference_of(call.text("repo"), call.text("tag") or None)
    if name.digest:
        raise InvalidArgument("refusing to create a tag with a digest reference")
    call.engine.images.tag(image, str(name))
    return Response(201)


def remove(call: Call) -> Response:
    """Remove a name, and with its last one the image."""
    removed = call.engine.images.remove(call["name"], call.flag("force"), call.flag("noprune"))
    return Response.json(removed)


def prune(call: Call) -> Response:
    """Remove images that nobody uses."""
    return Response.json(call.engine.images.prune(call.filters()))


# To and from registries


def acting(call: Call, name: Reference) -> tuple[ImageCollection, Reference]:
    """The images for whoever the client says that it is; the daemon's own logins are nobody else's business."""
    return call.engine.images.acting_for({name.domain: login_of(call)}), name


def create(call: Call) -> Response:
    """Pull an image, or import one."""
    return imported(call) if call.text("fromSrc") else pull(call)


def pull(call: Call) -> Response:
    """Pull an image; without any tag, all of a repository."""
    text, wanted = call.text("fromImage"), call.text("tag")
    if not text:
        raise InvalidArgument("invalid reference format: fromImage or fromSrc is needed")
    images, name = acting(call, reference_of(text, wanted or None))
    every = not wanted and "@" not in text and ":" not in text.rpartition("/")[2]
    platform = call.text("platform")
    Platform.parse(platform)

    def action(tell: Tell) -> None:
        images.pull(str(name), all_tags=every, platform=platform or None, on_event=tell)
        if is_base(str(name)):  # made on this machine, without a word
            tell({"status": f"Status: Image is up to date for {name}"})

    return stream(call, action, images.registries.stop)


def push(call: Call) -> Response:
    """Push an image; without any tag, all of a repository."""
    wanted, text = call.text("tag"), call["name"]
    images, name = acting(call, reference_of(text, wanted or None))
    if name.digest:
        raise InvalidArgument("cannot push a digest reference")
    every = not wanted and ":" not in text.rpartition("/")[2]
    return stream(call, lambda tell: images.registries.push(name, every, None, tell), images.registries.stop)


def login(call: Call) -> Response:
    """Ask a registry whether it knows somebody. Nothing of it is kept here: the client says it again each time."""
    given = read(call.json(), AUTH)
    try:
        token = call.engine.images.registries.check(domain_of(given.get("serveraddress", "")), Login.of(given))
    except Refused as error:
        if error.http_status in (401, 403):
            error.status_code = 401
        raise
    return Response.json({"IdentityToken": token, "Status": "Login Succeeded"})


# To and from files


def saved(call: Call) -> Response:
    """One image as a tar, or several of the query."""
    names = [call["name"]] if "name" in call.request.variables else call.texts("names")
    names = [name for text in names for name in text.split(",") if name]
    images = call.engine.images
    chosen = [named for name in names for named in archive.chosen(images, name)]
    for image, _ in chosen:
        images.tell("save", image.id, labels=image.labels)
    return Response(200, {"Content-Type": "application/x-tar"}, archive.save(chosen))


def load(call: Call) -> Response:
    """Load the images of a tar. As from Docker, whatever goes wrong is said in the stream."""
    images = call.engine.images

    def action(tell: Tell) -> None:
        for image, names in archive.load(images, iter(call.request.body)):
            images.tell("load", image.id, labels=image.labels)
            for name in names:
                tell({"stream": f"Loaded image: {name}\n"})
            if not names:
                tell({"stream": f"Loaded image ID: {image.id}\n"})

    return Work(call.request, action, lambda: None).at_once()


def imported(call: Call) -> Response:
    """Make an image of the tar of a file system: the body, or what lies at a URL."""
    source, changes, message = call.text("fromSrc"), call.texts("changes"), call.text("message")
    repository, wanted = call.text("repo"), call.text("tag")
    if repository and reference_of(repository, wanted or None).digest:
        raise InvalidArgument("cannot import digest reference")
    if source != "-" and "://" not in source:
        source = f"http://{source}"
    if source != "-" and kind(source) != "URL":
        raise Unsupported(f"cannot import {source}: only http:// and https:// are fetched; send the tar itself")

    def action(tell: Tell) -> None:
        images, name = call.engine.images, (repository, wanted)
        if source == "-":
            image = images.import_image(iter(call.request.body), *name, changes, message)
        else:
            image = _fetched(call, source, tell, (*name, changes, message or f"Imported from {source}"))
        tell({"status": image.id})

    return stream(call, action)


def _fetched(call: Call, url: str, tell: Tell, about: tuple[Any, ...]) -> Image:
    """Import what lies at a URL."""
    root: Path = call.engine.root
    scratch = temp_path(root / "tmp" / "import")
    try:
        scratch.mkdir(parents=True)
        tell({"status": f"Downloading from {url}"})
        tree = Remotes(root / "cache" / "remote", scratch).ask(url).tree()
        return call.engine.images.import_image(tree[tree.paths[-1]].data.chunks(), *about)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
