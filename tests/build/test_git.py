"""ADD of a git repository, and a context that is one: read over http from a plain web server of this machine."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minidocker.build import build_image
from minidocker.build.forecast import Forecaster
from minidocker.build.gitref import GitRef, parse, parse_context
from minidocker.errors import BuildError, DockerfileError, InvalidArgument, Unsupported

SERVE = runpy.run_path(str(Path(__file__).parent / "site.py"))["serve"]
git_needed = pytest.mark.skipif(not shutil.which("git"), reason="not installed: git")
THEN = 1_600_000_000


def git(folder: Path, *words: str) -> str:
    config = ["-c", "user.name=me", "-c", "user.email=me@example.org", "-c", "init.defaultBranch=main"]
    when = {"GIT_AUTHOR_DATE": f"{THEN} +0000", "GIT_COMMITTER_DATE": f"{THEN} +0000", "HOME": os.devnull}
    done = subprocess.run(["git", *config, *words], cwd=folder, env=os.environ | when, capture_output=True, check=True)
    subprocess.run(["git", "update-server-info"], cwd=folder, check=True)
    return done.stdout.decode().strip()


def make(folder: Path, files: dict[str, str], message: str) -> str:
    """Commit files to a repository, made where it is not there; the commit."""
    if not (folder / ".git").exists():
        folder.mkdir(parents=True)
        subprocess.run(["git", "-c", "init.defaultBranch=main", "init", "-q"], cwd=folder, check=True)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(text[2:]) if text.startswith("->") else path.write_text(text)
        if not path.is_symlink():
            path.chmod(0o755 if text.startswith("#!") else 0o600)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", message)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Any]:
    """A site with the repository `app`: a tag v1, and after it a commit on main; and one of the same in a branch."""
    app = tmp_path / "www" / "app"
    make(app, {"docs/guide/a.md": "guide", "run.sh": "#!/bin/sh\n", "d": "->docs", "out": "->/etc"}, "one")
    git(app, "tag", "-a", "-m", "v1", "v1")
    git(app, "branch", "v2")
    git(app, "tag", "v2")
    make(app, {"Dockerfile": "FROM scratch\nCOPY . /\n", "two": "2", ".dockerignore": "docs\n"}, "two")
    with SERVE(tmp_path / "www") as found:
        found.app, found.repository = app, f"{found.url}/app/.git"
        yield found


def reasons(build: Any) -> list[str]:
    return [step.decision.reason for step in build.steps[1:]]


@git_needed
def test_the_files_of_a_branch_a_tag_or_a_directory(workshop: Any, site: Any) -> None:
    tree = workshop.image(
        f"FROM scratch\nADD {site.repository} /main/\nADD {site.repository}#v1 /v1\n"
        f"ADD {site.repository}#v1:docs/guide /docs\nADD {site.repository}?tag=v1&subdir=d /link\n"
        f"ADD --chown=5:6 --exclude=docs --exclude=*ut --link {site.repository}#refs/heads/main /part/\n"
    ).tree()
    assert tree.children("/main") == [".dockerignore", "Dockerfile", "d", "docs", "out", "run.sh", "two"]
    assert tree.children("/v1") == ["d", "docs", "out", "run.sh"]
    assert (tree.children("/docs"), tree.children("/link")) == (["a.md"], ["guide"])
    assert tree.children("/part") == [".dockerignore", "Dockerfile", "d", "run.sh", "two"]
    modes = {path: oct(tree[path].mode) for path in ("/v1", "/v1/docs", "/v1/docs/guide/a.md", "/v1/run.sh")}
    assert modes == {"/v1": "0o755", "/v1/docs": "0o755", "/v1/docs/guide/a.md": "0o644", "/v1/run.sh": "0o755"}
    assert (tree["/v1/run.sh"].mtime, tree["/part/two"].uid, tree["/v1/out"].target) == (THEN, 5, "/etc")
    assert not list((workshop.store.root / "tmp").iterdir())


@git_needed
def test_it_is_known_by_its_commit(workshop: Any, site: Any) -> None:
    was, file = git(site.app, "rev-parse", "HEAD"), f"FROM scratch\nADD {site.repository}#main /x\n"
    workshop.build(file)
    site.asked.clear()
    assert reasons(workshop.build(file)) == ["hit"]
    assert {path for path, _ in site.asked} <= {"/app/.git/info/refs?service=git-upload-pack", "/app/.git/HEAD"}
    now = make(site.app, {"three": "3"}, "three")
    assert reasons(workshop.build(file)) == [f"miss because {site.repository}#main changed (was {was}, now {now})"]
    exact = f"FROM scratch\nADD {site.repository}#{was} /x\n"
    assert "/x/three" not in workshop.image(exact).tree()
    site.asked.clear()
    assert reasons(workshop.build(exact)) == ["hit"]
    assert site.asked == [], "a commit never changes"
    assert reasons(workshop.build(file, builder=Forecaster)) == [
        f"depends on what {site.repository}#main gives this time"
    ]
    assert reasons(workshop.build(exact, builder=Forecaster)) == ["hit"]
    assert site.asked == []


@git_needed
def test_a_branch_goes_before_a_tag(workshop: Any, site: Any) -> None:
    git(site.app, "checkout", "-q", "v2", "--")
    make(site.app, {"in-branch": "1"}, "branch")
    assert "/x/in-branch" in workshop.image(f"FROM scratch\nADD {site.repository}#v2 /x\n").tree()
    assert "/x/in-branch" not in workshop.image(f"FROM scratch\nADD {site.repository}?tag=v2 /x\n").tree()


@git_needed
def test_the_git_directory_is_kept_when_asked(workshop: Any, site: Any, tmp_path: Path) -> None:
    with_password = site.repository.replace("http://", "http://me:s3cret@")
    tree = workshop.image(f"FROM scratch\nADD --keep-git-dir {with_password}#main /x\n").tree()
    for path in tree.below("/x/.git"):
        there = tmp_path / "back" / path[3:]
        (there if tree[path].is_dir else there.parent).mkdir(parents=True, exist_ok=True)
        if not tree[path].is_dir:
            there.write_bytes(tree[path].data.read())
    assert git(tmp_path / "back", "log", "--format=%s", "main") == "two\none"
    assert git(tmp_path / "back", "remote", "get-url", "origin") == site.repository.replace("://", "://xxxxx@")
    everything = b"".join(path.read_bytes() for path in (tmp_path / "back").rglob("*") if path.is_file())
    assert b"s3cret" not in everything
    part = workshop.image(f"FROM scratch\nADD {site.repository}?keep-git-dir=true&subdir=docs /x\n").tree()
    assert part.children("/x") == ["guide"]


@git_needed
def test_submodules_come_along(workshop: Any, site: Any) -> None:
    make(site.folder / "sub", {"s": "1"}, "sub")
    git(site.app, "submodule", "--quiet", "add", f"{site.url}/sub/.git", "vendor/sub")
    git(site.app, "commit", "-q", "-m", "sub")
    tree = workshop.image(
        f"FROM scratch\nADD {site.repository} /with\nADD {site.repository}?submodules=false /without\n"
    ).tree()
    assert tree.children("/with/vendor/sub") == ["s"]
    assert tree.children("/without/vendor/sub") == []


@git_needed
def test_a_repository_is_not_trusted(workshop: Any, site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a file of this machine as a submodule, nor a filter, a hook or an alias of this user."""
    made = tmp_path / "made"
    home = tmp_path / "home"
    (home / "hooks").mkdir(parents=True)
    (home / "hooks" / "post-checkout").write_text(f"#!/bin/sh\ntouch {made}\n")
    (home / "hooks" / "post-checkout").chmod(0o755)
    config = f'[filter "x"]\nsmudge = "touch {made}; cat"\n[core]\nhooksPath = {home}/hooks\n'
    (home / ".gitconfig").write_text(config + '[protocol "file"]\nallow = always\n')
    monkeypatch.setenv("HOME", str(home))
    make(site.app, {".gitattributes": "* filter=x\n", "f": "1"}, "filter")
    assert "/x/f" in workshop.image(f"FROM scratch\nADD {site.repository} /x\n").tree()
    assert not made.exists()
    make(site.folder / "sub", {"s": "1"}, "sub")
    git(site.app, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", f"{site.folder}/sub", "sub")
    git(site.app, "commit", "-q", "-m", "sub")
    with pytest.raises(BuildError, match="transport 'file' not allowed"):
        workshop.build(f"FROM scratch\nADD {site.repository} /x\n")
    assert not list((workshop.store.root / "tmp").iterdir())


@git_needed
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ADD {}#nope /x", "repository does not contain ref nope"),
        ("ADD {}#main:nope /x", "failed to open subdir nope"),
        ("ADD {}#main:two /x", "failed to open subdir two"),
        ("ADD {}#main:out /x", "failed to open subdir out"),
        ("ADD {}#main:../../.. /x", None),
        ("ADD {}#--upload-pack=touch /x", "--upload-pack=touch is no name of a branch"),
        ("ADD --checksum=0123 {}#main /x", "expected checksum to match 0123, got"),
        ("ADD --checksum=0123 {}?commit=4567 /x", 'checksum mismatch "0123" != "4567"'),
        ("ADD --keep-git-dir=false {}?keep-git-dir=true /x", "inconsistent keep-git-dir configuration"),
        ("ADD {}?ref=a&tag=b /x", 'ref conflicts: "a" vs "refs/tags/b"'),
        ("ADD {}?tag=a&tag=b /x", 'query "tag" has multiple values'),
        ("ADD {}?keep-git-dir=maybe /x", 'invalid keep-git-dir value: "maybe"'),
        ("ADD {}#ffffffffffffffffffffffffffffffffffffffff /x", "is not there"),
    ],
)
def test_what_cannot_be(workshop: Any, site: Any, line: str, words: str | None) -> None:
    text = "FROM scratch\n" + line.format(site.repository) + "\n"
    if words is None:
        assert "/x/two" in workshop.image(text).tree(), "nothing is above the root"
        return
    with pytest.raises((BuildError, DockerfileError), match=words):
        workshop.build(text)
    assert not list((workshop.store.root / "tmp").iterdir())


