"""The commands that run programs: run, create, exec, attach, logs."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from minidocker.cli import attached, attaching, complaint, limiting, surroundings
from minidocker.cli.flags import Call, Exit, Invalid, command
from minidocker.cli.mounting import capabilities, devices, is_size, mount, security_option, volume
from minidocker.container import Container
from minidocker.container import logs as records
from minidocker.dockerfile.values import duration
from minidocker.errors import APIError, Conflict, NotFound, StartError
from minidocker.images import is_id
from minidocker.reference import Reference
from minidocker.runtime import Client, Stdio
from minidocker.times import stamp

_CREATION = (
    """
      --add-host list        Add a custom host-to-IP mapping (host:ip)
      --annotation map       Add an annotation to the container (passed through to the OCI runtime)
  -a, --attach list          Attach to STDIN, STDOUT or STDERR
      --cap-add list         Add Linux capabilities
      --cap-drop list        Drop Linux capabilities
      --cgroupns string      Cgroup namespace to use (host|private)
      --cidfile string       Write the container ID to the file
      --dns list             Set custom DNS servers
      --dns-option list      Set DNS options
      --dns-search list      Set custom DNS search domains
      --domainname string    Container NIS domain name
      --device list          Add a host device to the container
      --entrypoint string    Overwrite the default ENTRYPOINT of the image
  -e, --env list             Set environment variables
      --env-file list        Read in a file of environment variables
      --health-cmd string    Command to run to check health
      --health-interval duration        Time between running the check (ms|s|m|h) (default 0s)
      --health-retries int              Consecutive failures needed to report unhealthy
      --health-start-interval duration  Time between running the check during the start period (ms|s|m|h) (default 0s)
      --health-start-period duration    Start period for the container to initialize before starting
                             health-retries countdown (ms|s|m|h) (default 0s)
      --health-timeout duration         Maximum time to allow one check to run (ms|s|m|h) (default 0s)
      --group-add list       Add additional groups to join
  -h, --hostname string      Container host name
      --init                 Run an init inside the container that forwards signals and reaps processes
  -i, --interactive          Keep STDIN open even if not attached
      --ipc string           IPC mode to use
      --isolation string     Container isolation technology
  -l, --label list           Set meta data on a container
      --label-file list      Read in a line delimited file of labels
      --log-driver string    Logging driver for the container: json-file or none
      --log-opt list         Log driver options
      --gpus string          GPU devices to add to the container ('all' to pass all GPUs)
      --mount list           Attach a filesystem mount to the container (type=volume, bind or tmpfs)
      --name string          Assign a name to the container
      --expose list          Expose a port or a range of ports
      --ip string            IPv4 address (e.g., 172.30.100.104)
      --ip6 string           IPv6 address (e.g., 2001:db8::33)
      --link list            Add link to another container
      --link-local-ip list   Container IPv4/IPv6 link-local addresses
      --mac-address string   Container MAC address (e.g., 92:d0:c6:0a:29:33)
      --net network          The same as --network
      --net-alias list       The same as --network-alias
      --network network      Connect a container to a network: NAME, or name=NAME,alias=…,ip=…,mac-address=…
      --network-alias list   Add network-scoped alias for the container
  -p, --publish list         Publish a container's port(s) to the host
  -P, --publish-all          Publish all exposed ports to random ports
      --no-healthcheck       Disable any container-specified HEALTHCHECK
      --privileged           Give extended privileges to this container
      --pid string           PID namespace to use
      --platform string      Set platform if server is multi-platform capable
      --pull string          Pull image before running ("always", "missing", "never") (default "missing")
      --read-only            Mount the container's root filesystem as read only
      --restart string       Restart policy to apply when a container exits (default "no")
      --rm                   Automatically remove the container when it exits
      --runtime string       Runtime to use for this container
      --security-opt list    Security Options
      --shm-size bytes       Size of /dev/shm
      --stop-signal string   Signal to stop the container
      --stop-timeout int     Timeout (in seconds) to stop a container
      --sysctl list          Sysctl options
      --tmpfs list           Mount a tmpfs directory
  -t, --tty                  Allocate a pseudo-TTY
  -u, --user string          Username or UID (format: <name|uid>[:<group|gid>])
      --userns string        User namespace to use
      --uts string           UTS namespace to use
  -v, --volume list          Bind mount a volume, or a folder: name:/inside[:ro], /on/host:/inside[:ro]
      --volume-driver string  Optional volume driver for the container
      --volumes-from list    Mount volumes from the specified container(s)
  -w, --workdir string       Working directory inside the container
