"""Files out of a git repository: ADD of one, and a build context that is one. It takes the machine's own `git`.

What is added is known by its commit, which the remote is asked for (`git ls-remote`); it is only fetched when no layer
has been made of that commit yet. A repository is hostile: no hook, no configuration and no filter of it or of this
machine is in force; nothing but http, https, ssh and git is spoken, for submodules too; links are never followed.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from minidocker.build.context import Context
from minidocker.build.gitref import COMMIT, PROTOCOLS, GitRef, redacted
from minidocker.build.remotes import Remote
from minidocker.content import temp_path, write_atomic
from minidocker.errors import BuildError, Unsupported
from minidocker.images import Guard, unguarded
from minidocker.tree import Entry, Tree, directory, prefix

HOUR = 3600
CONFIG = """\
[core]
  hooksPath = /dev/null
  fsmonitor = false
  autocrlf = false
[init]
  defaultBranch = master
[gc]
  auto = 0
[advice]
  detachedHead = false
[http]
  lowSpeedLimit = 1
  lowSpeedTime = 60
[protocol]
  allow = never
""" + "".join(f'[protocol "{name}"]\n  allow = always\n' for name in PROTOCOLS)
ENVIRONMENT = {
    "GIT_ALLOW_PROTOCOL": ":".join(PROTOCOLS),
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_SSH_COMMAND": f"ssh -F {os.devnull} -o BatchMode=yes -o StrictHostKeyChecking=yes",
    "GIT_TEMPLATE_DIR": "",
    "GIT_TERMINAL_PROMPT": "0",
    "HOME": os.devnull,
    "LC_ALL": "C",
}
PASSED = ("PATH", "SSH_AUTH_SOCK", "SYSTEMROOT", *(f"{name}_PROXY" for name in ("HTTP", "HTTPS", "ALL", "NO")))


class Repositories:
    """The repositories that a build takes files from. `scratch` is a folder for what is fetched."""

    def __init__(self, scratch: Path, guard: Guard = unguarded) -> None:
        self.scratch, self.guard = scratch, guard

    def ask(self, git: GitRef) -> Remote:
        """What a repository gives now. Raises BuildError, and Unsupported where there is no `git`."""
        name, commit = ("", git.ref) if COMMIT.fullmatch(git.ref) else self.resolve(git)
        if not commit.startswith(git.commit):
            raise BuildError(f"{git.shown}: expected checksum to match {git.commit}, got {commit}")
        more = [f":{git.subdir}"] * bool(git.subdir) + [".git"] * bool(git.keep)
        more += ["without submodules"] * (not git.submodules)
        evidence = " ".join(["commit", "755", "0:0", commit, *more])
        return Remote(git.shown, evidence, lambda: self.tree(git, name, commit))

    def resolve(self, git: GitRef) -> tuple[str, str]:
        """The full name and the commit of a ref; a branch goes before a tag, as for `git checkout`."""
        wanted = git.ref or "HEAD"
        if wanted.startswith("-"):
            raise BuildError(f"{git.shown}: {wanted} is no name of a branch, tag or commit")
        lines = self.run("ls-remote", git.remote, wanted, f"{wanted}^{{}}").splitlines()
        commits = {name: commit for commit, _, name in (line.partition("\t") for line in lines)}
        short = wanted.removeprefix("refs/")
        for name in (wanted, f"refs/heads/{short}", f"refs/tags/{short}", f"refs/{short}"):
            commit = commits.get(f"{name}^{{}}") or commits.get(name, "")
            if COMMIT.fullmatch(commit):
                return name, commit
        raise BuildError(f"repository does not contain ref {wanted}: {git.shown}")

    def tree(self, git: GitRef, name: str, commit: str) -> Tree:
        """The files of a commit, without `.git` unless it is to be kept; their times are the commit's."""
        root = temp_path(self.scratch / "git")
        root.mkdir(parents=True)
        self.fetch(root, git, commit)
        self.within(root, "checkout", "-q", "--detach", commit)
        if git.submodules and (root / ".gitmodules").exists():
            self.shallow(root, "submodule", "update", "-q", "--init", "--recursive")
        seconds = int(self.within(root, "show", "-s", "--format=%ct", commit))
        keep = bool(git.keep) and posixpath.normpath(git.subdir or ".") in (".", "/")
        if keep:
            self.tidy(root, git, name, commit)
        entries = Context.folder(root).tree.items()
        taken = {path: replace(entry, mtime=seconds) for path, entry in entries if keep or "/.git/" not in f"{path}/"}
        return subtree(Tree.trusted(taken), git)

    def fetch(self, root: Path, git: GitRef, commit: str) -> None:
        """Fetch one commit; all there is, where the remote gives no single ones."""
        self.run("init", "-q", str(root))
        self.within(root, "remote", "add", "origin", git.remote)
        try:
            self.shallow(root, "fetch", "-q", "--no-tags", "origin", commit)
        except BuildError:
            self.shallow(root, "fetch", "-q", "--tags", "origin")
        try:
            self.within(root, "cat-file", "-e", f"{commit}^{{commit}}")
        except BuildError:
            raise BuildError(f"{git.shown}: the commit {commit} is not there (any more): build again") from None

    def tidy(self, root: Path, git: GitRef, name: str, commit: str) -> None:
        """Leave a `.git` with the one ref that was asked for, and without a password in it."""
        if name.startswith("refs/"):
            self.within(root, "update-ref", name, commit)
        self.within(root, "remote", "set-url", "origin", redacted(git.remote))
        (root / ".git" / "FETCH_HEAD").unlink(missing_ok=True)
        for head in (root / ".git").rglob("HEAD"):  # of submodules too; the logs name who fetched, and where
            shutil.rmtree(head.with_name("logs"), ignore_errors=True)

    def shallow(self, root: Path, *words: str) -> None:
        """Run it with `--depth=1`, and without where the remote cannot (a plain web server)."""
        try:
            self.within(root, *words, "--depth=1")
        except BuildError as error:
            if not re.search("shallow|depth", str(error)):
                raise
            self.within(root, *words)

    def within(self, root: Path, *words: str) -> str:
        """Run git in a work tree."""
        return self.run(*words, folder=root)

    def run(self, *words: str, folder: Path | None = None) -> str:
        """Run git, without anybody's configuration but ours. Raises BuildError with what it said."""
        program = shutil.which("git")
        if program is None:
            raise Unsupported(
                "git repositories need the program git, which is not installed here: install it, or clone the "
                "repository yourself and COPY it"
            )
        self.scratch.mkdir(parents=True, exist_ok=True)
        config = self.scratch / "gitconfig"
        if not config.exists():
            write_atomic(config, CONFIG.encode(), sync=False)
        done = _run([program, *words], folder or self.scratch, config, self.guard)
        if done.returncode:
            said = printable(done.stderr.decode(errors="replace").strip())
            raise BuildError(f"git {words[0]} failed: {said or f'exit status {done.returncode}'}")
        return done.stdout.decode(errors="surrogateescape")


