"""A layer's tar as blocks: what is drawn is what is in the bytes, and the digest is the layer's."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from minidocker.image import Image
from minidocker.layer import WHITEOUT, Changeset, view
from minidocker.notebook.pictures.tarball import members, tar_figure, tarball
from minidocker.tree import directory, file, symlink
from tests.notebook.pictures.test_objects import NASTY

LAYER = Changeset(
    {
        "/app": directory(),
        "/app/hello.sh": file(b"echo hi\n", mode=0o755, uid=7, mtime=86_400),
        "/app/link": symlink("hello.sh"),
        "/tmp/junk": WHITEOUT,
    },
    {"/app"},
)


def test_its_digest_is_the_layers(app: Image) -> None:
    for layer in app.layers:
        assert tarball(layer.changes).digest == layer.diff_id


def test_entries_are_read_from_the_bytes() -> None:
    found = {member.name: member for member in tarball(LAYER).members}
    assert list(found) == ["app/", "app/.wh..wh..opq", "app/hello.sh", "app/link -> hello.sh", "tmp/.wh.junk"]
    assert found["app/hello.sh"].fields[1:5] == ("0755", "7:0", "8", "1970-01-02 00:00:00")
    assert (found["app/hello.sh"].content, found["app/hello.sh"].offset, found["app/hello.sh"].blocks) == (
        b"echo hi\n",
        1024,
        1,
    )


def test_a_long_name_takes_an_extended_header() -> None:
    (member,) = tarball(Changeset({"/" + "x" * 150: file(b"y")})).members
    assert (member.extended, member.offset) == (2, 0)
    assert "and 2 blocks before it" in tar_figure("t", tarball(Changeset({"/" + "x" * 150: file(b"y")}))).body


def test_every_byte_of_the_tar_is_told() -> None:
    tar = tarball(LAYER)
    blocks = sum(1 + member.extended + member.blocks for member in members(tar.data))
    assert len(tar.data) == 512 * (blocks + 2)
    assert tar.said == "5 entries in 8 blocks of 512: 4,096 bytes for 8B of content"


def test_what_is_not_as_it_was_is_marked() -> None:
    before, now = (
        tarball(LAYER),
        tarball(Changeset({**LAYER, "/app/hello.sh": file(b"echo ho\n", 0o755, uid=7)}, {"/app"})),
    )
    marked = re.findall("≠([^<]*)<", tar_figure("t", now, before, "/app/hello.sh").body)
    assert marked == ["1970-01-01 00:00:00", now.members[2].fields[5], r"echo ho\n", " before"]
    assert "≠" not in tar_figure("t", before, before).html()


def test_a_file_and_its_whiteout_are_the_same_entry() -> None:
    before, now = tarball(LAYER), tarball(Changeset({**LAYER, "/app/hello.sh": WHITEOUT}, {"/app"}))
    assert "≠app/.wh.hello.sh" in tar_figure("t", now, before, "/app/hello.sh").body


def test_of_many_entries_a_few_about_the_focus_are_drawn() -> None:
    tar = tarball(Changeset({f"/f{number:03}": file(b"x" * number) for number in range(100)}))
    drawn = tar_figure("t", tar, focus="/f050")
    assert "… 47 entries more" in drawn.body and "f050" in drawn.twin and "block   0" not in drawn.twin


def test_of_much_content_the_first_and_the_last_block_are_drawn() -> None:
    drawn = tar_figure("t", tarball(Changeset({"/big": file(b"a" * 4608 + b"z" * 100)})))
    assert "… 8 blocks more of it" in drawn.body and "zzz" in drawn.body and drawn.height < 260


def test_letters_say_what_it_does_to_the_layers_below(app: Image) -> None:
    lower = view(tuple(layer.changes for layer in app.layers[:-1]))
    assert [str(mark) for mark in tarball(app.layers[-1].changes, lower).marks] == ["M /app/hello.sh", "D /tmp/junk"]


def test_a_strange_name_stays_text() -> None:
    drawn = tar_figure("t", tarball(Changeset({NASTY: file(NASTY.encode() + b"\xff\x00")})), focus=NASTY)
    assert "<script" not in drawn.html() and "\x1b" not in drawn.twin
    assert ElementTree.fromstring(drawn.svg()) is not None