"""
    + limiting.CREATION
)
_REFUSED = {
    "this is for Windows containers": "cpu-count= cpu-percent= io-maxbandwidth= io-maxiops=",
    "there is no other program here to tell": "use-api-socket",
}


def _env(text: str) -> None:
    if not text or text.startswith("="):
        raise ValueError(f"invalid environment variable: {text}")


def _label(text: str) -> None:
    if not text or text.startswith("="):
        raise ValueError(f"invalid label '{text}': empty name")


def _stream(text: str) -> None:
    if text.lower() not in ("stdin", "stdout", "stderr"):
        raise ValueError("valid streams are STDIN, STDOUT and STDERR")


HEALTH_TIMES = ("interval", "timeout", "start_period", "start_interval")
_CHECKS: dict[str, Callable[[str], object]] = {"env": _env, "label": _label, "attach": _stream}
_CHECKS |= surroundings.CHECKS | attaching.CHECKS
_CHECKS |= {"mount": mount, "shm-size": is_size} | limiting.CHECKS
_CHECKS |= {f"health-{name.replace('_', '-')}": duration for name in HEALTH_TIMES}


@command(
    f"""
run [OPTIONS] IMAGE [COMMAND] [ARG...]

Create and run a new container from an image
{_CREATION}
  -d, --detach               Run container in background and print container ID
      --detach-keys string   Override the key sequence for detaching a container
      --sig-proxy            Proxy received signals to the process (default true)
  -q, --quiet                Suppress the pull output
""",
    refused=_REFUSED,
    checks=_CHECKS,
)
def run(call: Call) -> int:
    """`docker run`: create, start, and unless detached stay until it ends, with its exit code."""
    if call.detach and call.attach:
        raise Exit(1, "conflicting options: cannot specify both --attach and --detach")
    keys = attached.detach_keys(call.detach_keys)
    if not call.detach:
        attached.check_terminal(call.interactive or "stdin" in map(str.lower, call.attach), call.tty)
    container = new_container(call)
    if not call.detach:
        streams = {stream.lower() for stream in call.attach}
        return foreground(container, call.interactive, streams, call.sig_proxy, call.rm, keys)
    try:
        container.start()
    except BaseException:
        if call.rm:
            container.remove(v=True, force=True)
        raise
    finally:
        print(container.id, flush=True)  # whether it starts or not, as docker
    return 0


@command(
    f"""
create [OPTIONS] IMAGE [COMMAND] [ARG...]

Create a new container
{_CREATION}
  -q, --quiet                Suppress the pull output
