"""Which system calls a container may make: Docker's default policy, profiles of one's own, and the filter of either.

A profile is in Docker's format (https://docs.docker.com/engine/security/seccomp/): an action for all calls, and rules
for some, a few of which count only with a capability, on a kind of machine or from a kernel on. `resolved` makes it the
`linux.seccomp` of the OCI runtime specification, and `compiled` makes that a filter, as libseccomp and runc do: what is
newer than the newest call of the profile does not exist (ENOSYS), so that programs fall back to what does.
"""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from minidocker.runtime import bpf
from minidocker.runtime.bpf import Condition, Leaf, Rule
from minidocker.runtime.syscalls import X32_BIT, numbers

EPERM, ENOSYS = 1, 38
NEW_NAMESPACES = 0x7E020000  # the flags of clone(2) that make a namespace
_ALLOWED = """
    accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir chmod chown chown32 clock_adjtime
    clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep
    clock_nanosleep_time64 close close_range connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1
    epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit
    exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2
    fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat
    fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64 futex_wait
    futex_waitv futex_wake futimesat get_robust_list get_thread_area getcpu getcwd getdents getdents64 getegid
    getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpeername getpgid getpgrp getpid
    getppid getpriority getrandom getresgid getresgid32 getresuid getresuid32 getrlimit getrusage getsid getsockname
    getsockopt gettid gettimeofday getuid getuid32 getxattr getxattrat inotify_add_watch inotify_init inotify_init1
    inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit ioctl
    ioprio_get ioprio_set ipc kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32
    lgetxattr link linkat listen listmount listxattr listxattrat llistxattr _llseek lremovexattr lseek lsetxattr lstat
    lstat64 madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock
    mlock2 mlockall mmap mmap2 mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64
    mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall munmap
    name_to_handle_at nanosleep newfstatat _newselect open openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2
    pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 process_mrelease
    pselect6 pselect6_time64 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv recv recvfrom recvmmsg
    recvmmsg_time64 recvmsg remap_file_pages removexattr removexattrat rename renameat renameat2 restart_syscall
    riscv_hwprobe rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
    rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min
    sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval
    sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp
    select semctl semget semop semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto
    set_robust_list set_thread_area set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups
    setgroups32 setitimer setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid
    setreuid32 setrlimit setsid setsockopt setuid setuid32 setxattr setxattrat shmat shmctl shmdt shmget shutdown
    sigaltstack signalfd signalfd4 sigprocmask sigreturn socketcall socketpair splice stat stat64 statfs statfs64
    statmount statx symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill time timer_create timer_delete
    timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime
    timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate truncate64 ugetrlimit umask uname unlink
    unlinkat uretprobe utime utimensat utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid write writev
"""
_WITH = {  # a capability -> what only those who have it may call
    "CAP_DAC_READ_SEARCH": "open_by_handle_at",
    "CAP_SYS_ADMIN": """
        bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules
        lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname
        sethostname setns syslog umount umount2 unshare""",
    "CAP_SYS_BOOT": "reboot",
    "CAP_SYS_CHROOT": "chroot",
    "CAP_SYS_MODULE": "delete_module finit_module init_module",
    "CAP_SYS_PACCT": "acct",
    "CAP_SYS_PTRACE": "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
    "CAP_SYS_RAWIO": "ioperm iopl",
    "CAP_SYS_TIME": "clock_settime clock_settime64 settimeofday stime",
    "CAP_SYS_TTY_CONFIG": "vhangup",
    "CAP_SYS_NICE": "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    "CAP_SYSLOG": "syslog",
    "CAP_BPF": "bpf",
    "CAP_PERFMON": "perf_event_open",
}
_ON = {  # kinds of machines -> the calls that only they have
    "arm arm64": "arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2",
    "amd64 x32": "arch_prctl",
    "amd64 x32 x86": "modify_ldt",
    "riscv64": "riscv_flush_icache",
}
_PERSONALITIES = (0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)  # Linux, with 32 bits, as of 2.6; and the question which it is
_MACHINES = {  # `uname -m` -> Go's name, and how the kernel and libseccomp call it
    "x86_64": ("amd64", "SCMP_ARCH_X86_64"),
    "aarch64": ("arm64", "SCMP_ARCH_AARCH64"),
    "riscv64": ("riscv64", "SCMP_ARCH_RISCV64"),
}
_AUDIT = {
    "SCMP_ARCH_X86_64": 0xC000003E,
    "SCMP_ARCH_X32": 0xC000003E,
    "SCMP_ARCH_X86": 0x40000003,
    "SCMP_ARCH_AARCH64": 0xC00000B7,
    "SCMP_ARCH_ARM": 0x40000028,
    "SCMP_ARCH_RISCV64": 0xC00000F3,
}
_ACTIONS = {
    "SCMP_ACT_KILL": bpf.KILL_THREAD,
    "SCMP_ACT_KILL_THREAD": bpf.KILL_THREAD,
    "SCMP_ACT_KILL_PROCESS": bpf.KILL_PROCESS,
    "SCMP_ACT_TRAP": bpf.TRAP,
    "SCMP_ACT_ERRNO": bpf.ERRNO,
    "SCMP_ACT_TRACE": bpf.TRACE,
    "SCMP_ACT_LOG": bpf.LOG,
    "SCMP_ACT_ALLOW": bpf.ALLOW,
}
_OPERATORS = {f"SCMP_CMP_{op}": op for op in ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")}
_FLAGS = {"SECCOMP_FILTER_FLAG_TSYNC": 0, "SECCOMP_FILTER_FLAG_LOG": 2, "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 4}
_PERMISSIVE = (bpf.ALLOW, bpf.LOG, bpf.TRACE)

Filter = tuple[bytes, int]  # the program, and the flags of seccomp(2)


@cache
def default_profile() -> dict[str, Any]:
    """The policy of Docker, in its own format; its words for it are `builtin`."""

    def rule(names: str, action: str = "SCMP_ACT_ALLOW", **more: Any) -> dict[str, Any]:
        return {"names": names.split(), "action": action} | more

    def args(op: str, value: int) -> list[dict[str, Any]]:
        return [{"index": 0, "value": value, "op": f"SCMP_CMP_{op}"}]

    without_admin = {"caps": ["CAP_SYS_ADMIN"]}
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": EPERM,
        "archMap": [
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
            {"architecture": "SCMP_ARCH_RISCV64", "subArchitectures": None},
        ],
        "syscalls": [
            rule(_ALLOWED),
            rule("process_vm_readv process_vm_writev ptrace", includes={"minKernel": "4.8"}),
            rule("socket", args=args("NE", 40)),  # AF_VSOCK: to the hypervisor, past all network namespaces
            *(rule("personality", args=args("EQ", value)) for value in _PERSONALITIES),
            *(rule(names, includes={"arches": arches.split()}) for arches, names in _ON.items()),
            *(rule(names, includes={"caps": [capability]}) for capability, names in _WITH.items()),
            rule("clone", args=args("MASKED_EQ", NEW_NAMESPACES), excludes=without_admin),
            rule("clone3", "SCMP_ACT_ERRNO", errnoRet=ENOSYS, excludes=without_admin),  # a filter cannot see its flags
        ],
    }


@cache
def filter_of(profile: str, capabilities: frozenset[str]) -> Filter | None:
    """The filter of `builtin`, of `unconfined` (None) or of a profile's text. Raises ValueError in Docker's words."""
    if profile == "unconfined":
        return None
    found = default_profile() if profile == "builtin" else decoded(profile)
    policy = resolved(found, capabilities)
    return compiled(policy) if policy else None


def decoded(text: str) -> dict[str, Any]:
    """A profile read. Raises ValueError."""
    try:
        profile = json.loads(text)
        if not isinstance(profile, dict):
            raise ValueError(f"json: cannot unmarshal {_kind(profile)} into Go value of type seccomp.Seccomp")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"Decoding seccomp profile failed: {error}") from None
    return profile


