"""Many users without root: the ids of /etc/subuid, in a mount namespace where these files are the test's own."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from minidocker.runtime import mapped
from tests.runtime.test_namespaces import ROOT, pytestmark, readable_by_all

__all__ = ["pytestmark"]
PYTHON = next((path for path in (sys.executable, "/usr/bin/python3") if readable_by_all(path)), None)
TOOLS = all(map(shutil.which, ("newuidmap", "newgidmap", "unshare", "setpriv")))
AS_NOBODY = """
mount --make-rprivate /
mount --bind subuid /etc/subuid && mount --bind subgid /etc/subgid || exit 99
exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
"""
PROGRAM = """
import os
from pathlib import Path
import trial
from minidocker.layer import Changeset, directory, file
from minidocker.runtime import mapped, probe
assert mapped.ranges() == "0 65534 1 1 100000 65536/0 65534 1 1 200000 65536", mapped.ranges()
assert "subuid" in probe.report().reason
Path("house").mkdir()
house = trial.House(Path("house").absolute())
home = {"/home/app": directory(0o700, uid=1000, gid=1001), "/bin/sudo": file(b"#", mode=0o4755, uid=7)}
secret = file(b"mine", mode=0o600, uid=1000, gid=1001)
layers = [house.base, trial.FolderLayer(Changeset(home | {"/home/app/secret": secret}), Path("own").absolute())]

# The image's files have their owners, and a user of the container's is one.
look = "stat -c '%a %u:%g' /home/app /bin/sudo; id -u; cat secret"
said = house.run(look, layers=layers, user="app", cwd="/home/app")
assert said == "700 1000:1001\\n4755 7:0\\n1000\\nmine", said
assert "(audio)" in house.run("id", layers=layers, user="app")

# What other users write belongs to them, inside and in the changes, readable or not.
script = "mkdir -m 700 /data; chown 5:6 /data; echo hid > /data/f; chown 7:8 /data/f; chmod 400 /data/f; chown 33 /tmp"
box = house.start(house.sh(script, layers=layers))
trial.wait(box)
changes = house.runtime.changes(box)
assert {path: (entry.uid, entry.gid) for path, entry in changes.items()} == {
    "/data": (5, 6), "/data/f": (7, 8), "/tmp": (33, 0)}, changes
assert changes["/data/f"].data.read() == b"hid\\n"
assert os.stat(box.path / "upper" / "data").st_uid == 100004

# What is copied in belongs to whom it should, whether the container runs or not.
house.runtime.apply(box, Changeset({"/data/g": file(b"new", uid=9)}))
assert house.runtime.changes(box)["/data/g"].uid == 9
alive = house.start(house.box("sleep", "100", layers=layers, user="app"))
house.runtime.apply(alive, Changeset({"/home/app/g": file(b"new", uid=1000)}))
assert house.exec(alive, "cat /home/app/g; id -u", user="app") == (0, "new1000\\n")
assert house.runtime.top(alive)[0]["user"] == "1000"

# Nothing is left, though much of it was not ours.
house.clear()
house.runtime.close()
left = [path.name for path in Path("house").iterdir()]
assert left == ["base"], left
from minidocker.runtime.discarding import discard
discard("own")
assert not Path("own").exists()
print("all well")
"""


@pytest.mark.skipif(not ROOT or PYTHON is None, reason="takes root, and a Python that another user can start")
@pytest.mark.skipif(not TOOLS, reason="no newuidmap (Debian: uidmap), unshare or setpriv")
def test_a_user_with_many_ids() -> None:
    folder = Path(tempfile.mkdtemp(prefix="minidocker-mapped-"))
    folder.chmod(0o777)
    package = Path(__file__).parents[2] / "minidocker"
    shutil.copytree(package, folder / "minidocker", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(Path(__file__).with_name("test_namespaces.py"), folder / "trial.py")
    (folder / "tests").mkdir()
    shutil.copy(Path(__file__).parents[1] / "until.py", folder / "tests")
    mock = "from unittest.mock import MagicMock\nimport sys\nsys.modules['pytest'] = MagicMock()\n"
    (folder / "pytest.py").write_text(mock)
    (folder / "subuid").write_text("somebody:1:1\nnobody:100000:65536\nbroken\nnobody:x:y\n")
    (folder / "subgid").write_text("65534:200000:65536\n")
    environment = {"PYTHONPATH": str(folder), "PATH": os.environ["PATH"], "HOME": "/"}
    command = ["unshare", "--mount", "sh", "-c", AS_NOBODY, "sh", str(PYTHON), "-c", PROGRAM]
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100)
        if done.returncode == 99:
            pytest.skip(f"no files to put ours over: {done.stderr}")
        assert done.stdout == "all well\n", done.stderr
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("other:100000:65536\n", ""),
        ("me:100000:65536\n", "0 1000 1 1 100000 65536"),
        ("1000:5:2\nme:9:1\n", "0 1000 1 1 5 2 3 9 1"),
        ("me:-1:5\nme:1\nme:a:b:c\n\n", ""),
    ],
)
def test_the_files_are_read_as_subuid_5_says(tmp_path: Path, text: str, expected: str) -> None:
    file = tmp_path / "subuid"
    file.write_text(text)
    assert mapped.parse(file, {"me", "1000"}, 1000) == expected
    assert mapped.parse(tmp_path / "nosuch", {"me"}, 1000) == ""


def test_root_needs_no_map() -> None:
    if os.geteuid() == 0:
        assert mapped.ranges() == ""
