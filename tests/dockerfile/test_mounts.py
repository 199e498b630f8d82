"""`RUN --mount`: the fields, in the words of BuildKit 0.8 (asked) and of later ones (read)."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidocker.dockerfile import Dockerfile, parse_instruction
from minidocker.dockerfile.mounts import RunMount, cells
from minidocker.errors import DockerfileError

OWNED = {"type": "cache", "target": "/x", "mode": 0o751, "uid": 5, "gid": 7}
NEEDED = {"type": "secret", "id": "a", "required": True, "env": "A", "read_only": True}


def mount(text: str, **env: str) -> RunMount:
    (found,) = parse_instruction(f"RUN --mount={text} true").mounts(env)
    return found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("target=/x", {"target": "/x", "read_only": True}),
        ("dst=/x,src=/y,rw", {"target": "/x", "source": "/y"}),
        ("destination=/x,readwrite=false,from=Build", {"target": "/x", "origin": "Build", "read_only": True}),
        ("TYPE=Cache,TARGET=/x,Sharing=LOCKED", {"type": "cache", "target": "/x", "sharing": "locked"}),
        ("type=cache,target=/x,ro=1,rw=T", {"type": "cache", "target": "/x"}),
        ("type=cache,target=/x,mode=0751,uid=5,gid=07", OWNED),
        ("type=tmpfs,target=/x,size=1.5MiB", {"type": "tmpfs", "target": "/x", "size": 3 << 19}),
        ("type=secret,id=a,required,env=A", NEEDED),
        ("type=secret,source=a,required=F", {"type": "secret", "source": "a", "read_only": True}),
        ("type=ssh", {"type": "ssh", "read_only": True}),
        (r"type=cache,\"target=/a,b\"", {"type": "cache", "target": "/a,b"}),
        ('type=cache,"target=/a b"', {"type": "cache", "target": "/a b"}),
        ("target=/x,target=/y", {"target": "/y", "read_only": True}),
        ("target=", {"read_only": True}),
    ],
)
def test_fields(text: str, said: dict[str, Any]) -> None:
    assert mount(text) == RunMount(**said)


def test_every_value_has_its_variables_replaced_but_from() -> None:
    found = mount("type=$t,id=${i:-none},target=$d,size=$s,ro=$r", t="tmpfs", d="/x", s="1k", r="true")
    assert found == RunMount("tmpfs", "/x", id="none", size=1024, read_only=True)
    with pytest.raises(DockerfileError, match="'from' doesn't support variable expansion, define alias stage instead"):
        Dockerfile.parse("FROM busybox\nRUN --mount=type=cache,from=$a,target=/x true")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "failed to parse csv mounts: EOF"),
        (r"target=/a\"b", 'parse error on line 1, column 10: bare " in non-quoted-field'),
        (r"\"target=/a\"x", 'parse error on line 1, column 11: extraneous or missing " in quoted-field'),
        ("typ=tmpfs", r"unexpected key 'typ' in 'typ=tmpfs' \(did you mean type\?\)"),
        ("zzzzzz=1,target=/x", "unexpected key 'zzzzzz' in 'zzzzzz=1'$"),
        ("target=/x,bar", "invalid field 'bar' must be a key=value pair"),
        ("target", "invalid field 'target' must be a key=value pair"),
        ("type=tmp", r'unsupported mount type "tmp" \(did you mean tmpfs\?\)'),
        ("type=cache,sharing=lock", r'unsupported sharing value "lock" \(did you mean locked\?\)'),
        ("sharing=locked", "invalid cache sharing set for bind mount"),
        ("type=ssh,sharing=locked", "invalid cache sharing set for ssh mount"),
        ("type=cache,mode=9", "invalid value 9 for mode"),
        ("type=cache,uid=-1", "invalid value -1 for uid"),
        ("type=cache,gid=4294967296", "invalid value 4294967296 for gid"),
        ("mode=7", 'mode not allowed for "bind" type mounts'),
        ("type=tmpfs,uid=7", 'uid not allowed for "tmpfs" type mounts'),
        ("ro=no", "invalid value for ro: no"),
        ("readwrite=", "invalid value for readwrite: "),
        ("required", "unexpected key 'required' for mount type 'bind'"),
        ("required,type=secret", "unexpected key 'required' for mount type 'bind'"),
        ("size=1m", "unexpected key 'size' for mount type 'bind'"),
        ("type=tmpfs,size=much", "invalid value for size: much"),
        ("type=secret", "invalid secret mount. one of source, target required"),
        ("type=secret,id=a,from=b", "secret mount should not have a from"),
        ("type=secret,id=a,sharing=shared", "secret mount should not define sharing"),
        ("type=secret,id=a,source=b", "both source and id can't be set"),
        ("type=ssh,source=b", "ssh does not support source"),
    ],
)
def test_what_cannot_be(text: str, words: str) -> None:
    with pytest.raises(DockerfileError, match=words):
        mount(text)


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ("RUN --mount=target=/x,from=one true", "circular dependency detected on stage: one"),
        (
            "RUN --mount=dst=/x,from=TWO true\nFROM one AS two",
            'cannot mount from stage "TWO" to "/x", stage needs to be defined before current command',
        ),
        ("RUN --mount=target=/x,from=A/b:c:d true", "failed to parse stage name"),
    ],
)
def test_where_it_is_from(rest: str, words: str) -> None:
    with pytest.raises(DockerfileError, match=words):
        Dockerfile.parse(f"FROM busybox AS one\n{rest}\n")


def test_a_number_is_an_image_and_no_stage() -> None:
    file = Dockerfile.parse("FROM busybox\nFROM busybox\nRUN --mount=target=/x,from=0 --mount=from=a,dst=/y true\n")
    assert file.stages[1].instructions[0].mounts_from == (("0", "/x"), ("a", "/y"))


@given(st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])), min_size=1))
def test_quoted_cells_come_back(words: list[str]) -> None:
    assert cells(",".join('"' + word.replace('"', '""') + '"' for word in words)) == words


@given(st.text('type=cahrg,"\\ $/0b', max_size=30))
def test_nothing_but_a_dockerfile_error_comes_out(text: str) -> None:
    with suppress(DockerfileError):
        mount(text.replace(" ", ""))