""",
    refused=_REFUSED,
    checks=_CHECKS,
)
def create(call: Call) -> int:
    """`docker create`."""
    print(new_container(call).id)
    return 0


def new_container(call: Call) -> Container:
    """The container that the options of `run` and `create` describe."""
    image, *words = call.args
    if call.pull not in ("", "always", "missing", "never"):
        raise Invalid(f'invalid pull option: \'{call.pull}\': must be one of "always", "missing" or "never"')
    try:
        Reference.parse(image) if not image.startswith("sha256:") else None
    except APIError as error:
        raise Invalid(error.explanation) if call.command.name == "run" else Exit(1, error.explanation) from None
    options: dict[str, Any] = {
        "name": call.name or None,
        "entrypoint": None if "entrypoint" not in call.given else [call.entrypoint],
        "environment": environment(call.env_file, call.env) or None,
        "healthcheck": healthcheck(call),
        "hostname": call.hostname or None,
        "domainname": call.domainname or None,
        "labels": labels(call.label_file, call.label) or None,
        **attaching.options(call),
        "annotations": dict(text.partition("=")[::2] for text in call.annotation) or None,
        "cap_add": capabilities(call.cap_add),
        "cap_drop": capabilities(call.cap_drop),
        "device_requests": [{"Count": -1, "Capabilities": [["gpu"]]}] if call.gpus else None,
        "devices": [device for text in call.device for device in devices(text)],
        "mounts": list(map(mount, call.mount)),
        "privileged": call.privileged,
        "read_only": call.read_only,
        "restart_policy": limiting.restart_policy(call, Invalid),
        "auto_remove": call.rm,
        "runtime": call.runtime or None,
        "isolation": call.isolation or None,
        "security_opt": list(map(security_option, call.security_opt)),
        "shm_size": call.shm_size or None,
        "stdin_open": call.interactive,
        "tty": call.tty,
        "attach": call.attach or None,
        "detach": call.command.name == "run" and call.detach,
        "console_size": attached.size() if call.tty else None,
        "log_config": log_config(call),
        "stop_signal": call.stop_signal or None,
        "stop_timeout": call.stop_timeout if "stop-timeout" in call.given else None,
        "tmpfs": call.tmpfs,
        "user": call.user or None,
        "volumes": list(dict.fromkeys(map(volume, call.volume))) or None,
        "volume_driver": call.volume_driver or None,
        "volumes_from": call.volumes_from or None,
        "working_dir": call.workdir or None,
        **surroundings.options(call),
    }
    given = {key: value for key, value in options.items() if value is not None} | limiting.options(call)
    if call.platform:
        given["platform"] = call.platform
    name, file = present(call, image), cidfile(call.cidfile)
    try:
        container: Container = call.engine.containers.create(name, words or None, **given)
    except BaseException:
        if file:
            file.unlink(missing_ok=True)
        raise
    limiting.warn(container)
    if file:
        file.write_text(container.id)
    return container


def cidfile(name: str) -> Path | None:
    """`--cidfile`, made before the container is: where it cannot be, there is to be none."""
    try:
        Path(name).touch(exist_ok=False) if name else None
    except FileExistsError:
        why = f"container ID file found, make sure the other container isn't running or delete {name}"
        raise Invalid(why) from None
    except OSError as error:
        why, code = complaint(error), 127 if isinstance(error, FileNotFoundError) else 126
        raise Invalid(f"failed to create the container ID file: {why}", code) from None
    return Path(name) if name else None


def present(call: Call, image: str) -> str:
    """The image's name, now that it is here: it is pulled where it is missing, or with `--pull always`."""
    from minidocker.cli.pulling import Messages

    images, platform = call.engine.images, call.platform
    if call.pull != "always" and (images.makes(image) or images.suits(image, platform)):
        return image
    if call.pull == "never" or is_id(image):
        images.get(image)
    if call.pull != "always":
        print(f"Unable to find image '{Reference.parse(image)}' locally", file=sys.stderr)
    images.fetch(image, platform, None if call.quiet else Messages(sys.stderr))
    return image


def healthcheck(call: Call) -> dict[str, Any] | None:
    """`--health-*` and `--no-healthcheck`, as the API wants them."""
    times = {name: duration(getattr(call, f"health_{name}") or "0") for name in HEALTH_TIMES}
    asked = bool(call.health_cmd or call.health_retries or any(times.values()))
    if call.no_healthcheck:
        if asked:
            raise Invalid("--no-healthcheck conflicts with --health-* options")
        return {"test": ["NONE"]}
    for name, value in (*times.items(), ("retries", call.health_retries)):
        if value < 0:
            raise Invalid(f"--health-{name.replace('_', '-')} cannot be negative")
    test = {"test": ["CMD-SHELL", call.health_cmd]} if call.health_cmd else {}
    return {**test, **times, "retries": call.health_retries} if asked else None


def log_config(call: Call) -> dict[str, Any] | None:
    """`--log-driver` and `--log-opt`, as the API wants them."""
    options = {name: value for name, _, value in (text.partition("=") for text in call.log_opt)}
    if call.log_driver == "none" and options:
        raise Invalid("invalid logging opts for driver none")
    return {"type": call.log_driver, "config": options} if call.log_driver or options else None


def environment(files: list[str], given: list[str]) -> list[str]:
    """`-e A=1 -e B` and the lines of `--env-file`: a bare name takes the value that it has here, if any."""
    lines = [line for file in files for line in _lines(file)]
    found = []
    for text in (*lines, *given):
        name, equals, _ = text.partition("=")
        if equals:
            found.append(text)
        elif name in os.environ:
            found.append(f"{name}={os.environ[name]}")
    return found


def labels(files: list[str], given: list[str]) -> dict[str, str]:
    """`-l a=b -l c`, and the lines of `--label-file`."""
    pairs = (text.partition("=") for text in (*(line for file in files for line in _lines(file)), *given))
    return {name: value for name, _, value in pairs}


def _lines(file: str) -> Iterator[str]:
    try:
        lines = Path(file).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(complaint(error)) from None
    for line in lines:
        text = line.lstrip()
        if text and not text.startswith("#"):
            name = text.partition("=")[0]
            if not name:
                raise Invalid(f"invalid env file ({file}): no variable name on line '{text}'")
            if any(character.isspace() for character in name):
                raise Invalid(f"invalid env file ({file}): variable '{name}' contains whitespaces")
            yield text


# --- in the foreground ----------------------------------------------------------------------------------------------


