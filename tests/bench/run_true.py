"""(a) containers.run("…", "true") in this process, beside runc, crun, bwrap and docker, on one root file system.

Ours includes creating the container, starting it, waiting for its end and removing it, as `docker run --rm` does.
`docker run` has no network (`--network none`), as ours.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import minidocker
from minidocker.archive import import_
from tests.bench.measure import Action, Report, command
from tests.bench.rivals import Rivals


def measure(report: Report, rivals: Rivals, work: Path, quick: bool) -> None:
    """Fill in the report."""
    if not rivals.busybox:
        report.notes.append("no static busybox to run")
        return
    engine = minidocker.connect(work / "root")
    report.notes.append(f"runtime: {engine.runtime.name}")
    import_(engine.images, rivals.busybox_tar, {}).tag("bench")
    contenders: dict[str, Action] = {
        "minidocker": lambda: engine.containers.run("bench", ["true"], remove=True),
    }
    for name in ("runc", "crun"):
        if not report_missing(report, rivals, name):
            contenders[f"{name} run"] = oci(name, rivals, work)
    contenders |= {"bwrap": bwrap(rivals)} if not report_missing(report, rivals, "bwrap") else {}
    if rivals.docker:
        contenders["docker run --rm"] = rivals.docker_command(
            "run", "--rm", "--network", "none", "bench-busybox", "true"
        )
    else:
        report.notes.append("docker run left out: no dockerd, or no root")
    for name in list(contenders):
        try:
            contenders[name]()
        except RuntimeError as error:
            report.notes.append(f"{name} left out: {str(error).strip()}")
            del contenders[name]
    report.side_by_side("run true, and it is gone", contenders, 5 if quick else 15)
    engine.close()
    if rivals.root:
        rootless(report, rivals, work)


def report_missing(report: Report, rivals: Rivals, name: str) -> bool:
    """Note that a tool is not there."""
    why = rivals.missing(name)
    if why:
        report.notes.append(f"{name} left out: {why}")
    return bool(why)


def oci(name: str, rivals: Rivals, work: Path) -> Action:
    """`runc run` or `crun run` on a bundle whose root is the busybox folder."""
    bundle = work / f"bundle-{name}"
    bundle.mkdir()
    subprocess.run([name, "spec"], cwd=bundle, check=True)
    spec = json.loads((bundle / "config.json").read_text())
    spec["process"] |= {"args": ["true"], "terminal": False}
    spec["root"]["path"] = str(rivals.busybox)
    if name == "crun":
        spec["mounts"] = [mount for mount in spec["mounts"] if mount["type"] != "cgroup"]
        del spec["linux"]["resources"]
    (bundle / "config.json").write_text(json.dumps(spec))
    if name == "crun":  # it refuses cgroups in hybrid mode, so it sees none
        script = 'umount -R -l /sys/fs/cgroup; mount -t tmpfs none /sys/fs/cgroup; exec "$@"'
        words = ("crun", "--cgroup-manager=disabled", "--root", work / name, "run", "--bundle", bundle, "bench")
        return command("unshare", "--mount", "sh", "-c", script, "sh", *words)
    return command(name, "--root", work / name, "run", "--bundle", bundle, "bench")


def bwrap(rivals: Rivals) -> Action:
    """bubblewrap with the same namespaces, but no image, no writable layer and no record of it."""
    inside = ["--unshare-all", "--bind", rivals.busybox, "/", "--proc", "/proc", "--dev", "/dev"]
    return command("bwrap", *inside, "/bin/true")


ROOTLESS = """
import os, sys, time
os.setgid({gid}); os.setuid({uid})
os.environ["HOME"] = {home!r}
sys.path.insert(0, {code!r})
import minidocker
from minidocker.archive import import_
from pathlib import Path
engine = minidocker.connect(Path({home!r}) / "root", runtime="namespaces")
import_(engine.images, Path({tar!r}), {{}}).tag("bench")
engine.containers.run("bench", ["true"], remove=True)
times = []
for _ in range(15):
    start = time.perf_counter()
    engine.containers.run("bench", ["true"], remove=True)
    times.append(time.perf_counter() - start)
print(*times)
engine.close()
"""


def rootless(report: Report, rivals: Rivals, work: Path) -> None:
    """Ours once more, as a user without privileges, with the first Python that such a user may run."""
    nobody = pwd.getpwnam("nobody")
    home, code = work / "home", work / "code"
    home.mkdir()
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    for folder in (work, work.parent):
        folder.chmod(0o755)
    shutil.copytree(Path(minidocker.__file__).parent, code / "minidocker")
    shutil.copy(rivals.busybox_tar, work / "busybox.tar")
    script = ROOTLESS.format(
        uid=nobody.pw_uid, gid=nobody.pw_gid, home=str(home), tar=str(work / "busybox.tar"), code=str(code)
    )
    problem = "no Python that others may run"
    for python in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        if Path(python).exists():
            done = subprocess.run([python, "-c", script], capture_output=True, text=True, check=False, cwd=work)
            if not done.returncode:
                times = [*map(float, done.stdout.split())]
                report.sections.append(("the same without root", {"minidocker, rootless": times}))
                return
            problem = done.stderr.strip().splitlines()[-1][:200]
    report.notes.append(f"rootless left out: {problem}")
