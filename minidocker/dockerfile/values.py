"""What some instructions ask of their arguments: ports, times, signals; and the word that was probably meant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address

from .words import quoted

PROTOCOLS = ("tcp", "udp", "sctp")
SIGNALS = re.compile(
    "ABRT|ALRM|BUS|CHLD|CLD|CONT|FPE|HUP|ILL|INT|IO|IOT|KILL|PIPE|POLL|PROF|PWR|QUIT|SEGV|STKFLT|STOP|SYS|TERM|TRAP|"
    r"TSTP|TTIN|TTOU|URG|USR1|USR2|VTALRM|WINCH|XCPU|XFSZ|RTMIN(\+([1-9]|1[0-5]))?|RTMAX(-([1-9]|1[0-4]))?"
)
PLATFORM_PARTS = re.compile(
    "aix|android|darwin|macos|dragonfly|freebsd|hurd|illumos|ios|js|linux|nacl|netbsd|openbsd|plan9|solaris|windows|zos|"
    "386|i386|amd64|x86_64|x86-64|arm|armel|armhf|armbe|arm64|aarch64|arm64be|loong64|mips|mipsle|mips64|mips64le|"
    "mips64p32|mips64p32le|ppc|ppc64|ppc64le|riscv|riscv64|s390|s390x|sparc|sparc64|wasm"
)
UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
SIZES = re.compile(r"(\d+(?:\.\d*)?|\.\d+)([^\d.]*)", re.ASCII)
MAX_DURATION = (1 << 63) - 1


def exposed_ports(spec: str) -> list[str]:
    """Return the ports that one word of EXPOSE names; ValueError when it is none.

    >>> exposed_ports("80"), exposed_ports("8000-8002/udp"), exposed_ports("127.0.0.1:5000:50/TCP")
    (['80/tcp'], ['8000/udp', '8001/udp', '8002/udp'], ['50/tcp'])
    """
    address, published, ports, protocol = split_port(spec)
    if not ports:
        raise ValueError(f"invalid port: {quoted(spec)}: no port specified")
    if protocol.lower() not in ("", *PROTOCOLS):
        raise ValueError(f"invalid port: {quoted(spec)}: invalid proto: {protocol}")
    if address and not _is_address(address):
        raise ValueError(f"invalid IP address: {address}")
    first, last = _port_range(ports, "containerPort")
    low, high = _port_range(published, "hostPort") if published else (first, last)
    if first != last and high - low != last - first:
        raise ValueError(f"invalid ranges specified for container and host Ports: {ports} and {published}")
    return [f"{port}/{protocol.lower() or 'tcp'}" for port in range(first, last + 1)]


def split_port(spec: str) -> tuple[str, str, str, str]:
    """The parts of `address:published:port/protocol`, each as it is written, or empty.

    >>> split_port("[::1]:8080:80/TCP"), split_port("80")
    (('[::1]', '8080', '80', 'TCP'), ('', '', '80', ''))
    """
    host, _, container = spec.rpartition(":")
    address, _, published = host.rpartition(":")
    ports, _, protocol = container.partition("/")
    return address, published, ports, protocol


def _is_address(text: str) -> bool:
    try:
        ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def _port_range(text: str, what: str) -> tuple[int, int]:
    match = re.fullmatch(r"\+?0*(\d{1,5})(?:-\+?0*(\d{1,5}))?", text, re.ASCII)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    if not first <= last <= 65535:
        raise ValueError(f"invalid {what}: {text}; a port is a number up to 65535, or a range such as 8000-8010")
    return first, last


def duration(text: str) -> int:
    """Return nanoseconds for a time as Go writes it; ValueError when it is none.

    >>> duration("1m30s"), duration("1.5ms")
    (90000000000, 1500000)
    """
    unsigned = text[1:] if text[:1] in ("-", "+") else text
    if unsigned == "0":
        return 0
    if not unsigned or not re.fullmatch(f"(?:{SIZES.pattern})+", unsigned, re.ASCII):
        raise ValueError(f'time: invalid duration "{text}"')
    total = 0
    for number, unit in SIZES.findall(unsigned):
        if not unit:
            raise ValueError(f'time: missing unit in duration "{text}", as in 30s or 1m30s')
        if unit not in UNITS:
            raise ValueError(f'time: unknown unit "{unit}" in duration "{text}", known are {", ".join(UNITS)}')
        whole, _, fraction = number.partition(".")
        total += int(whole or 0) * UNITS[unit] + int(fraction or 0) * UNITS[unit] // 10 ** len(fraction)
    if total > MAX_DURATION:
        raise ValueError(f'time: invalid duration "{text}"')
    return -total if text[0] == "-" else total


def check_signal(text: str) -> None:
    """Raise ValueError unless `text` is a signal: a number, or a name with or without SIG."""
    if re.fullmatch(r"[+-]?\d+", text, re.ASCII):
        if not 0 < abs(int(text)) < 1 << 63:
            raise ValueError(f"invalid signal: {text}")
    elif not SIGNALS.fullmatch(text.upper().removeprefix("SIG")):
        raise ValueError(f"invalid signal: {text}")


def check_platform(text: str) -> None:
    """Raise ValueError unless `text` is a platform: `linux/arm64/v8`, or an operating system or architecture alone."""
    problem, parts = "", text.split("/")
    for part in parts[:3]:
        if not re.fullmatch(r"[A-Za-z0-9_.-]+(\([A-Za-z0-9_.-]*\))?", part):
            must = 'platform specifier component must match "^[A-Za-z0-9_.-]+$"'
            problem = f"{quoted(part)} is an invalid component of {quoted(text)}: {must}"
    if len(parts) > 3:
        problem = f"{quoted(text)}: cannot parse platform specifier, which is os/architecture/variant"
    elif len(parts) == 1 and not problem and not PLATFORM_PARTS.fullmatch(text.lower()):
        problem = f"{quoted(text)}: unknown operating system or architecture"
    if problem:
        raise ValueError(problem)


def meant(word: str, known: Iterable[str]) -> str:
    """Return " (did you mean X?)" for the known word that is at most two typing errors away, or nothing.

    >>> meant("RUNN", ["RUN", "COPY"])
    ' (did you mean RUN?)'
    """
    match = nearest(word, known)
    return f" (did you mean {match}?)" if match else ""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known word that is one or two typing errors away, the first of the nearest; or nothing."""
    distances = [(_distance(word, other), other) for other in known]
    distance, match = min(distances, key=lambda pair: pair[0], default=(0, ""))
    return match if 0 < distance <= 2 else ""


def _distance(one: str, other: str) -> int:
    """Return the Levenshtein distance: how many letters to add, drop or change."""
    row = list(range(len(other) + 1))
    for i, left in enumerate(one[:40], 1):
        previous, row[0] = row[0], i
        for j, right in enumerate(other, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (left != right))
    return row[-1]