def resolved(profile: Mapping[str, Any], capabilities: Iterable[str]) -> dict[str, Any] | None:
    """`linux.seccomp` of a profile, for this machine and kernel, and for a container with some capabilities.

    None where the profile says nothing at all, which is no filter. Raises ValueError.
    """
    if not profile.get("defaultAction") and not profile.get("syscalls"):
        return None
    if profile.get("architectures") and profile.get("archMap"):
        text = "both 'architectures' and 'archMap' are specified in the seccomp profile"
        raise ValueError(f"{text}, use either 'architectures' or 'archMap'")
    try:
        return _resolved(profile, frozenset(capabilities))
    except (TypeError, AttributeError, KeyError) as error:
        raise ValueError(f"Decoding seccomp profile failed: {error}") from None


def _resolved(profile: Mapping[str, Any], capabilities: frozenset[str]) -> dict[str, Any]:
    machine, native = _MACHINES.get(platform.machine(), ("", ""))
    archs = list(profile.get("architectures") or [])
    for entry in profile.get("archMap") or []:
        if entry["architecture"] == native:
            archs = [native, *(entry.get("subArchitectures") or [])]
    calls = []
    for rule in profile.get("syscalls") or []:
        if rule.get("name") and rule.get("names"):
            text = "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'"
            raise ValueError(text)
        unless, only = rule.get("excludes") or {}, rule.get("includes") or {}
        if any(_conditions(unless, machine, capabilities)) or not all(_conditions(only, machine, capabilities)):
            continue
        names = [rule["name"]] if rule.get("name") else list(rule.get("names") or [])
        kept = {key: rule[key] for key in ("action", "errnoRet", "args") if rule.get(key) is not None}
        calls.append({"names": names} | kept)
    return {
        "defaultAction": profile.get("defaultAction") or "",
        **{key: profile[key] for key in ("defaultErrnoRet", "flags") if profile.get(key) is not None},
        "architectures": archs,
        "syscalls": calls,
    }


