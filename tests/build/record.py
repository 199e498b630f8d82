"""Ask real Docker what it makes of `contexts.py`, with both of its builders, and write `recorded.json`.

    DOCKER_HOST=unix:///… python tests/build/record.py [case …]

An image `busybox` is imported first, out of busybox-static, with the users that `contexts.py` names.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
EPOCH = 1_600_000_000
PASSWD = (
    "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:app:/home/app:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
)
GROUP = "root:x:0:\napp:x:1001:\nstaff:x:50:app\nnogroup:x:65534:\n"


PACKERS: dict[str, Any] = {"": bytes, "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


def pack(members: dict[str, str], how: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(text), EPOCH
            tar.addfile(info, io.BytesIO(text.encode()))
    packed: bytes = PACKERS[how](out.getvalue())
    return packed


def write(root: Path, files: dict[str, Any]) -> None:
    """Lay a context of `contexts.py` out on disk; directories' modes last."""
    for name, what in files.items():
        path = root / name
        spec = what if isinstance(what, dict) else {"text": what}
        path.parent.mkdir(parents=True, exist_ok=True)
        if "link" in spec:
            path.symlink_to(spec["link"])
        elif "hard" in spec:
            path.hardlink_to(root / spec["hard"])
        elif "dir" in spec:
            path.mkdir(exist_ok=True)
        elif "tar" in spec:
            path.write_bytes(pack(spec["tar"], spec.get("z", "")))
        elif "gzip" in spec:
            path.write_bytes(gzip.compress(spec["gzip"].encode(), mtime=0))
        else:
            path.write_text(spec["text"])
            path.chmod(spec.get("mode", 0o644))
    for path in sorted(root.rglob("*"), reverse=True):
        folder = files.get(str(path.relative_to(root)))
        if path.is_dir() and not path.is_symlink():
            path.chmod(folder["dir"] if isinstance(folder, dict) else 0o755)
        os.utime(path, (EPOCH, EPOCH), follow_symlinks=False)


def docker(*args: str, buildkit: bool = True, cwd: str | None = None) -> subprocess.CompletedProcess[bytes]:
    environ = os.environ | {"DOCKER_BUILDKIT": str(int(buildkit))}
    return subprocess.run(["/usr/bin/docker", *args], capture_output=True, env=environ, cwd=cwd)


def build(case: dict[str, Any], buildkit: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "Dockerfile").write_text(case["dockerfile"])
        write(root, case["files"])
        network = [] if "--network" in case["args"] else ["--network=host" if buildkit else "--network=none"]
        plain = ["--progress=plain"] if buildkit else []
        done = docker("build", *plain, *network, "-t", "recorded", *case["args"], ".", buildkit=buildkit, cwd=folder)
    if done.returncode:
        text = (done.stdout + done.stderr).decode(errors="replace").strip().replace(folder, "CONTEXT")
        return {"exit": done.returncode, "error": text.splitlines()[-1] if text else "", "log": text.splitlines()[-12:]}
    warnings = [line for line in done.stderr.decode().splitlines() if "Warning" in line]
    return saved(docker("save", "recorded").stdout, base_layer()) | ({"warnings": warnings} if warnings else {})


def base_layer() -> str:
    return docker("inspect", "--format", "{{index .RootFS.Layers 0}}", "busybox").stdout.decode().strip()


def as_options(args: list[str]) -> dict[str, Any]:
    """The words of `docker build` as arguments of Docker's SDK."""
    found: dict[str, Any] = {"labels": {}, "buildargs": {}}
    for flag, value in zip(args[::2], args[1::2], strict=True):
        name, _, rest = value.partition("=")
        if flag in ("--label", "--build-arg"):
            found["labels" if flag == "--label" else "buildargs"][name] = rest
        elif flag == "--secret":
            found["secrets"] = [value]
        else:
            found[{"--target": "target", "--network": "network_mode", "-f": "dockerfile", "-t": "tag"}[flag]] = value
    return found


def describe(tar: tarfile.TarFile, member: tarfile.TarInfo) -> list[Any]:
    kind = {b"0": "file", b"\0": "file", b"5": "dir", b"2": "symlink", b"1": "hard", b"6": "fifo"}.get(
        member.type, "other"
    )
    what = member.linkname
    if kind == "file" and (stream := tar.extractfile(member)):
        what = hashlib.sha256(stream.read()).hexdigest()[:12]
    return [kind, oct(member.mode), member.uid, member.gid, what, "then" if member.mtime == EPOCH else ""]


def saved(archive: bytes, base: str) -> dict[str, Any]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        members = {member.name: tar.extractfile(member) for member in tar if member.isfile()}
        blobs = {name: stream.read() for name, stream in members.items() if stream}
        manifest = json.loads(blobs["manifest.json"])[0]
        config = json.loads(blobs[manifest["Config"]])
        layers: list[Any] = []
        for name, diff_id in zip(manifest["Layers"], config["rootfs"]["diff_ids"], strict=True):
            if diff_id == base:
                layers.append("busybox")
                continue
            with tarfile.open(fileobj=io.BytesIO(blobs[name])) as layer:
                layers.append({"/" + m.name.strip("/"): describe(layer, m) for m in layer})
    kept = {key: value for key, value in config["config"].items() if value} if config["config"] else {}
    history = [{k: v for k, v in entry.items() if k != "created"} for entry in config["history"]]
    top = {key: config[key] for key in ("author", "os", "architecture") if config.get(key)}
    return {"config": kept, "history": history, "layers": layers, **top}


def import_busybox(root: Path) -> None:
    """The base of all the contexts, out of busybox-static."""
    for name in ("bin", "etc", "root", "proc", "sys", "dev", "home/app", "tmp"):
        (root / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin/busybox")
    for applet in subprocess.run(["/bin/busybox", "--list"], capture_output=True, text=True).stdout.split():
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    (root / "etc/passwd").write_text(PASSWD)
    (root / "etc/group").write_text(GROUP)
    (root / "tmp").chmod(0o1777)
    (root / "applink").symlink_to("home/app")
    (root / "tmplink").symlink_to("/etc/../../tmp")
    tar = subprocess.run(["tar", "-C", str(root), "-c", "."], capture_output=True, check=True).stdout
    subprocess.run(["/usr/bin/docker", "import", "-", "busybox"], input=tar, capture_output=True, check=True)


def main(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        import_busybox(Path(folder) / "busybox")
    namespace: dict[str, Any] = {}
    exec((HERE / "contexts.py").read_text(), namespace)
    out = HERE / "recorded.json"
    recorded = json.loads(out.read_text()) if out.exists() else {}
    for name, case in (namespace["GOOD"] | namespace["BAD"]).items():
        if names and name not in names:
            continue
        recorded[name] = {"classic": build(case, False), "buildkit": build(case, True)}
        wrong = [how for how, result in recorded[name].items() if ("error" in result) != (name in namespace["BAD"])]
        print(name, *wrong, flush=True)
        out.write_text(json.dumps(recorded, indent=1, sort_keys=True))


if __name__ == "__main__":
    main(sys.argv[1:])