def _run(words: list[str], folder: Path, config: Path, guard: Guard) -> subprocess.CompletedProcess[bytes]:
    """Run a program with all that it starts; whatever happens, none of it is left."""
    environ = {name: os.environ[name] for one in PASSED for name in (one, one.lower()) if name in os.environ}
    environ |= ENVIRONMENT | {"GIT_CONFIG_GLOBAL": str(config), "GIT_CEILING_DIRECTORIES": str(config.parent)}
    posix, pipe = os.name == "posix", subprocess.PIPE
    process = subprocess.Popen(
        words,
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
        start_new_session=posix,
        umask=0o022 if posix else -1,
    )
    try:
        with guard(partial(_kill, process)):
            out, err = process.communicate(timeout=HOUR)
    except subprocess.TimeoutExpired:
        raise BuildError(f"git {words[1]} took more than {HOUR} seconds") from None
    finally:
        _kill(process)
        process.wait()
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a program with all that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL) if os.name == "posix" else process.kill()


def printable(text: str) -> str:
    """What git says, without passwords, and nothing that moves a terminal's cursor."""
    text = re.sub(r"([a-zA-Z][\w+.-]*://)[^/@\s]*@", r"\1xxxxx@", text)
    return "".join(char if char.isprintable() or char == "\n" else "?" for char in text)


def subtree(tree: Tree, git: GitRef) -> Tree:
    """The directory of a repository that was asked for, as a tree of its own."""
    try:
        top = tree.resolve(git.subdir)
        if not tree[top].is_dir:
            raise NotADirectoryError
    except (OSError, KeyError):
        raise BuildError(f"failed to open subdir {git.subdir}: {git.shown} has no such directory") from None
    return tree if top == "/" else Tree(dict(_moved(tree, top)))


def _moved(tree: Tree, top: str) -> Iterator[tuple[str, Entry]]:
    yield "/", directory()
    for path in tree.below(top):
        yield path[len(prefix(top)) - 1 :], tree[path]
