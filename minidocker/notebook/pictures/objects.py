"""Every object of Docker's draws itself: from the engine's public state to a figure, and nothing else.

`figure(thing)` knows trees, layers, images, builds, containers and engines; `mimebundle(thing)` is what their
`_repr_mimebundle_` gives a notebook, `text(thing)` what `print` shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from minidocker.errors import DockerException
from minidocker.explain import base_of, instruction
from minidocker.layer import Changeset, chain_ids
from minidocker.notebook.pictures.explain import explain_figure
from minidocker.notebook.pictures.facts import Mark, count, marks, rows, seen
from minidocker.notebook.pictures.files import layer_figure, tree_figure
from minidocker.notebook.pictures.graph import Graph, Node
from minidocker.notebook.pictures.journey import Journey, walk_figure
from minidocker.notebook.pictures.ladder import ladder
from minidocker.notebook.pictures.life import Life, container_figure
from minidocker.notebook.pictures.stack import Order, core_sample
from minidocker.notebook.pictures.svg import Figure, bytes_text
from minidocker.tree import Tree

if TYPE_CHECKING:
    from minidocker.build import Build
    from minidocker.build.forecast import Forecast
    from minidocker.container import Container
    from minidocker.engine import Engine
    from minidocker.image import Image, Layer


def figure(thing: Any) -> Figure:
    """The picture of a Tree, Changeset, Layer, Image, Build, Container or Engine.

    Raises TypeError for anything else.
    """
    if isinstance(thing, Figure):
        return thing
    for kind in type(thing).__mro__:
        draw = PICTURES.get(kind.__name__)
        if draw and kind.__module__.startswith("minidocker."):
            return draw(thing)
    raise TypeError(f"there is no picture of a {type(thing).__name__}; there is one of: {', '.join(PICTURES)}")


def mimebundle(thing: Any) -> dict[str, str]:
    """The picture and its text twin, as a notebook wants them: `{"text/plain": …, "text/html": …}`.

    Of what is gone or damaged (a removed container, a corrupt blob) it tells that, in text.
    """
    try:
        return figure(thing)._repr_mimebundle_()
    except (DockerException, OSError) as error:
        return {"text/plain": f"{thing!r}: {error}"}


def text(thing: Any) -> str:
    """The text twin of a thing's picture, for terminals and logs; as `mimebundle` where there is nothing to draw."""
    try:
        return figure(thing).twin
    except (DockerException, OSError) as error:
        return f"{thing!r}: {error}"


def draw_tree(tree: Tree) -> Figure:
    """A tree of files."""
    return tree_figure("a file tree", dict(tree.items()), (), repr(tree))


def draw_changes(changes: Changeset) -> Figure:
    """A layer as a value, with nothing known of what lies below."""
    return layer_figure("a layer", changes)


def draw_layer(layer: Layer) -> Figure:
    """A layer of an image."""
    return layer_figure(f"layer {layer.diff_id[:19]}  {instruction(layer.created_by)}".strip(), layer.changes)


def draw_image(image: Image, fold: bool = True, newest: Order = "top") -> Figure:
    """An image as a core sample; with `fold`, what comes from the course's own base is one slab, not to scale."""
    base = base_of(image, neighbours(image)) if fold else None
    name = ", ".join(image.tags) or "an image without a tag"
    platform = f"{image.raw.get('os', '')}/{image.raw.get('architecture', '')}"
    known = "" if base else f"{image.short_id}  {platform}"
    return core_sample(f"image {name}", rows(image, base), known, seen(image.blame()), newest)


def stack(image: Image, newest: Order = "top") -> Figure:
    """An image as `figure(image)` draws it, or with the newest layer at the `bottom`, as its Dockerfile is read."""
    return draw_image(image, newest=newest)


def neighbours(image: Image) -> list[Image]:
    """The images of the same store; none where one of them is damaged, which is not this picture's business."""
    try:
        return image.images.list()
    except DockerException:
        return []


def draw_build(build: Build) -> Figure:
    """A build as a cache ladder."""
    tags = ", ".join(build.image.tags) if build.image else ""
    return ladder(f"build of {tags}" if tags else "build", build.steps)


def draw_forecast(forecast: Forecast) -> Figure:
    """What a build would do, as a cache ladder."""
    return ladder("forecast: nothing is built yet", forecast.steps, forecast=True)


def draw_container(container: Container) -> Figure:
    """A container: the shared stack, its own layer, its place in life."""
    return container_figure(life_of(container))


