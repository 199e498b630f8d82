"""What Docker and BuildKit made of 130 contexts, and refused of 110, is what we make of them and refuse.

`recorded.json` holds their configurations, histories and files; see `record.py`.
"""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from minidocker.build import build_image
from minidocker.errors import DockerException
from minidocker.tree import Entry

HERE = Path(__file__).parent
CASES = runpy.run_path(str(HERE / "contexts.py"))
RECORDED = json.loads((HERE / "recorded.json").read_text())
EVERY = CASES["GOOD"] | CASES["BAD"]

STRICTER = {  # BuildKit 0.8 built these; we refuse, with the classic builder or with later BuildKits
    "no_wild": "no source files were specified",
    "wild_bad": "syntax error in pattern",
    "several_no_slash": "the destination must be a directory and end with a /",
    "wild_no_slash": "the destination must be a directory and end with a /",
    "chown_unknown": "unable to find user nosuch",
    "chown_unknown_group": "unable to find group nosuch",
    "chmod_bad": "invalid chmod parameter",
    "chmod_word": "invalid chmod parameter",
    "stage_dup": "duplicate name a",
    "onbuild_unknown": "unknown instruction: FOO",
}
OTHERWISE = {
    "heredoc_like": "there were no here-documents yet",
    "copy_several_dot": "`sub/.` was taken for a file's name",
    "copy_from_dev": "fifos were lost, and the simulated runtime has no mkfifo",
    "add_tar_link_parent": "Docker follows an absolute link from the archive's folder, we from the root",
    "run_kinds": "the simulated runtime has no mkfifo",
    "run_network_none": "the simulated runtime has no /sys",
    "run_env": "HOSTNAME and the like differ between runtimes",
    "run_env_all": "the simulated runtime has no capabilities to show",
    "shell": "there is one shell, whose name is sh",
    "run_signal": "no kernel protects the first process",
    "run_empty": "RUN without a command is refused by later BuildKits",
}
BUILT = [name for name in EVERY if "error" not in RECORDED[name]["buildkit"] and name not in {**STRICTER, **OTHERWISE}]
REFUSED = [name for name in EVERY if "error" in RECORDED[name]["buildkit"] and name not in OTHERWISE]


def options(args: list[str]) -> dict[str, Any]:
    """The words of `docker build` as arguments of Docker's SDK."""
    found: dict[str, Any] = {"labels": {}, "buildargs": {}}
    for flag, value in zip(args[::2], args[1::2], strict=True):
        name, _, rest = value.partition("=")
        if flag in ("--label", "--build-arg"):
            found["labels" if flag == "--label" else "buildargs"][name] = rest
        else:
            found[{"--target": "target", "--network": "network_mode", "-f": "dockerfile", "-t": "tag"}[flag]] = value
    return found


def build(workshop: Any, recorder: dict[str, Any], folder: Path, name: str) -> Any:
    case = EVERY[name]
    (folder / "Dockerfile").write_text(case["dockerfile"])
    recorder["write"](folder, case["files"])
    return build_image(workshop, path=folder, **options(case["args"])).image


@pytest.mark.parametrize("name", BUILT)
def test_config_history_and_files_are_buildkits(
    name: str, shared_workshop: Any, recorder: dict[str, Any], tmp_path: Path
) -> None:
    image, theirs = build(shared_workshop, recorder, tmp_path, name), RECORDED[name]["buildkit"]
    assert {key: value for key, value in image.config.items() if value} == theirs["config"]
    assert [{k: v for k, v in line.items() if k != "created"} for line in image.raw["history"]] == theirs["history"]
    assert image.raw.get("author") == theirs.get("author")
    assert len(image.layers) == len(theirs["layers"])
    base = shared_workshop.images.get("busybox").tree() if "busybox" in theirs["layers"] else {}
    expected = stacked({path: row(entry) for path, entry in base.items()}, theirs["layers"])
    assert {path: row(entry) for path, entry in image.tree().items() if path != "/"} == expected


@pytest.mark.parametrize("name", REFUSED)
def test_what_docker_refuses_is_refused_and_leaves_nothing(
    name: str, shared_workshop: Any, recorder: dict[str, Any], tmp_path: Path
) -> None:
    before = (shared_workshop.store.root / "index.json").read_bytes()
    with pytest.raises(DockerException):
        build(shared_workshop, recorder, tmp_path, name)
    assert (shared_workshop.store.root / "index.json").read_bytes() == before
    assert list((shared_workshop.store.root / "tmp").iterdir()) == []


