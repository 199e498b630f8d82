"""The command that builds: build."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from minidocker.build.output import Output
from minidocker.cli.flags import Call, Exit, command
from minidocker.cli.plain import Quiet
from minidocker.cli.planning import check_format, plan_text
from minidocker.cli.progress import printable, show
from minidocker.errors import BuildError, DockerfileError, InvalidArgument
from minidocker.reference import Reference

CHECKED = "path text fileobj custom_context dockerfile buildargs target platform labels".split()  # options of --check
MAGIC = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")  # gzip, bzip2, xz, zstd


def _allow(text: str) -> None:
    if text != "network.host":
        raise ValueError(f"{text} is not supported: every step runs in the same sandbox, without devices")


def _tag(text: str) -> None:
    try:
        Reference.parse(text)
    except InvalidArgument as error:
        raise ValueError(error.explanation) from None


@command(
    """
build [OPTIONS] PATH | URL | -

Build an image from a Dockerfile

      --allow list        Allow extra privileged entitlement ("network.host"; there is no "security.insecure")
      --annotation list   Add annotation to the image
      --attest list       Attestation parameters (format: "type=provenance,mode=max")
      --build-arg list    Set build-time variables
      --build-context list
                          Additional build contexts (e.g., name=path)
      --cache-from list   External cache sources (e.g. "type=local,src=path/to/dir", or an image with an inline cache)
      --cache-to list     Cache export destinations (e.g. "type=local,dest=path/to/dir,mode=max", "type=inline")
      --call string       Set method for evaluating build ("build" or "check") (default "build")
      --check             Shorthand for "--call=check": build nothing; print what Docker warns about
  -f, --file string       Name of the Dockerfile (Default is "PATH/Dockerfile"); "-" reads it from stdin
      --force-rm          Always remove intermediate containers (they always are)
      --format string     Format a plan: "table" or "json"
      --iidfile string    Write the image ID to the file
      --label list        Set metadata for an image
      --load              Shorthand for "--output=type=docker" (every image is kept in this engine anyway)
      --metadata-file string
                          Write build result metadata to a file
      --network string    Set the networking mode for the RUN instructions during build: "default", "none" or "host"
      --no-cache          Do not use cache when building the image
      --no-cache-filter list
                          Do not cache specified stages
  -o, --output list       Output destination (format: "type=local,dest=path"; also type=tar, oci, docker)
      --plan              Build nothing; print which steps would run, and why (minidocker's own)
      --platform list     Set target platform for build; others than this machine's where nothing is run for them
      --progress string   Set type of progress output ("auto", "quiet", "plain", "tty", "rawjson"). Use plain to show
                          container output (default "auto", or $BUILDKIT_PROGRESS)
      --provenance string
                          Shorthand for "--attest=type=provenance": "true", "false" or "mode=max" (default "false")
      --pull              Always attempt to pull all referenced images
      --push              Shorthand for "--output=type=registry"
  -q, --quiet             Suppress the build output and print image ID on success
      --rm                Remove intermediate containers after a successful build (default true)
      --secret list       Secret to expose to the build (format: "id=mysecret[,src=/local/secret]", or env=NAME)
      --ssh list          SSH agent socket to expose to the build (format: "default" or "<id>=<socket>")
  -t, --tag list          Name and optionally a tag in the "name:tag" format
      --target string     Set the target build stage to build
""",
    refused={
        "networks are not here yet": "add-host=",
        "limits are not here yet": """
            cgroup-parent= m/memory= memory-swap= c/cpu-shares= cpu-period= cpu-quota= cpuset-cpus= cpuset-mems=
            shm-size= ulimit=""",
        "the context is not sent anywhere": "compress",
        "this is for Windows containers": "isolation=",
        "security options are not here yet": "security-opt=",
        "layers stay what they are; `export` and `import` make one of them": "squash",
        "minidocker does not scan what is in an image": "sbom=",
    },
    checks={"allow": _allow, "tag": _tag},
)
def build(call: Call) -> int:
    """`docker build`: the context, through the Dockerfile, to an image."""
    options = source(call) | {
        "buildargs": dict(arg.partition("=")[::2] for arg in build_args(call.build_arg)),
        "labels": dict(label.partition("=")[::2] for label in call.label),
        "network_mode": call.network or None,
        "secrets": call.secret,
        "ssh": call.ssh,
        "nocache": call.no_cache,
        "build_contexts": call.build_context,
        "no_cache_filter": call.no_cache_filter,
        "pull": call.pull,
        "push": call.push,
        "tag": call.tag,
        "target": call.target or None,
        "platform": ",".join(call.platform) or None,
        "iidfile": call.iidfile,
        "metadata_file": call.metadata_file,
        "cache_from": call.cache_from,
        "cache_to": call.cache_to,
        "output": call.output,
        "load": call.load,
        "annotations": call.annotation,
        "provenance": call.provenance if "provenance" in call.given else None,
        "attest": call.attest,
    }
    if any(Output.parse(text).to_stdout for text in call.output):
        options["stdout"] = sys.stdout.buffer
        with redirect_stdout(sys.stderr):
            return carry_out(call, options)
    return carry_out(call, options)


def carry_out(call: Call, options: dict[str, Any]) -> int:
    """Build, and show how that goes; or say what would be built."""
    check_format(call.format, call.plan)
    if call.check or call.call != "build":
        return checked(call, options)
    if call.engine.remote:
        return classic(call, options)
    progress = show("quiet" if call.quiet else call.progress)
    try:
        if call.plan:
            print(plan_text(call.engine.images.forecast(**options), call.format))
            return 0
        with progress:
            image, _ = call.engine.images.build(**options, on_event=progress)
    except BuildError as error:
        raise Exit(
            getattr(error, "exit_code", 1) or 1, f"{progress.recall()}ERROR: failed to solve: {printable(error.msg)}"
        ) from None
    except DockerfileError as error:
        raise Exit(1, f"{progress.recall()}{located(error)}") from None
    if isinstance(progress, Quiet):
        print(image.id)
    return 0


def classic(call: Call, options: dict[str, Any]) -> int:
    """Let a daemon build, and print what its classic builder says, as docker does."""
    from minidocker.cli.remote.images import show as print_it

    if call.plan:
        call.engine.images.forecast()
    iidfile = options.pop("iidfile")
    try:
        image, _ = call.engine.images.build(**options, on_event=None if call.quiet else print_it)
    except BuildError as error:
        raise Exit(getattr(error, "exit_code", 1) or 1, printable(error.msg)) from None
    if iidfile:
        Path(iidfile).write_text(image.id)
    if call.quiet:
        print(image.id)
    return 0


def checked(call: Call, options: dict[str, Any]) -> int:
    """`docker build --check`: what Docker warns about; 1 where there is anything."""
    from minidocker.build.checking import check
    from minidocker.dockerfile.lint import report

    if not call.check and call.call not in ("check", "lint"):
        raise Exit(125, f"minidocker: --call={call.call} is not supported: use check or build")
    try:
        options["platform"] = (options["platform"] or "").partition(",")[0] or None  # a warning is of no platform
        build = check(call.engine, **{name: options[name] for name in options if name in CHECKED})
    except DockerfileError as error:
        said = report(error.text, error.name, error.warnings) + "\n" if error.warnings else ""
        print(said, end="")
        raise Exit(1, located(error)) from None
    assert build.dockerfile is not None
    print(report(build.dockerfile.text, build.dockerfile.name, build.warnings), end="")
    return 1 if build.warnings else 0


def located(error: DockerfileError) -> str:
    """An error of a Dockerfile as BuildKit prints it: the lines that it is about, and what is wrong with them."""
    from minidocker.dockerfile.excerpt import excerpt

    where = f"dockerfile parse error on line {error.line}: " if error.line else ""
    return f"{excerpt(error.text, error.name, error.line)}ERROR: failed to solve: {where}{error.message}"


def source(call: Call) -> dict[str, Any]:
    """Where context and Dockerfile come from, in the SDK's words: a folder, a URL, a tar or a Dockerfile on stdin."""
    from minidocker.build.opening import is_remote

    where = call.args[0]
    if call.file.startswith(("http://", "https://")):
        raise Exit(1, f"unable to prepare context: the Dockerfile cannot come from a URL alone: build {call.file}")
    if where != "-" and is_remote(where):
        local = Path(call.file) if call.file not in ("", "-") and Path(call.file).is_absolute() else None
        data = sys.stdin.buffer.read() if call.file == "-" else local.read_bytes() if local else None
        text = None if data is None else data.decode(errors="surrogateescape")
        return {"path": where, "dockerfile": None if local or text else call.file or None, "text": text}
    if where != "-":
        if not Path(where).is_dir():
            raise Exit(
                1,
                f"unable to prepare context: path {where!r} not found"
                if not Path(where).exists()
                else (f"unable to prepare context: context must be a directory: {where}"),
            )
        if call.file == "-":
            return {"path": where, "text": sys.stdin.buffer.read().decode(errors="surrogateescape")}
        return {"path": where, "dockerfile": str(Path(call.file).absolute()) if call.file else None}
    if call.file == "-":
        raise Exit(1, "invalid argument: can't use stdin for both build context and dockerfile")
    data = sys.stdin.buffer.read()
    if data[257:262] == b"ustar" or data.startswith(MAGIC):
        return {"fileobj": io.BytesIO(data), "custom_context": True, "dockerfile": call.file or None}
    if call.file:
        raise Exit(1, "unable to prepare context: what is on stdin is no tar, so it can have no file " + call.file)
    return {"fileobj": io.BytesIO(data)}


def build_args(given: list[str]) -> list[str]:
    """`--build-arg A=1`; a bare name takes the value that it has here, if any."""
    from minidocker.cli.running import environment

    return environment([], given)
