"""What an engine says of itself: `docker version`, `docker info`.

The keys are those that Docker's clients read. Where Docker names parts that minidocker is not made of (containerd, Go),
it says what it has in their place.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidocker import __version__
from minidocker.container import LIVE
from minidocker.manifest import architecture
from minidocker.reference import HUB
from minidocker.registry.credentials import INDEX_SERVER
from minidocker.registry.settings import Settings
from minidocker.times import now

if TYPE_CHECKING:
    from minidocker.engine import Engine
    from minidocker.runtime import Runtime

API_VERSION, MIN_API_VERSION = "1.41", "1.24"
NO_COMMIT = {"ID": "", "Expected": ""}


def version(engine: Engine) -> dict[str, Any]:
    """What `docker version` prints of the server."""
    python = f"python{platform.python_version()}"
    known = {
        "Version": __version__,
        "ApiVersion": API_VERSION,
        "MinAPIVersion": MIN_API_VERSION,
        "GitCommit": "",
        "GoVersion": python,  # what it is written in; there is no Go in it
        "Os": "linux",
        "Arch": architecture(),
        "KernelVersion": platform.release(),
        "Experimental": False,
        "BuildTime": "",
    }
    details = {key: str(value).lower() for key, value in known.items() if key != "Version"}
    return {
        "Platform": {"Name": "minidocker"},
        "Components": [
            {"Name": "Engine", "Version": __version__, "Details": details},
            {"Name": engine.runtime.name, "Version": __version__, "Details": {"GitCommit": ""}},
        ],
        **known,
        "PythonVersion": platform.python_version(),
        "Runtime": engine.runtime.name,
    }


def info(engine: Engine) -> dict[str, Any]:
    """What `docker info` prints."""
    from minidocker.runtime import oci

    states = [container.status for container in engine.containers.list(all=True)]
    return {
        "ID": _id(engine.root),
        "Containers": len(states),
        "ContainersRunning": states.count("running"),
        "ContainersPaused": states.count("paused"),
        "ContainersStopped": sum(state not in LIVE for state in states),
        "Images": len(engine.images.ids()),
        "Driver": engine.runtime.storage,
        "DriverStatus": [],
        "Plugins": {
            "Volume": ["local"],
            "Network": ["bridge", "host", "null"],
            "Authorization": None,
            "Log": ["json-file", "none"],
        },
        "Debug": False,
        "NFd": -1,
        "NGoroutines": -1,
        "NEventsListener": 0,
        "SystemTime": now(),
        "LoggingDriver": "json-file",
        "KernelVersion": platform.release(),
        "OperatingSystem": _system(),
        "OSVersion": "",
        "OSType": "linux",
        "Architecture": platform.machine(),
        "IndexServerAddress": INDEX_SERVER,
        "RegistryConfig": _registries(Settings.read(engine.root)),
        "NCPU": os.cpu_count() or 1,
        "GenericResources": None,
        "DockerRootDir": str(engine.root),
        "HttpProxy": "",
        "HttpsProxy": "",
        "NoProxy": "",
        "Name": platform.node(),
        "Labels": [],
        "ExperimentalBuild": False,
        "ServerVersion": __version__,
        "Runtimes": oci.installed(),
        "DefaultRuntime": engine.runtime.name,
        "Swarm": {
            "NodeID": "",
            "NodeAddr": "",
            "LocalNodeState": "inactive",
            "ControlAvailable": False,
            "Error": "",
            "RemoteManagers": None,
        },
        "LiveRestoreEnabled": True,  # containers live on without the engine
        "Isolation": "",
        "InitBinary": "",
        "ContainerdCommit": NO_COMMIT,
        "RuncCommit": NO_COMMIT,
        "InitCommit": NO_COMMIT,
        "SecurityOptions": _security(engine.runtime),
        **limits(engine.runtime),
    }


def limits(runtime: Runtime) -> dict[str, Any]:
    """Of `docker info`, what concerns limits: which there are here, by which version of cgroups."""
    from minidocker.runtime import cgroup
    from minidocker.runtime.limits import total_memory

    here, places = runtime.supports(), cgroup.places() if runtime.name != "simulated" else {}
    known = {
        "MemoryLimit": "Memory",
        "SwapLimit": "MemorySwap",
        "KernelMemory": "KernelMemory",
        "CpuCfsPeriod": "CpuPeriod",
        "CpuCfsQuota": "CpuQuota",
        "CPUShares": "CpuShares",
        "CPUSet": "CpusetCpus",
        "PidsLimit": "PidsLimit",
        "OomKillDisable": "OomKillDisable",
    }
    words = {"MemoryLimit": "memory limit", "SwapLimit": "swap limit", "CPUShares": "cpu shares", "CPUSet": "cpuset"}
    words |= {"CpuCfsQuota": "cpu cfs quota", "CpuCfsPeriod": "cpu cfs period", "PidsLimit": "pids limit"}
    missing = [f"WARNING: No {word} support" for key, word in words.items() if known[key] not in here]
    return {
        **{key: limit in here for key, limit in known.items()},
        "KernelMemoryTCP": False,
        "IPv4Forwarding": True,
        "BridgeNfIptables": True,  # of the switch's own network: containers on one bridge cannot pass its rules by
        "BridgeNfIp6tables": True,
        "CgroupDriver": "cgroupfs" if places else "none",
        "CgroupVersion": "2" if cgroup.SELF in places else "1",
        "MemTotal": total_memory(),
        "Warnings": missing or None,
    }


def _id(root: Path) -> str:
    """Twelve groups of four letters that stand for this machine and this folder, as Docker's engines have them."""
    digest = hashlib.sha256(f"{platform.node()}\0{root}".encode(errors="surrogateescape")).digest()
    text = base64.b32encode(digest).decode()
    return ":".join(text[start : start + 4] for start in range(0, 48, 4))


def _system() -> str:
    """The name of the operating system: of a Linux, what it calls itself."""
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.platform()


def _security(runtime: Runtime) -> list[str]:
    if runtime.name == "simulated":
        return []
    rootless = ["name=rootless"] if hasattr(os, "geteuid") and os.geteuid() else []
    return ["name=seccomp,profile=default", *rootless]


def _registries(settings: Settings) -> dict[str, Any]:
    """Which registries may be spoken to without TLS, and the mirrors of Docker Hub."""
    ranges, hosts = ["127.0.0.0/8"], []
    for text in settings.insecure:
        try:
            ranges.append(str(ipaddress.ip_network(text, strict=False)))
        except ValueError:
            hosts.append(text)
    mirrors = list(settings.mirrors)
    hub = {"Name": HUB, "Mirrors": mirrors, "Secure": True, "Official": True}
    others = {host: {"Name": host, "Mirrors": [], "Secure": False, "Official": False} for host in hosts}
    return {
        "AllowNondistributableArtifactsCIDRs": [],
        "AllowNondistributableArtifactsHostnames": [],
        "InsecureRegistryCIDRs": ranges,
        "IndexConfigs": {HUB: hub, **others},
        "Mirrors": mirrors,
    }
