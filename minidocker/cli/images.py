"""The commands about images: images, history, tag, rmi, save, load, import, image prune."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from minidocker.cli.flags import Call, Exit, command
from minidocker.cli.format import Listing, Row, ago, confirm, each, filters_of, human_size, local_time, rfc3339
from minidocker.errors import InvalidArgument, NotFound
from minidocker.image import Image
from minidocker.layout import write_stream
from minidocker.reference import Reference

NONE = "<none>"
LISTING = Listing(
    "*formatter.imageContext",
    "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}",
    {
        "ID": "IMAGE ID",
        "Repository": "REPOSITORY",
        "Tag": "TAG",
        "Digest": "DIGEST",
        "CreatedSince": "CREATED",
        "CreatedAt": "CREATED AT",
        "Size": "SIZE",
        "Containers": "CONTAINERS",
        "VirtualSize": "VIRTUAL SIZE",
        "SharedSize": "SHARED SIZE",
        "UniqueSize": "UNIQUE SIZE",
    },
)
WITH_DIGESTS = LISTING.default.replace("{{.Tag}}", "{{.Tag}}\t{{.Digest}}")
HISTORY = Listing(
    "*formatter.historyContext",
    "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}",
    {
        "ID": "IMAGE",
        "CreatedSince": "CREATED",
        "CreatedAt": "CREATED AT",
        "CreatedBy": "CREATED BY",
        "Size": "SIZE",
        "Comment": "COMMENT",
    },
)


def digits(id: str, full: bool = False) -> str:
    """An image's id as listings show it: twelve digits, or all with the algorithm."""
    return id if full or not id.startswith("sha256:") else id[7:19]


@command("""
images [OPTIONS] [REPOSITORY[:TAG]]

List images

  -a, --all             Show all images (there are no intermediate images to hide here)
      --digests         Show digests
  -f, --filter filter   Filter output: reference=PATTERN, dangling=true, label=KEY[=VALUE], before=IMAGE, since=IMAGE
      --format string   Format output with a Go template; "table TEMPLATE" with column headers, "json" as JSON
      --no-trunc        Don't truncate output
  -q, --quiet           Only show image IDs
""")
def images(call: Call) -> int:
    """`docker images`: one row a name."""
    filters = filters_of(call.filter)
    if call.args:
        filters.setdefault("reference", []).append(call.args[0])
    found = call.engine.images.list(filters=filters)
    shown = call.digests or ".Digest" in call.format or call.format == "json"
    rows = [row for image in found for row in image_rows(image, call.no_trunc, filters.get("reference", []), shown)]
    if call.quiet and not call.format:
        rows = list({row["ID"]: row for row in rows}.values())
    format = call.format
    if call.digests and format in ("", "table") and not call.quiet:
        format = f"table {WITH_DIGESTS}"
    LISTING.show(rows, format, call.quiet)
    return 0


def image_rows(image: Image, full: bool = False, patterns: Iterable[str] = (), digests: bool = False) -> list[Row]:
    """The rows of one image: one for each name that `patterns` let through; with `digests`, one for each of these."""
    from minidocker.dockerignore import match

    patterns, names = list(patterns), list(_names(image, digests))
    if patterns:
        names = [
            (repository, tag, digest)
            for repository, tag, digest in names
            if any(match(p, repository) or match(p, f"{repository}:{tag}") for p in patterns)
        ]
    created = image.attrs["Created"]
    return [
        {
            "ID": digits(image.id, full),
            "Repository": repository,
            "Tag": tag,
            "Digest": digest,
            "CreatedSince": ago(created),
            "CreatedAt": local_time(created),
            "Size": human_size(image.size, 3),
            "Containers": "N/A",
            "VirtualSize": human_size(image.size),
            "SharedSize": "N/A",
            "UniqueSize": "N/A",
        }
        for repository, tag, digest in names
    ]


def _names(image: Image, digests: bool) -> Iterator[tuple[str, str, str]]:
    """Repository, tag and digest of each row: a repository that has a digest and no tag has a row too."""
    tags: dict[str, list[str]] = {}
    pinned: dict[str, list[str]] = {}
    for name in image.tags:
        repository, _, tag = name.rpartition(":")
        tags.setdefault(repository, []).append(tag)
    for name in image.digests:
        repository, _, digest = name.partition("@")
        pinned.setdefault(repository, []).append(digest)
    for repository in dict.fromkeys([*tags, *pinned]):
        for tag in tags.get(repository) or [NONE]:
            for digest in (pinned.get(repository) if digests else None) or [NONE]:
                yield repository, tag, digest
    if not tags and not pinned:
        yield NONE, NONE, NONE


@command("""
history [OPTIONS] IMAGE

Show the history of an image

      --format string   Format output with a Go template; "table TEMPLATE" with column headers, "json" as JSON
  -H, --human           Print sizes and dates in human readable format (default true)
      --no-trunc        Don't truncate output
  -q, --quiet           Only show image IDs
""")
def history(call: Call) -> int:
    """`docker history`: newest first."""
    rows = [
        {
            "ID": digits(line["Id"], call.no_trunc),
            "CreatedSince": ago(line["Created"]),
            "CreatedAt": rfc3339(line["Created"]),
            "CreatedBy": _created_by(line["CreatedBy"], call.no_trunc),
            "Size": human_size(line["Size"], 3) if call.human else str(line["Size"]),
            "Comment": line["Comment"],
        }
        for line in call.engine.images.get(call.args[0]).history()
    ]
    plain = call.format in ("", "table") and not call.quiet and not call.human
    HISTORY.show(rows, "table " + HISTORY.default.replace("Since", "At") if plain else call.format, call.quiet)
    return 0


