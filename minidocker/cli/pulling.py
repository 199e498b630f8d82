"""The commands about registries of others: pull, push, login, logout; search is refused."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable
from typing import Any

from minidocker.cli.flags import Call, Exit, command
from minidocker.reference import HUB, Reference


@command("""
pull [OPTIONS] NAME[:TAG|@DIGEST]

Download an image from a registry

  -a, --all-tags                Download all tagged images in the repository
      --disable-content-trust   Skip image verification (default true)
      --platform string         Set platform if server is multi-platform capable
  -q, --quiet                   Suppress verbose output
""")
def pull(call: Call) -> int:
    """`docker pull`: the name on the last line is the whole one, for scripts."""
    _check_trust(call)
    text = call.args[0]
    name = _reference(text)
    tagged = name.digest or name.tag != "latest" or text.endswith(":latest")
    if call.all_tags and tagged:
        raise Exit(1, "tag can't be used with --all-tags/-a")
    if not tagged and not call.all_tags and not call.quiet:
        print(f"Using default tag: {name.tag}")
    show = None if call.quiet else Messages()
    call.engine.images.pull(text, all_tags=call.all_tags, platform=call.platform or None, on_event=show)
    print(f"{name.domain}/{name.path}" if call.all_tags else name.full)
    return 0


@command(
    """
push [OPTIONS] NAME[:TAG]

Upload an image to a registry

  -a, --all-tags                Push all tags of an image to the repository
      --disable-content-trust   Skip image signing (default true)
  -q, --quiet                   Suppress verbose output
""",
    refused={"an image here is of one platform": "platform="},
)
def push(call: Call) -> int:
    """`docker push`."""
    _check_trust(call)
    text = call.args[0]
    name = _reference(text)
    tagged = name.tag != "latest" or text.endswith(":latest")
    if name.digest:
        raise Exit(1, "cannot push a digest reference")
    if call.all_tags and tagged:
        raise Exit(1, "tag can't be used with --all-tags/-a")
    if not tagged and not call.all_tags and not call.quiet:
        print(f"Using default tag: {name.tag}")
    show: Callable[[dict[str, Any]], None] = Messages()
    call.engine.images.registries.push(name, call.all_tags, None, None if call.quiet else show)
    if call.quiet:
        print(f"{name.domain}/{name.path}" if call.all_tags else name.full)
    return 0


@command("""
login [OPTIONS] [SERVER]

Authenticate to a registry.
Defaults to Docker Hub if no server is specified.

  -p, --password string   Password or Personal Access Token (PAT)
      --password-stdin    Take the Password or Personal Access Token (PAT) from stdin
  -u, --username string   Username
""")
def login(call: Call) -> int:
    """`docker login`: asked once whether it is so, and then remembered where docker remembers it."""
    from minidocker.registry.credentials import Credentials, Login
    from minidocker.registry.service import domain_of

    domain, store = domain_of(call.args[0] if call.args else ""), Credentials()
    password = _password(call)
    known = store.get(domain) if not password and not call.username else Login()
    if known:
        print(f"Authenticating with existing credentials... [Username: {known.username}]")
        given = known
    else:
        given = Login(*_asked(call, domain, password))
    token = call.engine.images.registries.check(domain, given)
    if token or given != known:
        where = store.store(domain, Login(given.username, given.password, token) if token else given)
        if where:
            print(
                f"\nWARNING! Your credentials are stored unencrypted in '{where}'.\n"
                "Configure a credential helper to remove this warning. See\n"
                "https://docs.docker.com/go/credential-store/\n",
                file=sys.stderr,
            )
    print("Login Succeeded")
    return 0


@command("""
logout [SERVER]

Log out from a registry.
If no server is specified, the default is defined by the daemon.
""")
def logout(call: Call) -> int:
    """`docker logout`."""
    from minidocker.registry.credentials import Credentials, key_of
    from minidocker.registry.service import domain_of

    domain = domain_of(call.args[0] if call.args else "")
    print("Removing login credentials for", key_of(domain))
    Credentials().erase(domain)
    return 0


@command("""
search [OPTIONS] TERM

Search Docker Hub for images

  -f, --filter filter   Filter output based on conditions provided
      --format string   Pretty-print search using a Go template
      --limit int       Max number of search results
      --no-trunc        Don't truncate output
""")
def search(call: Call) -> int:
    """Refused, by name."""
    call.engine.images.search(call.args[0])
    return 0


def _check_trust(call: Call) -> None:
    if not call.disable_content_trust:
        raise Exit(1, "minidocker: --disable-content-trust=false is not supported: images are pinned by their digest")


def _reference(text: str) -> Reference:
    from minidocker.errors import InvalidArgument

    try:
        return Reference.parse(text)
    except InvalidArgument as error:
        raise Exit(1, error.explanation) from None


def _password(call: Call) -> str:
    """The password that was given; "" where none was."""
    if call.password_stdin:
        if call.password:
            raise Exit(1, "conflicting options: cannot specify both --password and --password-stdin")
        if not call.username:
            raise Exit(1, "the --password-stdin option requires --username to be set")
        given = sys.stdin.read().rstrip("\r\n")
        if not given:
            raise Exit(1, "password is empty")
        return given
    if call.password:
        print("WARNING! Using --password via the CLI is insecure. Use --password-stdin.", file=sys.stderr)
    return str(call.password)


def _asked(call: Call, domain: str, password: str) -> tuple[str, str]:
    """Name and password; what was not given is asked for."""
    if (not call.username or not password) and not sys.stdin.isatty():
        raise Exit(1, "Error: Cannot perform an interactive login from a non TTY device")
    if not call.username and domain == HUB:
        print("Log in with your Docker ID to push and pull images from Docker Hub.")
    username = call.username or input("Username: ").strip()
    if not username:
        raise Exit(1, "Error: Non-null Username Required")
    password = password or getpass.getpass("Password: ")
    if not password:
        raise Exit(1, "Error: Password Required")
    return username, password


class Messages:
    """Shows a stream of Docker's messages: on a terminal a line for each layer, in place; else what is not progress."""

    def __init__(self, out: Any = None) -> None:
        self.out = out or sys.stdout
        self.terminal = self.out.isatty()
        self.rows: dict[str, int] = {}

    def __call__(self, message: dict[str, Any]) -> None:
        """One message."""
        if "aux" in message or not message.get("status"):
            return
        if not self.terminal:
            if not message.get("progress"):
                self.out.write(_line(message) + "\n")
                self.out.flush()
            return
        self._in_place(message)
        self.out.flush()

    def _in_place(self, message: dict[str, Any]) -> None:
        id, line = message.get("id", ""), _line(message)
        if not id or "progressDetail" not in message:
            self.rows.clear()
            self.out.write(line + "\n")
            return
        if id not in self.rows:
            self.rows[id] = len(self.rows)
            self.out.write("\n")
        up = len(self.rows) - self.rows[id]
        self.out.write(f"\033[{up}A\033[2K\r{line}\r\033[{up}B")


def _line(message: dict[str, Any]) -> str:
    from minidocker.cli.progress import printable

    start = f"{message['id']}: " if message.get("id") else ""
    return printable(f"{start}{message['status']} {message.get('progress', '')}".rstrip())