def _conditions(about: Mapping[str, Any], machine: str, capabilities: frozenset[str]) -> Iterable[bool]:
    """Which of the conditions that a rule names are so: those on the machine, on each capability, on the kernel."""
    if about.get("arches"):
        yield machine in about["arches"]
    yield from (capability in capabilities for capability in about.get("caps") or [])
    if about.get("minKernel"):
        yield _version(os.uname().release) >= _version(about["minKernel"])


def _version(text: str) -> tuple[int, int]:
    found = re.match(r"(\d+)\.(\d+)", text)
    if not found:
        raise ValueError(f'invalid kernel version: "{text}"')
    return int(found[1]), int(found[2])


def compiled(policy: Mapping[str, Any]) -> Filter:
    """The filter of a `linux.seccomp`. Raises ValueError, in runc's words where it has some."""
    _, native = _MACHINES[platform.machine()]
    default = _action(policy["defaultAction"], policy.get("defaultErrnoRet"))
    archs = dict.fromkeys([native, *policy["architectures"]])
    if odd := [arch for arch in archs if not str(arch).startswith("SCMP_ARCH_")]:
        raise ValueError(f"string {odd[0]} is not a valid arch for seccomp")
    machines: dict[int, list[tuple[int, Leaf]]] = {}
    for arch in sorted(archs.keys() & _AUDIT.keys(), key=lambda arch: (arch != native, arch)):
        machines.setdefault(_AUDIT[arch], []).extend(_ranges(policy["syscalls"], arch, default))
    if "SCMP_ARCH_X32" not in archs and native == "SCMP_ARCH_X86_64":
        machines[_AUDIT[native]].append((X32_BIT, Leaf((), bpf.KILL_THREAD)))
    flags = policy.get("flags", ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"])
    if unknown := [flag for flag in flags if flag not in _FLAGS]:
        raise ValueError(f"seccomp flag {unknown[0]} is not known")
    return bpf.program(machines), sum(_FLAGS[flag] for flag in set(flags))


def _ranges(calls: Iterable[Mapping[str, Any]], arch: str, default: int) -> list[tuple[int, Leaf]]:
    """What happens to all the calls of one kind of machine, as ranges of numbers."""
    known = numbers(arch)
    found: dict[int, Leaf] = {}
    newest = first = X32_BIT if arch == "SCMP_ARCH_X32" else 0
    for call in calls:
        action = _action(call.get("action", ""), call.get("errnoRet"))
        rules = _rules(call.get("args") or [], action)
        for number in (known[name] for name in call["names"] if name in known):
            newest = max(newest, number)
            if action != default:
                there = found.get(number, Leaf((), default))
                found[number] = Leaf((), action) if not rules else Leaf((*there.rules, *rules), there.action)
    ranges = [(first, Leaf((), default))]
    for number in sorted(found):
        ranges += [(number, found[number]), (number + 1, Leaf((), default))]
    if newest > first and default not in _PERMISSIVE:
        ranges.append((newest + 1, Leaf((), bpf.ERRNO | ENOSYS)))
    last_of = dict(ranges)
    return [
        (number, leaf)
        for before, (number, leaf) in zip([None, *last_of.values()], last_of.items(), strict=False)
        if leaf != before
    ]


def _rules(args: list[Mapping[str, Any]], action: int) -> tuple[Rule, ...]:
    """All the conditions at once; or, where two are about the same argument, any of them, as runc has it."""
    conditions = [_condition(arg) for arg in args]
    if len({condition.argument for condition in conditions}) < len(conditions):
        return tuple(Rule((condition,), action) for condition in conditions)
    return (Rule(tuple(conditions), action),) if conditions else ()


def _condition(arg: Mapping[str, Any]) -> Condition:
    if arg.get("op") not in _OPERATORS:
        raise ValueError(f"string {arg.get('op')} is not a valid operator for seccomp")
    index, value, second = (arg.get(key) or 0 for key in ("index", "value", "valueTwo"))
    if not all(isinstance(number, int) and 0 <= number < 1 << 64 for number in (index, value, second)) or index > 5:
        raise ValueError(f"Decoding seccomp profile failed: invalid condition on an argument: {dict(arg)}")
    return Condition(index, _OPERATORS[arg["op"]], value, second)


def _action(name: str, errno: int | None) -> int:
    if name == "SCMP_ACT_NOTIFY":
        raise ValueError("SCMP_ACT_NOTIFY asks an agent of the host, and minidocker has none")
    if name not in _ACTIONS:
        raise ValueError(f"string {name} is not a valid action for seccomp")
    action = _ACTIONS[name]
    if action not in (bpf.ERRNO, bpf.TRACE):
        return action
    number = EPERM if errno is None else errno
    if not isinstance(number, int) or not 0 <= number < 1 << 16:
        raise ValueError(f"Decoding seccomp profile failed: invalid errnoRet: {errno!r}")
    return action | number


def _kind(value: Any) -> str:
    names = {list: "array", str: "string", bool: "bool", int: "number", float: "number", type(None): "null"}
    return names[type(value)]