@pytest.mark.parametrize("name", STRICTER)
def test_what_only_later_dockers_refuse(
    name: str, shared_workshop: Any, recorder: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(DockerException, match=STRICTER[name]):
        build(shared_workshop, recorder, tmp_path, name)


WORDS = {  # Docker's, in which people search for help
    "no_source": '"/nope" not found: file not found in build context or excluded by .dockerignore: stat nope',
    "escape_dotdot": "forbidden path outside the build context: ../x ()",
    "escape_link": '"/l" not found',
    "ignored": "excluded by .dockerignore: stat a.txt",
    "dir_over_file": "cannot copy to non-directory: /x",
    "dir_over_file_slash": "mkdir /x: not a directory",
    "file_over_dir_inside": "cannot replace to directory /d/main.py with file",
    "dir_over_file_inside": "cannot copy to non-directory: /d/lib",
    "below_file": "mkdir /etc/passwd: not a directory",
    "run_workdir_file": "mkdir /etc/passwd: not a directory",
    "chown_scratch": "no matching entries in passwd file",
    "from_unknown": "No such image: nosuchimage:1.* minidocker/base and minidocker/python",
    "from_upper": "repository name .* must be lowercase",
    "copy_from_self": "circular dependency detected on stage: a",
    "copy_from_index": "invalid stage index 7",
    "copy_from_missing": '"/nope" not found: file not found in stage a',
    "target_unknown": 'target stage "nope" could not be found',
    "run_false": 'process "/bin/sh -c echo before; exit 3" did not complete successfully: exit code: 3',
    "run_false_exec": 'process "false" did not complete successfully: exit code: 1',
    "run_notfound": "did not complete successfully: exit code: 127",
    "run_notfound_exec": 'exec: "/nosuch": stat /nosuch: no such file or directory',
    "run_scratch": 'exec: "/bin/sh": stat /bin/sh: no such file or directory',
    "run_bad_user": "unable to find user nosuch: no matching entries in passwd file",
    "onbuild_trigger_fails": 'process "/bin/sh -c false" did not complete',
    "no_dockerfile": "failed to read dockerfile: open nope: no such file or directory",
    "dockerfile_dir": "failed to read dockerfile: read app: Is a directory",
    "ignore_bad": "syntax error in pattern",
}


@pytest.mark.parametrize("name", WORDS)
def test_in_dockers_words(name: str, shared_workshop: Any, recorder: dict[str, Any], tmp_path: Path) -> None:
    words = WORDS[name] if ".*" in WORDS[name] else WORDS[name].translate({ord(char): "\\" + char for char in "().?*"})
    with pytest.raises(DockerException, match=words):
        build(shared_workshop, recorder, tmp_path, name)


def row(entry: Entry) -> list[Any]:
    what = entry.data.digest[7:19] if entry.kind == "file" else entry.target
    return [entry.kind, entry.mode, entry.uid, entry.gid, what]


def stacked(base: dict[str, list[Any]], layers: list[Any]) -> dict[str, list[Any]]:
    """Docker's recorded layers on top of each other, by the dullest way to do it."""
    files = dict(base)
    for layer in [layer for layer in layers if layer != "busybox"]:
        for path in layer:
            above, _, name = path.rpartition("/")
            gone = above if name == ".wh..wh..opq" else f"{above}/{name[4:]}" if name.startswith(".wh.") else None
            for other in [other for other in files if gone is not None and f"{other}/".startswith(f"{gone}/")]:
                if other != gone or name != ".wh..wh..opq":
                    del files[other]
        for path, (kind, mode, uid, gid, what, _) in layer.items():
            if "/.wh." not in path:
                for below in [other for other in files if kind != "dir" and other.startswith(f"{path}/")]:
                    del files[below]
                what, kind = (layer[f"/{what}"][4], "file") if kind == "hard" else (what, kind)
                files[path] = [kind, int(mode, 8) & 0o7777, uid, gid, "" if kind == "dir" else what]
    return {path: entry for path, entry in files.items() if path != "/"}