@git_needed
def test_a_commit_can_be_checked_by_its_beginning(workshop: Any, site: Any) -> None:
    commit = git(site.app, "rev-parse", "HEAD")
    assert "/x/two" in workshop.image(f"FROM scratch\nADD --checksum={commit[:7]} {site.repository}#main /x\n").tree()
    assert "/x/two" in workshop.image(f"FROM scratch\nADD {site.repository}?commit={commit} /x\n").tree()


def test_without_git_it_is_refused_by_name(workshop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Unsupported, match="need the program git, which is not installed here: install it, or clone"):
        workshop.build("FROM scratch\nADD https://example.org/a.git /x\n")


# Contexts


@git_needed
def test_a_context_that_is_a_repository(workshop: Any, site: Any) -> None:
    def image(**options: Any) -> Any:
        return build_image(workshop, **options).image

    assert image(path=f"{site.repository}#main").tree().children("/") == [
        ".dockerignore",
        "Dockerfile",
        "d",
        "out",
        "run.sh",
        "two",
    ]
    assert build_image(workshop, path=f"{site.repository}#main").steps[1].decision.hit
    make(site.app, {"docs/Other": "FROM scratch\nCOPY guide /g\n"}, "other")
    other = image(path=f"{site.repository}#main:docs", dockerfile="Other")
    assert other.tree().children("/g") == ["a.md"]
    kept = image(path=site.repository, buildargs={"BUILDKIT_CONTEXT_KEEP_GIT_DIR": "1"})
    assert "/.git" in kept.tree()
    ours = image(path=site.repository, text="FROM scratch\nCOPY two /\n")
    assert ours.tree().children("/") == ["two"]
    with pytest.raises(DockerfileError, match="failed to read dockerfile: open Dockerfile: no such file"):
        build_image(workshop, path=f"{site.repository}#v1")
    with pytest.raises(InvalidArgument, match=r'unable to prepare context: .*: unexpected query "x"'):
        build_image(workshop, path=f"{site.repository}?x=1")
    assert not list((workshop.store.root / "tmp").iterdir())


