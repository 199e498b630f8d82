"""`docker build`: a Dockerfile and a context become an image.

    builder.py  one build: plan, stages, image    stage.py    a stage, one step an instruction
    making.py   its layers, the cache asked first draft.py    an image in the making
    opening.py  where the context comes from
    context.py  what COPY can see                 cache.py    what was built before, and why not
    copy.py     COPY and ADD as a function        run.py      RUN in a container of its own
    config.py   what CMD, ENV… change             stages.py   which stages a target needs
    telling.py  what a build says while it goes on
    step.py     what it leaves behind to look at  forecast.py what it would do, without doing it
    plan.py     and what would go on side by side
    output.py   -o, and where all of it goes: delivery.py, spread.py, annotations.py, provenance.py
    records.py  the cache listed and pruned       cachefrom.py and cacheto.py: it comes and goes
    running.py  RUN as a step                     mounts.py   what is mounted for it
    mountcache.py  what cache mounts keep         secrets.py  --secret and --ssh; agent.py
    contexts.py  --build-context                  together.py stages at the same time; vertex.py

`build_image` takes the arguments of Docker's SDK (`images.build`), `build` the parts that they stand for.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from minidocker.build.builder import Builder
from minidocker.build.cache import Decision
from minidocker.build.context import Context
from minidocker.build.contexts import Contexts
from minidocker.build.delivery import Delivery
from minidocker.build.opening import MAX_DOCKERFILE, dockerignore, open_context
from minidocker.build.run import Around
from minidocker.build.secrets import agents as ssh_agents
from minidocker.build.secrets import values as secret_values
from minidocker.build.specs import texts
from minidocker.build.step import Build, Options, StageNode, Step
from minidocker.content import temp_path
from minidocker.dockerfile import Dockerfile
from minidocker.errors import InvalidArgument, Unsupported
from minidocker.images import Guard, Images, unguarded
from minidocker.reference import Reference

if TYPE_CHECKING:
    from minidocker.engine import Engine
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

MEANINGLESS = frozenset(  # of Docker's SDK: about the connection, or always so here
    "quiet rm forcerm timeout encoding gzip decode use_config_proxy".split()
)


def build(
    images: Images,
    runtime: Runtime,
    context: Context,
    dockerfile: Dockerfile,
    options: Options | None = None,
    on_event: Callable[[dict[str, Any]], None] | None = None,
    builder: type[Builder] = Builder,
    guard: Guard = unguarded,
) -> Build:
    """Build an image. `on_event` gets Docker's build stream as it happens, and `{"step": Step}` after each step.

    Raises BuildError (with the log) where a step fails, DockerfileError, ImageNotFound, and Unsupported, by name, for
    what minidocker does not do.
    """
    return builder(images, runtime, context, dockerfile, options or Options(), on_event, guard).build()


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
    secrets: Mapping[str, Any] | Sequence[str] | None = None,
    ssh: Mapping[str, Any] | Sequence[str] | None = None,
    build_contexts: Mapping[str, str] | Sequence[str] | None = None,
    no_cache_filter: str | Sequence[str] | None = None,
    guard: Guard = unguarded,
    images: Images | None = None,
    around: Around = nullcontext,
    apart: bool = False,
    **others: Any,
) -> Build:
    """Build as `images.build` of Docker's SDK. `text` is ours: the Dockerfile itself, for a context in `path`.

    So are `secrets`, by id a text, bytes or the `Path` of a file, and `ssh`, by id the socket of an agent; or both as
    texts, as `docker build` takes them. And so are `build_contexts`, name -> folder, URL, docker-image://… or
    oci-layout://…, and `no_cache_filter`, the names of stages; as `docker build --build-context, --no-cache-filter`.
    `guard` learns how to end it from another thread; `images` may be those of somebody else (`acting_for`); `around`
    gives further fields of the `Box` of each RUN while it runs, whose output and errors are told `apart`.
    """
    tags = (tag,) if isinstance(tag, str) else tuple(tag or ())
    delivery = Delivery.of(tags, platform or "", buildargs or {}, others)
    newest = bool(others.pop("pull", False))
    for name, value in others.items():
        if name not in MEANINGLESS and value:
            raise Unsupported(f"build option {name} is not supported: leave it out")
    epoch, buildargs = _epoch(dict(buildargs or {}))
    options = Options(
        tuple(name for name in tags if name),
        buildargs,
        target or "",
        {name: str(value) for name, value in (labels or {}).items()},
        nocache,
        network_mode or "default",
        platform or "",
        epoch,
        secret_values(secrets),
        ssh_agents(ssh),
        contexts=Contexts(build_contexts or ()),
        pull=newest,
        no_cache_filter=tuple(name.strip() for text in texts(no_cache_filter) for name in text.split(",")),
        around=around,
        apart=apart,
    )
    if nocache and no_cache_filter:
        raise InvalidArgument("--no-cache and --no-cache-filter cannot currently be used together")
    if fileobj is not None and not custom_context:
        text, fileobj = _read_text(fileobj), None
        path = None
    scratch = temp_path(engine.store.root / "tmp" / "context")
    try:
        keep = buildargs.get("BUILDKIT_CONTEXT_KEEP_GIT_DIR", "").lower() in ("1", "t", "true")
        context, parsed = open_context(engine.store, scratch, path, fileobj, dockerfile, text, keep=keep)
        if text is not None and options.tags:  # one folder may stand behind many cells of a notebook
            context.name += f" {Reference.parse(options.tags[0]).name}"
        asked = delivery.options(options)
        where = (images or engine.images, engine.runtime, context, parsed)
        builds = [build(*where, one, on_event, builder, guard) for one in asked]
        delivery.deliver(engine.store, builds)
        return builds[0]
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


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
