"""`docker build`: a Dockerfile and a context become an image.

    builder.py  one build: plan, stages, image    stage.py    a stage, one step an instruction
    making.py   its layers, the cache asked first draft.py    an image in the making
    context.py  what COPY can see                 cache.py    what was built before, and why not
    copy.py     COPY and ADD as a function        run.py      RUN in a container of its own
    config.py   what CMD, ENV… change             stages.py   which stages a target needs
    telling.py  what a build says while it goes on
    step.py     what it leaves behind to look at  forecast.py what it would do, without doing it
    plan.py     and what would go on side by side

`build_image` takes the arguments of Docker's SDK (`images.build`), `build` the parts that they stand for.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from minidocker.build.builder import Builder
from minidocker.build.cache import Decision
from minidocker.build.context import Context
from minidocker.build.step import Build, Options, StageNode, Step
from minidocker.content import Store, temp_path
from minidocker.dockerfile import Dockerfile
from minidocker.dockerignore import Ignore
from minidocker.errors import DockerfileError, InvalidArgument, Unsupported
from minidocker.reference import Reference

if TYPE_CHECKING:
    from minidocker.engine import Engine
    from minidocker.images import Images
    from minidocker.runtime import Runtime

__all__ = [
    "Build",
    "Context",
    "Decision",
    "Options",
    "StageNode",
    "Step",
    "build",
    "build_image",
    "dockerignore",
    "open_context",
]

MAX_DOCKERFILE = 10 << 20  # bytes
MEANINGLESS = frozenset(  # of Docker's SDK: about the connection, or always so here
    "quiet rm forcerm timeout encoding pull gzip decode use_config_proxy".split()
)


def build(
    images: Images,
    runtime: Runtime,
    context: Context,
    dockerfile: Dockerfile,
    options: Options | None = None,
    on_event: Callable[[dict[str, Any]], None] | None = None,
    builder: type[Builder] = Builder,
) -> Build:
    """Build an image. `on_event` gets Docker's build stream as it happens, and `{"step": Step}` after each step.

    Raises BuildError (with the log) where a step fails, DockerfileError, ImageNotFound, and Unsupported, by name, for
    what minidocker does not do.
    """
    return builder(images, runtime, context, dockerfile, options or Options(), on_event).build()


def build_image(
    engine: Engine,
    path: str | os.PathLike[str] | None = None,
    tag: str | Sequence[str] | None = None,
    fileobj: Any = None,
    custom_context: bool = False,
    dockerfile: str | os.PathLike[str] | None = None,
    buildargs: Mapping[str, str] | None = None,
    target: str | None = None,
    nocache: bool = False,
    labels: Mapping[str, str] | None = None,
    network_mode: str | None = None,
    platform: str | None = None,
    text: str | None = None,
    on_event: Callable[[dict[str, Any]], None] | None = None,
    builder: type[Builder] = Builder,
    **others: Any,
) -> Build:
    """Build as `images.build` of Docker's SDK. `text` is ours: the Dockerfile itself, for a context in `path`."""
    for name, value in others.items():
        if name not in MEANINGLESS and value:
            raise Unsupported(f"build option {name} is not supported: leave it out")
    epoch, buildargs = _epoch(dict(buildargs or {}))
    tags = (tag,) if isinstance(tag, str) else tuple(tag or ())
    options = Options(
        tuple(name for name in tags if name),
        buildargs,
        target or "",
        {name: str(value) for name, value in (labels or {}).items()},
        nocache,
        network_mode or "default",
        platform or "",
        epoch,
    )
    if fileobj is not None and not custom_context:
        text, fileobj = _read_text(fileobj), None
        path = None
    scratch = temp_path(engine.store.root / "tmp" / "context")
    try:
        context, parsed = open_context(engine.store, scratch, path, fileobj, dockerfile, text)
        if text is not None and options.tags:  # one folder may stand behind many cells of a notebook
            context.name += f" {Reference.parse(options.tags[0]).name}"
        return build(engine.images, engine.runtime, context, parsed, options, on_event, builder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def open_context(
    store: Store,
    scratch: Path,
    path: str | os.PathLike[str] | None,
    archive: BinaryIO | None = None,
    dockerfile: str | os.PathLike[str] | None = None,
    text: str | None = None,
) -> tuple[Context, Dockerfile]:
    """The context and its Dockerfile: a folder, a tar, or, with neither, only the Dockerfile's `text`.

    `<Dockerfile>.dockerignore` goes before `.dockerignore`. What a tar holds is spread out in the new folder `scratch`.
    Raises InvalidArgument, DockerfileError, LayerError.
    """
    name = os.fspath(dockerfile or "Dockerfile")
    if archive is not None:
        scratch.mkdir()
        context = Context.tar(archive, scratch)
        read, ready = _reader(context), context.without
    elif path is not None:
        root = _folder(path)
        digests = store.root / "cache" / "contexts" / f"{hashlib.sha256(os.fsencode(root)).hexdigest()[:16]}.json"
        read, ready = partial(_read_file, root), partial(Context.folder, root, cache=digests)
    elif text is not None:
        return Context.empty(), Dockerfile.parse(text, name)
    else:
        raise TypeError("Either path or fileobj needs to be specified")
    content = text if text is not None else read(name)
    if content is None:
        raise DockerfileError(f"failed to read dockerfile: open {name}: no such file or directory", name)
    parsed = Dockerfile.parse(content, Path(name).name if Path(name).is_absolute() else name)
    return ready(_ignore(read, name if text is None else "")), parsed


def dockerignore(path: str | os.PathLike[str], dockerfile: str = "Dockerfile") -> Ignore:
    """What a build of the folder leaves out of its context. Raises InvalidArgument, DockerfileError."""
    return _ignore(partial(_read_file, _folder(path)), dockerfile)


def _ignore(read: Callable[[str], bytes | None], dockerfile: str) -> Ignore:
    """`<Dockerfile>.dockerignore`, else `.dockerignore`, else nothing."""
    for name in (f"{dockerfile}.dockerignore", ".dockerignore"):
        if (content := read(name)) is not None:
            return Ignore.parse(content.decode(errors="surrogateescape"), name)
    return Ignore()


def _folder(path: str | os.PathLike[str]) -> Path:
    text = os.fspath(path)
    if text.startswith(("http://", "https://", "git://", "git@", "ssh://", "github.com/")):
        raise Unsupported(f"a context from {text} is not supported: fetch it yourself, and build in its folder")
    root = Path(text)
    if not root.is_dir():
        why = "is not a directory" if root.exists() else "not found"
        raise InvalidArgument(f'unable to prepare context: path "{text}" {why}')
    return root.resolve()


def _read_file(root: Path, name: str) -> bytes | None:
    path = root / name
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_DOCKERFILE + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DockerfileError(f"failed to read dockerfile: read {path.name}: {error.strerror}", path.name) from error
    if len(content) > MAX_DOCKERFILE:
        raise DockerfileError("failed to read dockerfile: it is larger than 10 MB", path.name)
    return content


def _reader(context: Context) -> Callable[[str], bytes | None]:
    """Read a small file of a context that came as a tar."""

    def read(name: str) -> bytes | None:
        try:
            entry = context.tree[context.tree.resolve(name)]
        except (OSError, KeyError):
            return None
        if entry.kind != "file" or entry.size > MAX_DOCKERFILE:
            raise DockerfileError(f"failed to read dockerfile: {name} is not a file of a sensible size", name)
        return entry.data.read()

    return read


def _read_text(fileobj: Any) -> str:
    content = fileobj.read(MAX_DOCKERFILE + 1)
    return content if isinstance(content, str) else content.decode(errors="surrogateescape")


def _epoch(buildargs: dict[str, str]) -> tuple[int | None, dict[str, str]]:
    """SOURCE_DATE_EPOCH, of the arguments or of the environment; which then is an argument, as with buildx."""
    text = buildargs.get("SOURCE_DATE_EPOCH", os.environ.get("SOURCE_DATE_EPOCH", ""))
    if not text:
        return None, buildargs
    if not text.isascii() or not text.isdigit() or len(text) > 11:
        raise InvalidArgument(f"invalid SOURCE_DATE_EPOCH: {text}: seconds since 1970 are expected")
    return int(text), {**buildargs, "SOURCE_DATE_EPOCH": text}