def foreground(
    container: Container,
    stdin: bool = False,
    streams: set[str] | None = None,
    proxy: bool = True,
    remove: bool = False,
    keys: bytes = b"",
) -> int:
    """Start a container connected to this process's own streams, and wait; signals that come here go to it.

    One that is left by the detach keys runs on, with no word about it and 0, as Docker's `run` does.
    """
    wanted = (streams or {"stdout", "stderr"}) | ({"stdin"} if stdin else set())
    detached = False
    try:
        with container.watching(), signals_to(container) if proxy else nullcontext():
            container.tell("attach")
            detached = start_connected(container, wanted, keys)
            return 0 if detached else ended(container)
    finally:
        if remove and not detached:
            with suppress(NotFound, Conflict):  # the engine may have been quicker, or is about to
                container.remove(v=True, force=True)


def start_connected(container: Container, wanted: set[str], keys: bytes) -> bool:
    """Start it, and stay connected to it until its streams end; whether one has detached before."""
    if not attachable(container):
        start_here(container, "stdin" in wanted, wanted)
        return False
    if container.status == "running":
        return stay(container, wanted, keys)
    if isinstance(container, Container):
        ours, theirs = socket.socketpair()
        with theirs:
            client = Client(theirs.fileno(), *(name in wanted for name in ("stdin", "stdout", "stderr")))
            container.start(Stdio(clients=(client,)))
    else:
        ours = container.start_connected(wanted)
    return attached.converse(ours, container.tty, "stdin" in wanted, keys, container.resize)


def attachable(container: Any) -> bool:
    """Whether its streams can be had: of a daemon's it is the daemon that says."""
    return not isinstance(container, Container) or container.containers.runtime.attachable


def start_here(container: Container, stdin: bool, wanted: set[str]) -> None:
    """Start it with our file descriptors, where these are what Python prints to; the rest is read from its log."""
    fds = {name: getattr(sys, name).fileno() for name in wanted if name != "stdin" and attached.is_real(name)}
    for name in fds:
        getattr(sys, name).flush()
    container.start(Stdio(0 if stdin and attached.is_real("stdin") else None, fds.get("stdout"), fds.get("stderr")))
    if rest := wanted - fds.keys() - {"stdin"}:
        show_log(container, rest, follow=True)


def show_log(
    container: Container,
    wanted: set[str],
    follow: bool = False,
    stamps: bool = False,
    details: bool = False,
    **range_: Any,
) -> None:
    """Print a container's log, each stream where it belongs."""
    for record in container.records(follow=follow, **range_):
        if record["stream"] in wanted:
            attached.write(getattr(sys, record["stream"]), records.text(record, stamps, details))


@contextmanager
def signals_to(container: Container) -> Iterator[None]:
    """While this lasts, signals sent to this process are sent on to the container's, as `docker run` does.

    A program that is process 1 ignores those that it does not handle, so the third Ctrl-C ends the wait.
    """
    asked = 0

    def forward(number: int, _frame: Any) -> None:
        nonlocal asked
        asked += number in (signal.SIGINT, signal.SIGTERM)
        if asked >= 3:
            raise Exit(1, "\ngot 3 SIGTERM/SIGINTs, forcefully exiting")
        with suppress(APIError, OSError):
            container.kill(number)

    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
    with attached.handlers(forward, names):
        yield


# --- into one that runs ---------------------------------------------------------------------------------------------


@command(
    """
exec [OPTIONS] CONTAINER COMMAND [ARG...]

Execute a command in a running container

  -d, --detach               Detached mode: run command in the background
      --detach-keys string   Override the key sequence for detaching a container
  -e, --env list             Set environment variables
      --env-file list        Read in a file of environment variables
  -i, --interactive          Keep STDIN open even if not attached
      --privileged           Give extended privileges to the command
  -t, --tty                  Allocate a pseudo-TTY
  -u, --user string          Username or UID (format: "<name|uid>[:<group|gid>]")
  -w, --workdir string       Working directory inside the container
""",
    checks={"env": _env},
)
def exec_(call: Call) -> int:
    """`docker exec`: one more program inside; 126 and 127 when it cannot be run or is not there."""
    name, *words = call.args
    container: Container = call.engine.containers.get(name)
    keys = attached.detach_keys(call.detach_keys)
    options = {
        "user": call.user,
        "environment": environment(call.env_file, call.env) or None,
        "workdir": call.workdir or None,
        "privileged": call.privileged,
    }
    if call.detach:
        try:
            container.exec_run(words, detach=True, tty=call.tty, **options)
        except StartError as error:
            raise Exit(1, f"Error response from daemon: {error.said('exec')}") from None
        return 0
    attached.check_terminal(call.interactive, call.tty)
    if not attachable(container):
        return exec_here(container, words, call, options)
    execution = container.exec_create(words, stdin=call.interactive, tty=call.tty, **options)
    try:
        connection = execution.connect(attached.size() if call.tty else (0, 0))
    except StartError as error:
        raise Exit(error.exit_code, error.said("exec")) from None
    if attached.converse(connection, call.tty, call.interactive, keys, execution.resize):
        raise Exit(1, attached.DETACHED)
    return int(execution.inspect()["ExitCode"])