# What a text means: the forms of the documentation


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://example.com/foo", None),
        ("https://example.com/foo.git/", None),
        ("https://example.com/foo.git.bar", None),
        ("http://example.com/foo.git:#branch", None),
        ("ftp://example.com/foo.git", None),
        ("file:///foo.git", None),
        ("./.git", None),
        ("a/b.git", None),
        ("app:1", None),
        ("https://example.com/foo.git", GitRef("https://example.com/foo.git")),
        ("HTTPS://example.com/foo.git#v1", GitRef("HTTPS://example.com/foo.git", "v1")),
        ("https://me:x@example.com/foo.git#:sub", GitRef("https://me:x@example.com/foo.git", "", "sub")),
        ("https://example.com/f.git#baz/qux:quux/quuz", GitRef("https://example.com/f.git", "baz/qux", "quux/quuz")),
        ("git://example.com/foo", GitRef("git://example.com/foo")),
        ("ssh://git@example.com:22/foo#v1", GitRef("ssh://git@example.com:22/foo", "v1")),
        ("git@example.com:foo/bar.git#v1:d", GitRef("git@example.com:foo/bar.git", "v1", "d")),
        ("git@example.com:foo?branch=x", GitRef("git@example.com:foo", "refs/heads/x")),
        ("https://example.com/f.git?ref=v1&subdir=/d", GitRef("https://example.com/f.git", "v1", "/d")),
        ("https://example.com/f.git?tag=refs/tags/v1", GitRef("https://example.com/f.git", "refs/tags/v1")),
        ("https://example.com/f.git?checksum=abc", GitRef("https://example.com/f.git", "abc", commit="abc")),
        ("https://example.com/f.git?keep-git-dir", GitRef("https://example.com/f.git", keep=True)),
        ("https://example.com/f.git?submodules=0#v1", GitRef("https://example.com/f.git", "v1", submodules=False)),
    ],
)
def test_which_repository_is_meant(text: str, expected: GitRef | None) -> None:
    assert parse(text) == expected


def test_github_without_a_scheme_is_a_context_only() -> None:
    assert parse("github.com/me/app") is None
    assert parse_context("github.com/me/app#v1") == GitRef("https://github.com/me/app.git", "v1")
    assert parse_context("github.com/me/app.git") == GitRef("https://github.com/me/app.git")
