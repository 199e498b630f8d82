"""inspect: everything that the engine knows of an object, as JSON or through a template."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minidocker.cli.flags import Call, Exit, command
from minidocker.cli.pieces import ExecError, TemplateError
from minidocker.cli.template import compile_template
from minidocker.cli.values import as_structs, to_json
from minidocker.errors import NotFound

Look = Callable[[str], dict[str, Any]]


@command("""
inspect [OPTIONS] NAME|ID [NAME|ID...]

Return low-level information on Docker objects

  -f, --format string   Format output with a Go template, or "json" as JSON on one line
  -s, --size            Display total file sizes if the type is container
      --type string     Only inspect objects of the given type: container, image, volume or network
""")
def inspect(call: Call) -> int:
    """`docker inspect`: containers before images, volumes and networks."""
    looks: dict[str, Look] = {"container": _container(call), "image": _image(call)}
    looks["volume"] = lambda name: dict(call.engine.volumes.get(name).attrs)
    looks["network"] = lambda name: dict(call.engine.networks.get(name).attrs)
    if call.type and call.type not in looks:
        kinds = "there are containers, images, volumes and networks here"
        raise Exit(1, f'"{call.type}" is not a valid value for --type: {kinds}')
    return show(call, [looks[call.type]] if call.type else [*looks.values()])


@command("""
container inspect [OPTIONS] CONTAINER [CONTAINER...]

Display detailed information on one or more containers

  -f, --format string   Format output with a Go template, or "json" as JSON on one line
  -s, --size            Display total file sizes
""")
def container_inspect(call: Call) -> int:
    """`docker container inspect`."""
    return show(call, [_container(call)])


@command("""
image inspect [OPTIONS] IMAGE [IMAGE...]

Display detailed information on one or more images

  -f, --format string   Format output with a Go template, or "json" as JSON on one line
""")
def image_inspect(call: Call) -> int:
    """`docker image inspect`."""
    return show(call, [_image(call)])


def _container(call: Call) -> Look:
    def look(name: str) -> dict[str, Any]:
        container = call.engine.containers.get(name)
        attrs: dict[str, Any] = container.attrs
        if call.options.get("size"):
            own, whole = container.sizes()
            attrs |= {"SizeRw": own, "SizeRootFs": whole}
        return attrs

    return look


def _image(call: Call) -> Look:
    def look(name: str) -> dict[str, Any]:
        attrs: dict[str, Any] = call.engine.images.get(name).attrs
        return attrs

    return look


def show(call: Call, looks: list[Look]) -> int:
    """Print what was found, and then complain about what was not."""
    fill = _template(call.format)
    found: list[dict[str, Any]] = []
    complaints = []
    for name in call.args:
        for look in looks:
            try:
                found.append(look(name))
                break
            except NotFound as error:
                said = f"Error response from daemon: {error.explanation}"
        else:
            complaints.append(said if len(looks) == 1 else f"Error: No such object: {name}")
    if call.format in ("", "json"):
        print(to_json(found) if call.format else to_json(found, indent=4))
    elif fill is not None:
        for attrs in found:
            try:
                print(fill(as_structs(attrs)))
            except ExecError as error:
                raise Exit(1, f"\ntemplate parsing error: {error}") from None
    if complaints:
        raise Exit(1, "\n".join(complaints))
    return 0


def _template(format: str) -> Callable[[Any], str] | None:
    try:
        return compile_template(format) if format not in ("", "json") else None
    except TemplateError as error:
        raise Exit(64, f"template parsing error: {error}") from None