def _created_by(text: str, full: bool) -> str:
    from minidocker.cli.format import ellipsis

    text = text.replace("\t", " ")
    return text if full else ellipsis(text, 45)


@command("""
tag SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]

Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE
""")
def tag(call: Call) -> int:
    """`docker tag`."""
    source, target = call.args
    try:
        Reference.parse(target)
    except InvalidArgument as error:
        why = f'Error parsing reference: "{target}" is not a valid repository/tag: {error.explanation}'
        raise Exit(1, why) from None
    call.engine.images.get(source).tag(target)
    return 0


@command("""
rmi [OPTIONS] IMAGE [IMAGE...]

Remove one or more images

  -f, --force      Force removal of the image
      --no-prune   Do not delete untagged parents (there are none here)
""")
def rmi(call: Call) -> int:
    """`docker rmi`."""

    def remove(name: str) -> None:
        try:
            gone = call.engine.images.remove(name, force=call.force)
        except NotFound as error:
            if not call.force:
                raise
            print(f"Error response from daemon: {error.explanation}", file=sys.stderr)
            return
        show_gone(gone)

    return each(call.args, remove, silent=True)


def show_gone(records: Iterable[dict[str, str]] | None) -> None:
    """`Untagged: …` and `Deleted: …`, a line each."""
    for record in records or ():
        for what, name in record.items():
            print(f"{what}: {name}")


@command("""
image prune [OPTIONS]

Remove unused images

  -a, --all             Remove all unused images, not just dangling ones
      --filter filter   Provide filter values: label=KEY[=VALUE], label!=KEY[=VALUE], until=TIMESTAMP
  -f, --force           Do not prompt for confirmation
""")
def image_prune(call: Call) -> int:
    """`docker image prune`."""
    what = "all images without at least one container associated to them" if call.all else "all dangling images"
    if not call.force and not confirm(f"WARNING! This will remove {what}."):
        return 0
    done = call.engine.images.prune(filters=filters_of(call.filter) | {"dangling": [str(not call.all).lower()]})
    if done["ImagesDeleted"]:
        print("Deleted Images:")
        show_gone(done["ImagesDeleted"])
        print()
    print(f"Total reclaimed space: {human_size(done['SpaceReclaimed'])}")
    return 0


# --- to and from files ----------------------------------------------------------------------------------------------


@command("""
save [OPTIONS] IMAGE [IMAGE...]

Save one or more images to a tar archive (streamed to STDOUT by default)

  -o, --output string   Write to a file, instead of STDOUT
""")
def save(call: Call) -> int:
    """`docker save`: all images in one archive that `docker load`, skopeo and podman take."""
    from minidocker import archive

    if call.engine.remote:
        write_out(call.engine.images.saved(call.args), call.output)
        return 0
    chosen = [named for name in call.args for named in archive.chosen(call.engine.images, name)]
    write_out(archive.save(chosen), call.output)
    return 0


def _readable(name: str) -> Path:
    """The path of a file that can be read; else OSError, before the engine is asked for anything."""
    with Path(name).open("rb"):
        return Path(name)


def write_out(chunks: Iterator[bytes], output: str) -> None:
    """Write to a file (the whole of it, or no file), or to stdout unless that is a terminal."""
    if not output:
        if sys.stdout.isatty():
            raise Exit(1, "cowardly refusing to save to a terminal. Use the -o flag or redirect")
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
        return
    path = Path(output)
    if not path.parent.is_dir():
        raise Exit(1, f'invalid output path: directory "{path.parent}" does not exist')
    write_stream(path, chunks)


@command("""
load [OPTIONS]

Load an image from a tar archive or STDIN

  -i, --input string   Read from tar archive file, instead of STDIN
  -q, --quiet          Suppress the load output
""")
def load(call: Call) -> int:
    """`docker load`: archives of docker, podman, skopeo, buildah and OCI layouts as tars."""
    from minidocker import archive

    if not call.input and sys.stdin.isatty():
        raise Exit(1, "requested load from stdin, but stdin is empty")
    source = _readable(call.input) if call.input else sys.stdin.buffer
    if call.engine.remote:
        for text in call.engine.images.loaded(source):
            print(text, end="")
        return 0
    loaded = archive.load(call.engine.images, source)
    for image, names in loaded:
        for name in names:
            print(f"Loaded image: {name}")
        if not names:
            print(f"Loaded image ID: {image.id}")
    return 0


@command(
    """
import [OPTIONS] file|- [REPOSITORY[:TAG]]

Import the contents from a tarball to create a filesystem image

  -c, --change list      Apply Dockerfile instruction to the created image
  -m, --message string   Set commit message for imported image
""",
    refused={"the image is always of this machine's platform": "platform="},
)
def import_(call: Call) -> int:
    """`docker import`."""
    source, *name = call.args
    if "://" in source:
        raise Exit(1, f"minidocker: import from a URL is not supported: download {source} and import the file")
    if name:
        Reference.parse(name[0])
    tar = sys.stdin.buffer if source == "-" else _readable(source)
    image = call.engine.images.import_image(tar, name[0] if name else "", changes=call.change, message=call.message)
    print(image.id)
    return 0
