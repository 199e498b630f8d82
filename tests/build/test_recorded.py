"""What Docker and BuildKit made of 130 contexts, and refused of 110, is what we make of them and refuse.

`recorded.json` holds their configurations, histories and files; see `record.py`.
"""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minidocker.build import build_image
from minidocker.errors import DockerException

HERE = Path(__file__).parent
CASES = runpy.run_path(str(HERE / "contexts.py"))
RECORDED = json.loads((HERE / "recorded.json").read_text())
EVERY = CASES["GOOD"] | CASES["BAD"]

STRICTER = {  # BuildKit 0.8 built these; we refuse, with the classic builder or with later BuildKits
    "wild_bad": "syntax error in pattern",
    "chown_unknown": "unable to find user nosuch",
    "chown_unknown_group": "unable to find group nosuch",
    "chmod_word": "invalid chmod parameter",
}
OTHERWISE = {
    "heredoc_like": "there were no here-documents yet",
    "chmod_bad": "there were no symbolic modes yet",
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


def build(workshop: Any, recorder: dict[str, Any], folder: Path, name: str) -> Any:
    case = EVERY[name]
    (folder / "Dockerfile").write_text(case["dockerfile"])
    recorder["write"](folder, case["files"])
    return build_image(workshop, path=folder, **recorder["as_options"](case["args"])).image


@pytest.mark.parametrize("name", BUILT)
def test_config_history_and_files_are_buildkits(
    name: str, shared_workshop: Any, recorder: dict[str, Any], tmp_path: Path, same_as: Callable[..., None]
) -> None:
    same_as(build(shared_workshop, recorder, tmp_path, name), RECORDED[name]["buildkit"])


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
    "mount_read_only": 'process "/bin/sh -c echo x > /home/x" did not complete successfully: exit code: 1',
    "mount_missing": 'failed to compute cache key: "/nope" not found',
    "mount_out": 'failed to compute cache key: "/etc" not found',
    "mount_root": 'invalid mount target "/"',
    "mount_type": 'unsupported mount type "tmp"',
    "mount_key": "unexpected key 'typ' in 'typ=tmpfs'",
    "mount_csv": 'failed to parse csv mounts: parse error on line 1, column 21: bare " in non-quoted-field',
    "mount_self": "circular dependency detected on stage: q",
    "mount_secret_required": "secret no: not found",
    "mount_ssh_required": 'no SSH key "" forwarded from the client',
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
