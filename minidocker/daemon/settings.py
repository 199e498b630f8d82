"""How a daemon is set up: dockerd's options, and the same in `daemon.json`.

    {"hosts": ["unix:///run/minidocker.sock", "tcp://127.0.0.1:2376"], "tlsverify": true, "debug": true}

As with dockerd, what is given in both places is refused, and so is a key that Docker does not know. One that Docker
knows and that has no meaning here is named in a warning. The file is `--config-file`, else `daemon.json` in the folder
of the engine; of Docker's own (`/etc/docker/daemon.json`) only what concerns registries counts.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minidocker.content import parse_json
from minidocker.errors import InvalidArgument
from minidocker.registry.settings import Settings as Registries

FLAGS: dict[str, type] = {  # option of the command line -> type; the key in the file, where it has another name, below
    "host": list,
    "group": str,
    "pidfile": str,
    "debug": bool,
    "tls": bool,
    "tlsverify": bool,
    "tlscacert": str,
    "tlscert": str,
    "tlskey": str,
    "label": list,
    "shutdown-timeout": int,
    "registry-mirror": list,
    "insecure-registry": list,
    "max-concurrent-downloads": int,
    "max-concurrent-uploads": int,
    "max-download-attempts": int,
}
KEYS = {"host": "hosts", "label": "labels", "registry-mirror": "registry-mirrors"} | {
    "insecure-registry": "insecure-registries"
}
TYPES: dict[str, Any] = {KEYS.get(flag, flag): kind for flag, kind in FLAGS.items()}
# Docker's other keys: whoever has them in a file is told that they do nothing here.
OTHERS = set(
    """
    allow-nondistributable-artifacts api-cors-header authorization-plugins bip bridge builder cgroup-parent
    cluster-advertise cluster-store cluster-store-opts containerd containerd-namespace containerd-plugins-namespace
    cpu-rt-period cpu-rt-runtime cri-containerd data-root default-address-pools default-cgroupns-mode default-gateway
    default-gateway-v6 default-ipc-mode default-network-opts default-runtime default-shm-size default-ulimits dns
    dns-opts dns-search exec-opts exec-root experimental features fixed-cidr fixed-cidr-v6 graph host-gateway-ip icc
    init init-path ip ip-forward ip-masq ip6tables iptables ipv6 live-restore log-driver log-format log-level log-opts
    metrics-addr mtu network-control-plane-mtu no-new-privileges node-generic-resources oom-score-adjust proxies
    raw-logs runtimes seccomp-profile selinux-enabled storage-driver storage-opts swarm-default-advertise-addr
    userland-proxy userland-proxy-path userns-remap validate
    """.split()
)


@dataclass(frozen=True)
class Settings:
    """What a daemon was told. `said` are the keys that somebody gave, in the file or on the command line."""

    values: Mapping[str, Any] = field(default_factory=dict)
    file: Path | None = None
    idle: tuple[str, ...] = ()  # keys of the file that do nothing here

    def __getitem__(self, key: str) -> Any:
        """The value of a key; where it was not given, an empty one of its type."""
        return self.values[key] if key in self.values else TYPES[key]()

    @property
    def registries(self) -> Registries | None:
        """What was said of registries; none, where the engine is to look for itself."""
        if self.file is None and not self.values.keys() & {key for key in TYPES if "regist" in key or "max-" in key}:
            return None
        return Registries.of(dict(self.values), str(self.file or "the command line"))


def settings(root: Path, given: Mapping[str, Any], config_file: str = "") -> Settings:
    """The options that were `given` on the command line, and those of the file. Raises InvalidArgument.

    >>> settings(Path("/nowhere"), {"host": ["tcp://127.0.0.1:0"]})["hosts"]
    ['tcp://127.0.0.1:0']
    """
    flags = {KEYS.get(name, name): value for name, value in given.items() if name in FLAGS}
    path = Path(config_file) if config_file else root / "daemon.json"
    try:
        read = parse_json(path.read_bytes(), str(path))
    except FileNotFoundError:
        if config_file:
            raise InvalidArgument(
                f"unable to configure the Docker daemon with file {path}: open {path}: no such file or directory"
            ) from None
        return Settings(flags)
    except OSError as error:
        raise InvalidArgument(f"unable to configure the Docker daemon with file {path}: {error.strerror}") from error
    _check(read, flags, path)
    known = {key: value for key, value in read.items() if key in TYPES}
    found = Settings(known | flags, path, tuple(sorted(read.keys() - TYPES.keys())))
    _ = found.registries  # to refuse now what no pull could use
    return found


def _check(read: Mapping[str, Any], flags: Mapping[str, Any], path: Path) -> None:
    where = f"unable to configure the Docker daemon with file {path}: "
    if unknown := sorted(read.keys() - TYPES.keys() - OTHERS):
        raise InvalidArgument(
            f"{where}the following directives don't match any configuration option: {', '.join(unknown)}"
        )
    if both := sorted(read.keys() & flags.keys()):
        told = ", ".join(f"{key}: (from flag: {_shown(flags[key])}, from file: {_shown(read[key])})" for key in both)
        raise InvalidArgument(
            f"{where}the following directives are specified both as a flag and in the configuration file: {told}"
        )
    for key, kind in TYPES.items():
        value = read.get(key, kind())
        if type(value) is not kind or (kind is list and not all(isinstance(one, str) for one in value)):
            words = {list: "a list of strings", str: "a string", bool: "true or false", int: "a number"}
            raise InvalidArgument(f"{where}{key} must be {words[kind]}")


def _shown(value: Any) -> str:
    return f"[{' '.join(map(str, value))}]" if isinstance(value, list) else str(value).lower()


def certificates(options: Settings) -> tuple[Path, Path, Path]:
    """The certificate authority, the certificate and its key: as given, else those in `~/.docker`, as with dockerd."""
    folder = Path(os.environ.get("DOCKER_CERT_PATH") or Path.home() / ".docker")
    ca, cert, key = (
        Path(options[f"tls{name}"] or folder / f"{name.removesuffix('cert') or 'cert'}.pem")
        for name in ("cacert", "cert", "key")
    )
    return ca, cert, key
