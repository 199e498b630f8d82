"""The commands of a registry of one's own: serve, garbage-collect, htpasswd; and `system fsck`."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from minidocker.cli.flags import Call, Exit, command
from minidocker.cli.format import human_size


@command("""
registry serve [OPTIONS]

Serve images as an OCI registry, for docker, podman, skopeo and minidocker itself

      --addr string       Listen on this address and port; port 0 is a free one (default "127.0.0.1:5000")
      --anonymous-pull    Let everybody pull; only those in the htpasswd file push
      --htpasswd string   Let in those in this file; `minidocker registry htpasswd` makes its lines
      --insecure          Listen beyond this machine without TLS, or without asking who it is
      --mirror string     Serve what another registry has, and keep it: its URL, like https://registry-1.docker.io
      --tls-cert string   Serve HTTPS with this certificate (PEM)
      --tls-key string    The certificate's key
""")
def serve(call: Call) -> int:
    """Serve until a signal comes."""
    from minidocker.registry.server import Registry
    from minidocker.registry.serving import serving
    from minidocker.registry.users import Users
    from minidocker.web.server import tls_context

    if bool(call.tls_cert) != bool(call.tls_key):
        raise Exit(1, "--tls-cert and --tls-key belong together")
    if call.anonymous_pull and not call.htpasswd:
        raise Exit(1, "--anonymous-pull needs --htpasswd: without it, everybody pulls and pushes")
    tls = tls_context(Path(call.tls_cert), Path(call.tls_key)) if call.tls_cert else None
    users = Users.read(Path(call.htpasswd)) if call.htpasswd else None
    registry = Registry(call.engine.store, users, call.anonymous_pull, call.mirror)
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    with serving(registry, call.addr, tls, call.insecure) as url:
        print(f"Registry at {url}, its repositories in {registry.shelf.folder}", flush=True)
        while not done.wait(3600):  # in slices: on Windows a signal does not end a wait
            pass
    return 0


@command("""
registry garbage-collect [OPTIONS]

Delete the blobs of the registry that no manifest names any more; it may serve meanwhile

  -m, --delete-untagged   Delete manifests too that no tag leads to
  -d, --dry-run           Only print what would be deleted
      --grace int         Keep what was pushed or asked for in the last so many seconds (default 3600)
""")
def garbage_collect(call: Call) -> int:
    """As docker-registry's own."""
    from minidocker.registry.shelf import Shelf
    from minidocker.registry.sweep import garbage_collect

    swept = garbage_collect(Shelf(call.engine.store), call.dry_run, call.delete_untagged, call.grace)
    for kind, found in {"manifest": swept.manifests, "blob": swept.blobs, "upload": swept.uploads}.items():
        for name, what in found:
            print(f"{name}: {kind} eligible for deletion: {what}")
    if not call.dry_run:
        print(f"Total reclaimed space: {human_size(swept.freed)}")
    return 0


@command("""
registry htpasswd NAME

Print a line for the htpasswd file; the password is read from standard input
""")
def htpasswd(call: Call) -> int:
    """The password is not an argument: those stand in the list of processes."""
    from minidocker.registry.users import line

    if sys.stdin.isatty():
        import getpass

        password = getpass.getpass()
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    print(line(call.args[0], password))
    return 0


@command("""
system fsck

Check that every blob has its bytes, and that everything that is named is there
""")
def fsck(call: Call) -> int:
    """Print each problem; the exit code says whether there is one."""
    from minidocker.fsck import problems

    found = 0
    for found, problem in enumerate(problems(call.engine.store), 1):  # noqa: B007
        print(problem)
    print(f"{found or 'no'} problem{'s' * (found != 1)} found in {call.engine.root}")
    return 1 if found else 0
