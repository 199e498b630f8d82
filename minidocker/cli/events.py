"""The command that tells what happens: events."""

from __future__ import annotations

from typing import Any

from minidocker.cli.flags import Call, Exit, command
from minidocker.cli.format import filters_of
from minidocker.cli.pieces import TemplateError
from minidocker.cli.template import compile_template
from minidocker.cli.values import as_structs, to_json
from minidocker.errors import APIError
from minidocker.times import rfc3339, stamp

NOTHING: dict[str, Any] = {"status": "", "id": "", "from": "", "Type": "", "Action": ""}
NOTHING |= {"Actor": {"ID": "", "Attributes": {}}, "scope": "", "time": 0, "timeNano": 0}
FIELDS = {"status": "Status", "id": "ID", "from": "From", "scope": "Scope", "time": "Time", "timeNano": "TimeNano"}


@command("""
events [OPTIONS]

Get real time events from the server

  -f, --filter filter   Filter output based on conditions provided
      --format string   Format output with a Go template, or "json" as JSON, one event a line
      --since string    Show all events created since timestamp
      --until string    Stream events until this timestamp
""")
def events(call: Call) -> int:
    """`docker events`: it goes on until the moment of --until, or Ctrl-C."""
    if call.format not in ("", "json"):
        _formatted(NOTHING, call.format)  # a bad template is told at once
    for moment in (call.since, call.until):
        try:
            stamp(moment)
        except APIError as error:
            raise Exit(1, error.explanation) from None
    span = {"since": call.since or None, "until": call.until or None}
    with call.engine.events(filters=filters_of(call.filter), decode=True, **span) as found:
        for event in found:
            text = to_json(event) if call.format == "json" else _formatted(event, call.format) if call.format else ""
            print(text or line(event), flush=True)
    return 0


def line(event: dict[str, Any]) -> str:
    """An event as docker prints it, with what is known of the one that it is about.

    >>> tagged = {"ID": "sha256:1f", "Attributes": {"name": "a:1"}}
    >>> line({"timeNano": 1, "Type": "image", "Action": "tag", "Actor": tagged})
    '1970-01-01T00:00:00.000000001Z image tag sha256:1f (name=a:1)'
    """
    attributes = event["Actor"]["Attributes"]
    about = ", ".join(f"{key}={attributes[key]}" for key in sorted(attributes))
    said = f"{rfc3339(event['timeNano'])} {event['Type']} {event['Action']} {event['Actor']['ID']}"
    return f"{said} ({about})" if about else said


def _formatted(event: dict[str, Any], format: str) -> str:
    struct = as_structs({FIELDS.get(key, key): value for key, value in (NOTHING | event).items()})
    struct.kind = "*events.Message"
    struct["Actor"]["Attributes"] = dict(event["Actor"]["Attributes"])
    try:
        return compile_template(format)(struct)
    except TemplateError as error:
        raise Exit(64, f"Error parsing format: {error}") from None
