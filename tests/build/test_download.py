"""ADD of a URL, from a web server of this machine: what it becomes, when it is asked for again, and what is refused."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import runpy
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minidocker.build import build_image
from minidocker.build.download import name_of
from minidocker.build.forecast import Forecaster
from minidocker.errors import BuildError, DockerfileError

SERVE = runpy.run_path(str(Path(__file__).parent / "site.py"))["serve"]
EPOCH = 1_600_000_000
THEN = "Sun, 13 Sep 2020 12:26:40 GMT"  # EPOCH


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Any]:
    (tmp_path / "www").mkdir()
    with SERVE(tmp_path / "www") as found:
        yield found


def reasons(build: Any) -> list[str]:
    return [step.decision.reason for step in build.steps[1:]]


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def packed(**members: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return gzip.compress(out.getvalue(), mtime=0)


def nothing_is_left(workshop: Any) -> bool:
    folder = workshop.store.root / "cache" / "remote"
    temps = [path.name for path in folder.glob(".*")] if folder.exists() else []
    return not temps and not list((workshop.store.root / "tmp").iterdir())


def test_mode_600_the_time_of_last_modified_and_the_name_of_the_path(workshop: Any, site: Any) -> None:
    url = site.put("/a/b%20c.txt?v=1", "hello", Last_Modified=THEN, Content_Disposition='attachment; filename="no"')
    plain = site.put("/plain", "x")
    image = workshop.image(f'FROM busybox\nADD ["{url}", "{plain}", "/d/"]\nADD {plain} /e\nADD {plain} /etc\n')
    tree = image.tree()
    assert {path: (oct(tree[path].mode), tree[path].uid, tree[path].mtime) for path in ("/d/b c.txt", "/d/plain")} == {
        "/d/b c.txt": ("0o600", 0, EPOCH),
        "/d/plain": ("0o600", 0, 0),
    }
    assert tree["/d/b c.txt"].data.read() == b"hello"
    assert {"/e", "/etc/plain"} <= set(tree)
    assert image.history()[0]["CreatedBy"] == f"ADD {plain} /etc # buildkit"
    assert nothing_is_left(workshop)


def test_chown_chmod_link_and_the_order_of_mixed_sources(workshop: Any, site: Any) -> None:
    first, second = site.put("/1/same", "remote"), site.put("/2/same", "late")
    image = workshop.image(
        f"FROM busybox\nADD --link --chown=5:6 --chmod=u=rwx,go=r {first} /d/\n"
        f"ADD {first} same {second} /e/\nADD {first} same /f/\n",
        {"same": "local"},
    )
    entry = image.tree()["/d/same"]
    assert (oct(entry.mode), entry.uid, entry.gid) == ("0o744", 5, 6)
    assert image.tree()["/e/same"].data.read() == b"late"
    assert image.tree()["/f/same"].data.read() == b"local"


def test_archives_are_unpacked_when_asked(workshop: Any, site: Any) -> None:
    url = site.put("/x.tgz", packed(a="1"))
    tree = workshop.image(
        f"FROM busybox\nADD {url} /no/\nADD --unpack {url} /yes/\nADD --unpack=false y.tgz /raw/\nADD y.tgz /local/\n"
        f"ADD --unpack {site.put('/plain', 'no tar')} /plain/\n",
        {"y.tgz": packed(b="2")},
    ).tree()
    assert {"/no/x.tgz", "/yes/a", "/raw/y.tgz", "/local/b", "/plain/plain"} <= set(tree)
    assert not {"/no/a", "/yes/x.tgz", "/raw/b", "/local/y.tgz"} & set(tree)


def test_an_unchanged_url_is_asked_but_not_fetched(workshop: Any, site: Any) -> None:
    url = site.put("/f", "one")
    file = f"FROM busybox\nADD {url} /x\n"
    workshop.build(file)
    assert reasons(workshop.build(file)) == ["hit"]
    assert site.answered == [200, 304]
    site.put("/f", "two")
    was, now = sha256(b"one")[:11], sha256(b"two")[:11]
    assert reasons(workshop.build(file)) == [f"miss because {url} changed (was {was}…, now {now}…)"]
    site.put("/f", "two", Last_Modified=THEN)
    assert reasons(workshop.build(file)) == ["hit"], "a time is no reason"
    assert workshop.build(file.replace("/x", "/y")).image.tree()["/y"].data.read() == b"two", "fetched, but not again"
    assert site.answered == [200, 304, 200, 304, 304]


def test_without_etags_it_is_fetched_to_see_whether_it_changed(workshop: Any, site: Any) -> None:
    url = site.put("/f", "one", ETag="")
    file = f"FROM busybox\nADD {url} /x\nADD {url} /y\n"
    workshop.build(file)
    assert reasons(workshop.build(file)) == ["hit", "hit"]
    assert site.answered == [200, 200], "once a build"


def test_a_known_checksum_needs_no_server(workshop: Any, site: Any) -> None:
    url, good = site.put("/f", "one"), sha256(b"one")
    file = f"FROM busybox\nARG SUM={good}\nADD --checksum=$SUM {url} /x\n"
    workshop.build(file)
    site.pages.clear()
    assert reasons(workshop.build(file)) == ["hit", "hit"]
    assert "/z" in workshop.image(file.replace("/x", "/z")).tree(), "nor does the content"
    assert site.answered == [200]
    bad = sha256(b"two")
    site.put("/f", "one")
    with pytest.raises(BuildError, match=re.escape(f"digest mismatch for {url}: {good} (expected: {bad})")):
        workshop.build(f"FROM busybox\nADD --checksum={bad} {url} /x\n")


def test_content_that_was_damaged_is_fetched_again(workshop: Any, site: Any) -> None:
    url = site.put("/f", "one")
    workshop.build(f"FROM busybox\nADD {url} /x\n")
    (workshop.store.root / "cache" / "remote" / sha256(b"one")[7:]).write_bytes(b"two")
    assert workshop.image(f"FROM busybox\nADD {url} /y\n").tree()["/y"].data.read() == b"one"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("COPY {url} /x", "source can't be a URL for COPY"),
        ("COPY git@example.org:a.git /x", "source can't be a git ref for COPY"),
        ("ADD --checksum=sha256:aa {url} /x", "invalid checksum digest format: sha256:aa"),
        ("ADD --checksum=md5:aa {url} /x", "invalid checksum digest format: md5:aa"),
        ("ADD --checksum=sha256:aa {url} {url} /x/", "checksum can't be specified for multiple sources"),
        ("ADD --checksum=sha256:aa f /x", r"checksum requires HTTP\(S\) or Git sources"),
        ("ADD http://example.org/a.git?x=1 /x", 'unexpected query "x"'),
        ("ADD file:///etc/passwd /x", '"/file:/etc/passwd" not found'),
        ("ADD ftp://example.org/x /x", '"/ftp:/example.org/x" not found'),
    ],
)
def test_what_makes_no_sense(workshop: Any, site: Any, line: str, words: str) -> None:
    line = line.format(url=site.put("/f", "1"))
    with pytest.raises((BuildError, DockerfileError), match=words):
        workshop.build(f"FROM busybox\n{line}\n", {"f": "1"})
    assert nothing_is_left(workshop)


def test_a_server_is_not_trusted(workshop: Any, site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    site.pages |= {
        "/loop": (302, {"Location": "/loop"}, b""),
        "/file": (302, {"Location": "file:///etc/passwd"}, b""),
        "/gone": (404, {}, b""),
        "/short": (200, {"Content-Length": "9"}, b"1234"),
        "/there": (302, {"Location": "/f"}, b""),
    }
    site.put("/f", "0123456789")
    assert workshop.image(f"FROM scratch\nADD {site.url}/there /x/\n").tree()["/x/there"].size == 10
    monkeypatch.setenv("MINIDOCKER_MAX_DOWNLOAD", "9")
    for path, words in {
        "/loop": "stopped after 10 redirects",
        "/file": "redirects to file:///etc/passwd, and only http and https are followed",
        "/gone": "failed to load cache key: .*/gone: invalid response status 404 Not Found",
        "/short": "the connection ended after 4 of 9 bytes",
        "/f?": r"is larger than 9 bytes; \$MINIDOCKER_MAX_DOWNLOAD sets another limit",
    }.items():
        site.pages["/f?"] = site.pages["/f"]
        with pytest.raises(BuildError, match=words):
            workshop.build(f"FROM scratch\nADD {site.url}{path} /x/\n")
    assert nothing_is_left(workshop)
    monkeypatch.setenv("MINIDOCKER_MAX_DOWNLOAD", "many")
    with pytest.raises(BuildError, match="invalid \\$MINIDOCKER_MAX_DOWNLOAD: many"):
        workshop.build(f"FROM scratch\nADD {site.put('/g', '1')} /x/\n")


def test_without_a_network_the_way_out_is_said(workshop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(
        BuildError, match=r"cannot be fetched from nowhere\.invalid: .*online.*fetch it yourself, and COPY"
    ):
        workshop.build("FROM scratch\nADD http://nowhere.invalid/f /x/\n")


def test_a_password_goes_to_its_server_and_nowhere_else(workshop: Any, site: Any) -> None:
    site.put("/f", "1")
    site.pages["/away"] = (302, {"Location": "/f"}, b"")
    url = site.url.replace("http://", "http://me:s3cret@") + "/away"
    build = workshop.build("FROM scratch\nARG URL\nADD $URL /x/\n", buildargs={"URL": url})
    assert [headers.get("Authorization") for _, headers in site.asked] == ["Basic bWU6czNjcmV0", None]
    kept = workshop.store.root / "cache"
    records = [path for path in kept.rglob("*.json") if b"s3cret" in path.read_bytes()]
    assert {path.parent.name for path in records} <= {"steps", "builds"}, "where the build argument is, as with Docker"
    assert all(
        b"@127" not in path.read_bytes() or b"xxxxx@" in path.read_bytes() for path in kept.glob("remote/*.json")
    )
    assert "s3cret" not in build.log.replace(url, "")


def test_a_forecast_asks_nobody(workshop: Any, site: Any) -> None:
    url, sure = site.put("/f", "1"), site.put("/g", "2")
    file = f"FROM busybox\nADD --checksum={sha256(b'2')} {sure} /g\nADD {url} /x\nRUN echo 1 > /y\n"
    assert reasons(workshop.build(file, builder=Forecaster))[1].startswith("miss because never built before")
    assert site.asked == []
    workshop.build(file)
    site.asked.clear()
    forecast = workshop.build(file, builder=Forecaster)
    assert reasons(forecast) == ["hit", f"depends on what {url} gives this time", "depends on step 3"]
    assert site.asked == []
    assert reasons(workshop.build(file)) == ["hit", "hit", "hit"]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://x/a", "a"),
        ("http://x/a/", "a"),
        ("http://x/a?b/c#d/e", "a"),
        ("http://x", "__unnamed__"),
        ("http://x/..", "__unnamed__"),
        ("http://x/%2e%2e%2fb", "b"),
        ("http://x/a%00", "__unnamed__"),
    ],
)
def test_the_name_of_a_file(url: str, name: str) -> None:
    assert name_of(url) == name


# Contexts


def test_a_context_that_is_a_tar_or_a_dockerfile(workshop: Any, site: Any) -> None:
    file = "FROM scratch\nCOPY . /\n"
    url = site.put("/c.tgz", packed(**{"Dockerfile": file, "a": "1", "b": "2", ".dockerignore": "b\n"}))
    image = build_image(workshop, path=url).image
    assert image is not None
    assert image.tree().children("/") == [".dockerignore", "Dockerfile", "a"]
    assert build_image(workshop, path=url).steps[1].decision.hit
    assert site.answered == [200, 304]
    assert build_image(workshop, path=site.put("/Dockerfile", "FROM scratch\nLABEL a=1\n")).image
    with pytest.raises(BuildError, match='"/a" not found'):
        build_image(workshop, path=site.put("/alone", "FROM scratch\nCOPY a /\n"))
    with pytest.raises(BuildError, match="invalid response status 404"):
        build_image(workshop, path=f"{site.url}/nope")
    with pytest.raises(DockerfileError, match="unknown instruction: <html>"):
        build_image(workshop, path=site.put("/page", "<html></html>"))
    assert nothing_is_left(workshop)
