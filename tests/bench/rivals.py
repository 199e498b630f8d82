"""The tools that we compare ourselves with, and a Docker daemon of our own for as long as it is needed."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from minidocker.archive import import_
from minidocker.engine import Engine
from tests.bench.measure import Action, Report, command


class Rivals:
    """What is installed. Everything that it starts or makes lies in one folder and ends with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.daemon: subprocess.Popen[bytes] | None = None
        self.root = hasattr(os, "geteuid") and os.geteuid() == 0

    def __enter__(self) -> Rivals:
        self.folder.mkdir(parents=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self.daemon is not None:
            self.daemon.terminate()
            self.daemon.wait(30)
            subprocess.run(["umount", "-R", "-q", self.folder / "data"], check=False)

    def missing(self, *names: str) -> str:
        """Why these cannot be measured; "" where they can."""
        gone = [name for name in names if not shutil.which(name)]
        return f"{', '.join(gone)} not installed" if gone else "" if self.root else "needs root"

    @cached_property
    def busybox(self) -> Path | None:
        """A root file system of one static busybox and its links, the same for all."""
        found = shutil.which("busybox")
        if found is None or b"statically" not in subprocess.run(["file", "-L", found], capture_output=True).stdout:
            found = next((path for path in ("/bin/busybox", "/usr/bin/busybox") if Path(path).exists()), None)
        if found is None:
            return None
        root = self.folder / "busybox"
        for name in ("bin", "tmp", "etc", "proc", "dev", "sys"):
            (root / name).mkdir(parents=True)
        shutil.copy(found, root / "bin" / "busybox")
        applets = subprocess.run([found, "--list"], capture_output=True, text=True, check=True).stdout.split()
        for applet in applets:
            if applet != "busybox":
                (root / "bin" / applet).symlink_to("busybox")
        (root / "etc" / "passwd").write_text("root:x:0:0:root:/:/bin/sh\n")
        subprocess.run(["tar", "-C", root, "-cf", self.busybox_tar, "."], check=True)
        return root

    @property
    def busybox_tar(self) -> Path:
        """That root file system as a tar."""
        return self.folder / "busybox.tar"

    @cached_property
    def docker(self) -> tuple[str, dict[str, str]] | None:
        """Docker's client and the environment to call it with: a daemon of our own, with no bridge."""
        client = next(
            (path for path in ("/usr/bin/docker", shutil.which("docker") or "") if Path(path).is_file()), None
        )
        if client is None or self.missing("dockerd"):
            return None
        host = f"unix://{self.folder}/docker.sock"
        options = {"data-root": "data", "exec-root": "exec", "pidfile": "pid"}
        places = [f"--{name}={self.folder / place}" for name, place in options.items()]
        with (self.folder / "dockerd.log").open("wb") as log:
            self.daemon = subprocess.Popen(
                ["dockerd", "-H", host, *places, "--bridge=none", "--iptables=false"], stdout=log, stderr=log
            )
        env = {**os.environ, "DOCKER_HOST": host}
        for _ in range(150):
            if subprocess.run([client, "version"], env=env, capture_output=True, check=False).returncode == 0:
                break
            time.sleep(0.2)
        else:
            return None
        if self.busybox:
            subprocess.run(
                [client, "import", self.busybox_tar, "bench-busybox"], env=env, capture_output=True, check=True
            )
        return client, env

    def docker_command(self, *words: object, buildkit: bool = True) -> Action:
        """An action: one call of Docker's client."""
        assert self.docker
        client, env = self.docker
        return command(client, *words, env={**env, "DOCKER_BUILDKIT": str(int(buildkit))})

    @cached_property
    def buildah(self) -> tuple[list[str], str] | None:
        """Buildah with a store of its own, and the name of its busybox image; None where it does not work."""
        if self.missing("buildah") or not self.busybox:
            return None
        words = ["buildah", "--root", str(self.folder / "buildah"), "--runroot", str(self.folder / "buildah-run")]
        try:
            made = subprocess.run(
                [*words, "from", "scratch"], capture_output=True, text=True, check=True
            ).stdout.strip()
            subprocess.run([*words, "add", made, str(self.busybox_tar), "/"], capture_output=True, check=True)
            subprocess.run([*words, "commit", made, "bench-busybox"], capture_output=True, check=True)
            subprocess.run([*words, "rm", made], capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        return words, "localhost/bench-busybox"

    def builds(
        self,
        report: Report,
        engine: Engine,
        work: Path,
        dockerfile: Callable[[str, str], str],
        classic: bool = False,
        jobs: tuple[str, ...] = (),
    ) -> tuple[dict[str, Action], dict[str, Action]]:
        """Who builds one Dockerfile on the same busybox, and what each does before: write it anew.

        `dockerfile(base, mark)` is its text, and the mark makes it new to every cache. With `classic` Docker's older
        builder comes too; `jobs` are more words for buildah.
        """
        fresh = itertools.count()
        import_(engine.images, self.busybox_tar, {}).tag("bench-busybox")

        def write(name: str, base: str = "bench-busybox") -> Action:
            (work / name).mkdir(exist_ok=True)
            return lambda: (work / name / "Dockerfile").write_text(dockerfile(base, f"{name}{next(fresh)}"))

        contenders: dict[str, Action] = {
            "minidocker": lambda: engine.images.build(path=str(work / "minidocker"), tag="bench")
        }
        before = {"minidocker": write("minidocker")}
        for name, buildkit in {"BuildKit": True, **({"docker, classic builder": False} if classic else {})}.items():
            if self.docker:
                folder = name.partition(",")[0]
                contenders[name] = self.docker_command(
                    "build", "-q", "--network", "none", work / folder, buildkit=buildkit
                )
                before[name] = write(folder)
        if not self.docker:
            report.notes.append("docker left out: no dockerd, or no root")
        if self.buildah:
            words, base = self.buildah
            name = " ".join(["buildah", *jobs])
            isolation = ("--isolation", "chroot", *jobs)
            contenders[name] = command(*words, "bud", "-q", "--layers", *isolation, work / "buildah")
            before[name] = write("buildah", base)
        else:
            report.notes.append("buildah left out: not installed, or it does not work here")
        return contenders, before