def exec_here(container: Container, words: list[str], call: Call, options: dict[str, Any]) -> int:
    """Run it with our file descriptors, where these are what Python prints to."""
    if call.tty:
        options["tty"] = True  # which says that there is none
    elif attached.is_real("stdout") and attached.is_real("stderr"):
        sys.stdout.flush()
        stdin = 0 if call.interactive and attached.is_real("stdin") else None
        return container.exec(words, Stdio(stdin, 1, 2), **options)
    result = container.exec_run(words, demux=True, **options)
    for stream, data in zip((sys.stdout, sys.stderr), result.output, strict=True):
        attached.write(stream, data or b"")
    return int(result.exit_code or 0)


_NOT_RUNNING = {
    "paused": "You cannot attach to a paused container, unpause it first",
    "restarting": "You cannot attach to a restarting container, wait until it is running",
}


@command(
    """
attach [OPTIONS] CONTAINER

Attach local standard input, output, and error streams to a running container

      --detach-keys string   Override the key sequence for detaching a container
      --no-stdin             Do not attach STDIN
      --sig-proxy            Proxy all received signals to the process (default true)
"""
)
def attach(call: Call) -> int:
    """`docker attach`: its streams from now on, and its exit code."""
    container: Container = call.engine.containers.get(call.args[0])
    keys, status = attached.detach_keys(call.detach_keys), container.status
    if status != "running":
        raise Exit(1, _NOT_RUNNING.get(status, "You cannot attach to a stopped container, start it first"))
    attached.check_terminal(not call.no_stdin, container.tty)
    with container.watching(), signals_to(container) if call.sig_proxy and not container.tty else nullcontext():
        if not attachable(container):
            show_log(container, {"stdout", "stderr"}, follow=True, tail=0)
        elif stay(container, {"stdout", "stderr"} | (set() if call.no_stdin else {"stdin"}), keys):
            raise Exit(1, attached.DETACHED)
        return ended(container)


def stay(container: Container, wanted: set[str], keys: bytes) -> bool:
    """Stay connected to a container that runs until its streams end; whether one has detached before."""
    wanted = wanted - (set() if container.config["Config"]["OpenStdin"] else {"stdin"})
    connection = container.connect(*(name in wanted for name in ("stdin", "stdout", "stderr")))
    if container.tty and attached.is_terminal("stdout"):
        height, width = attached.size()
        container.resize(height + 1, width + 1)  # so that the program draws its screen anew, as with Docker
    return attached.converse(connection, container.tty, "stdin" in wanted, keys, container.resize)


def ended(container: Container) -> int:
    """The exit code of a container whose streams have ended; the restart policy may start it again meanwhile."""
    if not isinstance(container, Container):
        return int(container.exit_code())
    state = container.state()
    return int(state["ExitCode"] if state["Restarting"] else container.wait()["StatusCode"])


@command("""
logs [OPTIONS] CONTAINER

Fetch the logs of a container

      --details        Show extra details provided to logs
  -f, --follow         Follow log output
      --since string   Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)
  -n, --tail string    Number of lines to show from the end of the logs (default "all")
  -t, --timestamps     Show timestamps
      --until string   Show logs before a timestamp, or relative, as --since
""")
def logs(call: Call) -> int:
    """`docker logs`: what it wrote to stdout on stdout, what to stderr on stderr."""
    container: Container = call.engine.containers.get(call.args[0])
    for name in ("since", "until"):
        try:
            stamp(call.options[name])
        except APIError as error:
            raise Exit(1, f'invalid value for "{name}": {error.explanation}') from None
    span = {"tail": call.tail, "since": call.since or None, "until": call.until or None}
    show_log(container, {"stdout", "stderr"}, call.follow, call.timestamps, call.details, **span)
    with suppress(NotFound):  # one with --rm has gone
        if lost := container.state().get("LogLost"):
            print(f"WARNING: {lost} more records were lost: there was no room for them on the disk", file=sys.stderr)
    return 0
