"""What `-v` and `--mount` say, and docker's words for what makes no sense."""

from __future__ import annotations

from pathlib import Path

import pytest

from minidocker.cli.flags import Invalid
from minidocker.cli.mounting import mount, volume


def test_a_volume_is_relative_to_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert volume("./a//b/../c:/in:ro") == f"{tmp_path}/a/c:/in:ro"
    assert volume("..:/in") == f"{tmp_path.parent}:/in"
    assert volume("~/x:/in") == "~/x:/in"  # what this means, a shell says before
    assert volume("/data") == "/data"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "invalid empty volume spec"),
        (":/in", "invalid spec: :/in: empty section between colons"),
        ("/out:", "invalid spec: /out:: empty section between colons"),
        ("vol:/in:ro:z", "invalid spec: vol:/in:ro:z: too many colons"),
    ],
)
def test_a_volume_that_makes_no_sense(text: str, words: str) -> None:
    with pytest.raises(Invalid) as refused:
        volume(text)
    assert (refused.value.text, refused.value.code) == (words, 125)


def test_the_mounts_below_a_folder() -> None:
    assert mount("type=bind,src=/a,dst=/b,bind-recursive=disabled")["BindOptions"] == {"NonRecursive": True}
    assert mount("type=bind,src=/a,dst=/b,ro,bind-recursive=writable")["BindOptions"] == {"ReadOnlyNonRecursive": True}
    deep = mount("type=bind,src=/a,dst=/b,ro,bind-recursive=readonly,bind-propagation=rprivate")
    assert deep["BindOptions"] == {"Propagation": "rprivate", "ReadOnlyForceRecursive": True}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "EOF"),
        ('type=bind,src="/tmp",dst=/b', 'parse error on line 1, column 15: bare " in non-quoted-field'),
        ('type=bind,"src=/tmp', 'parse error on line 1: extraneous or missing " in quoted-field'),
        (
            "type=bind,src=/a,dst=/b,bind-recursive=writable",
            "option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction",
        ),
        (
            "type=bind,src=/a,dst=/b,ro,bind-recursive=readonly",
            "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction",
        ),
    ],
)
def test_a_mount_that_makes_no_sense(text: str, words: str) -> None:
    with pytest.raises(ValueError) as refused:
        mount(text)
    assert str(refused.value) == words