def draw_engine(engine: Engine, ids: bool = False) -> Figure:
    """All that an engine holds, as a graph: what images have in common from the bottom up is drawn once.

    With `ids` also digests and sizes, which differ from machine to machine.
    """
    images = sorted(engine.images.list(all=True), key=lambda image: (image.tags or ["~"], image.id))
    containers = sorted(engine.containers.list(all=True), key=lambda container: container.name)
    nodes: dict[str, Node] = {}
    edges: dict[tuple[str, str, str], None] = {}
    for image in images:
        own = f"image {image.id}"
        for tag in image.tags:
            nodes[f"tag {tag}"] = Node(f"tag {tag}", "tag", tag)
            edges[f"tag {tag}", own, ""] = None
        nodes[own] = Node(own, "image", "image" if image.tags else "image without a name", image.short_id * ids)
        above = own
        for chain, layer in reversed(list(zip(chain_ids(image.diff_ids), image.layers, strict=True))):
            note = f"{layer.diff_id[:19]}  {bytes_text(layer.size)}" * ids
            nodes.setdefault(chain, Node(chain, "layer", instruction(layer.created_by) or "a layer", note))
            edges[above, chain, ""] = None
            above = chain
    for container in containers:
        key = f"container {container.name}"
        nodes[key] = Node(key, "container", container.name, container.status)
        if f"image {container.image.id}" in nodes:
            edges[key, f"image {container.image.id}", ""] = None
    title = f"engine: {count(len(images), 'image')}, {count(len(containers), 'container')}"
    return Graph(title, list(nodes.values()), list(edges)).figure()


def life_of(container: Container, before: Life | None = None) -> Life:
    """What is shown of a container. From `before`, if it was looked at before, comes what does not change."""
    image, attrs = container.image, container.attrs
    exit_code, changes = int(attrs["State"]["ExitCode"]), tuple(own_changes(container))
    if before:
        return replace(before, status=container.status, exit_code=exit_code, changes=changes)
    base = base_of(image, neighbours(image))
    return Life(
        name=container.name,
        image=(image.tags or [image.short_id])[0],
        command=" ".join([attrs.get("Path", ""), *attrs.get("Args", [])]).strip(),
        status=container.status,
        exit_code=exit_code,
        layers=tuple(row for row in rows(image, base) if row.number),
        changes=changes,
    )


def own_changes(container: Container) -> list[Mark]:
    """What a container wrote: the marks of its writable layer over its image."""
    return marks(container.image.tree(), container.changes())


def walk(engine: Engine, name: str, dockerfile: str = "") -> Figure:
    """The walk of one image, as far as it went in this engine: text, layers, image, containers.

    `dockerfile` is its text: all that there is before the build; without it, the image's own history tells the lines.
    """
    typed = tuple(
        line.strip() for line in dockerfile.splitlines() if line.strip() and not line.lstrip().startswith("#")
    )
    images = engine.images.list()
    found = next((image for image in images if {name, f"{name}:latest"} & set(image.tags)), None)
    if found is None:
        return walk_figure(Journey(name, typed))
    made = rows(found, base_of(found, images))
    containers = [life_of(one) for one in engine.containers.list(all=True) if one.image.id == found.id]
    return walk_figure(
        Journey(
            name=next(tag for tag in found.tags if tag in (name, f"{name}:latest")),
            lines=typed if len(typed) == len(made) else tuple(row.text for row in made),
            rows=tuple(made),
            config=tuple(config_lines(found.config)),
            containers=tuple(sorted(containers, key=lambda life: life.name)),
        )
    )


def config_lines(config: dict[str, Any]) -> list[str]:
    """The settings of an image that a container starts with: `Cmd sh /app/hello.sh`."""
    words = {"Entrypoint": " ", "Cmd": " ", "WorkingDir": "", "User": "", "Env": "\n"}
    lines = []
    for key, joint in words.items():
        value = config.get(key)
        if not value:
            continue
        parts = [value] if isinstance(value, str) else value if joint == "\n" else [joint.join(value)]
        lines += [f"{key} {part}" for part in parts if not (key == "Env" and part.startswith("PATH="))]
    return lines


PICTURES: dict[str, Callable[[Any], Figure]] = {
    "Tree": draw_tree,
    "Changeset": draw_changes,
    "Layer": draw_layer,
    "Image": draw_image,
    "Build": draw_build,
    "Forecast": draw_forecast,
    "Explanation": explain_figure,
    "Container": draw_container,
    "Engine": draw_engine,
}
