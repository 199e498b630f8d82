"""Seccomp: what Docker denies; and our filters do what those of libseccomp do, call by call, machine by machine."""

import ctypes
import ctypes.util
import json
import os
import platform
import re
import struct
import tempfile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidocker.runtime import bpf
from minidocker.runtime.capabilities import ALL, DEFAULT
from minidocker.runtime.seccomp import compiled, decoded, default_profile, filter_of, resolved
from minidocker.runtime.syscalls import X32_BIT, numbers

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers below are those of this machine")
X86_64, I386, AARCH64 = 0xC000003E, 0x40000003, 0xC00000B7
EPERM, ENOSYS = bpf.ERRNO | 1, bpf.ERRNO | 38
NUMBERS = numbers("SCMP_ARCH_X86_64")


def run(code: bytes, number: int, args: tuple[int, ...] = (), machine: int = X86_64) -> int:
    """What a filter returns: the kernel's interpreter of classic BPF, as far as filters need it."""
    data = struct.pack("=IIQ6Q", number, machine, 0, *(*args, 0, 0, 0, 0, 0, 0)[:6])
    at, value = 0, 0
    while True:
        operation, yes, no, operand = struct.unpack_from("=HBBI", code, at * 8)
        at += 1
        if operation == 0x20:
            value = struct.unpack_from("=I", data, operand)[0]
        elif operation == 0x54:
            value &= operand
        elif operation == 0x05:
            at += operand
        elif operation == 0x06:
            return int(operand)
        else:
            true = {0x15: value == operand, 0x25: value > operand, 0x35: value >= operand, 0x45: bool(value & operand)}
            at += yes if true[operation] else no


def default(*capabilities: str) -> bytes:
    found = filter_of("builtin", frozenset((*DEFAULT, *capabilities)))
    assert found
    return found[0]


# The policy


@pytest.mark.parametrize(
    "name",
    "mount umount2 unshare setns pivot_root bpf perf_event_open keyctl add_key request_key userfaultfd kexec_load "
    "kexec_file_load init_module finit_module delete_module reboot swapon swapoff settimeofday clock_settime acct "
    "open_by_handle_at iopl ioperm io_uring_setup io_uring_enter move_mount fsopen mount_setattr open_tree quotactl "
    "syslog nfsservctl _sysctl vhangup sethostname setdomainname move_pages mbind kcmp pidfd_getfd".split(),
)
def test_what_docker_denies_is_denied(name: str) -> None:
    assert run(default(), NUMBERS[name]) == EPERM


@pytest.mark.parametrize("name", "read openat execve fork chroot ptrace mknod setuid landlock_restrict_self".split())
def test_what_docker_allows_is_allowed(name: str) -> None:
    assert run(default(), NUMBERS[name]) == bpf.ALLOW


def test_a_capability_opens_the_calls_that_belong_to_it() -> None:
    assert run(default("CAP_SYS_ADMIN"), NUMBERS["mount"]) == bpf.ALLOW
    assert run(default("CAP_SYS_ADMIN"), NUMBERS["reboot"]) == EPERM
    assert run(default("CAP_SYS_BOOT"), NUMBERS["reboot"]) == bpf.ALLOW
    found = filter_of("builtin", frozenset(set(DEFAULT) - {"CAP_SYS_CHROOT"}))
    assert found
    assert run(found[0], NUMBERS["chroot"]) == EPERM


def test_arguments_count() -> None:
    code, clone, personality, socket = default(), NUMBERS["clone"], NUMBERS["personality"], NUMBERS["socket"]
    assert run(code, clone, (17,)) == bpf.ALLOW
    assert run(code, clone, (0x10000000 | 17,)) == EPERM, "a new user namespace"
    assert run(code, NUMBERS["clone3"]) == ENOSYS, "so that the C library falls back to clone"
    assert run(default("CAP_SYS_ADMIN"), NUMBERS["clone3"]) == bpf.ALLOW
    assert [run(code, personality, (value,)) for value in (0, 8, 0x20000, 0xFFFFFFFF)] == [bpf.ALLOW] * 4
    assert run(code, personality, (0x40000,)) == EPERM, "no addresses without chance in them"
    assert run(code, personality, (1 << 32,)) == EPERM, "all 64 bits count"
    assert (run(code, socket, (2,)), run(code, socket, (40,))) == (bpf.ALLOW, EPERM)


def test_what_is_newer_than_the_profile_does_not_exist() -> None:
    assert run(default(), 500) == ENOSYS
    assert run(default(), X32_BIT | 600) == ENOSYS
    assert run(default(), 0, machine=AARCH64) == bpf.KILL_THREAD, "another machine's calls are nobody's"


def test_no_call_gets_by_under_the_numbers_of_another_kind_of_machine() -> None:
    assert run(default(), 21, machine=I386) == EPERM, "mount, as 32-bit programs number it"
    assert run(default(), X32_BIT | 165) == EPERM
    assert run(default(), X32_BIT | 0) == bpf.ALLOW


# Profiles of one's own


def test_a_profile_is_read_as_docker_reads_it() -> None:
    rules = [
        {"name": "mkdir", "action": "SCMP_ACT_ERRNO", "errnoRet": 13},
        {"names": ["getpid"], "action": "SCMP_ACT_KILL_PROCESS", "includes": {"caps": ["CAP_SYS_TIME"]}},
        {"names": ["getppid"], "action": "SCMP_ACT_LOG", "excludes": {"arches": ["amd64"]}},
        {"names": ["gettid"], "action": "SCMP_ACT_TRAP", "includes": {"minKernel": "3.1"}},
        {"names": ["getuid"], "action": "SCMP_ACT_TRAP", "includes": {"minKernel": "99.0"}},
        {"names": ["nonsense"], "action": "SCMP_ACT_TRAP"},
    ]
    found = filter_of(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}), frozenset())
    assert found
    got = {name: run(found[0], NUMBERS[name]) for name in "mkdir getpid getppid gettid getuid".split()}
    assert got == {
        "mkdir": bpf.ERRNO | 13,
        "getpid": bpf.ALLOW,
        "getppid": bpf.ALLOW,
        "gettid": bpf.TRAP,
        "getuid": bpf.ALLOW,
    }
    assert run(found[0], 500) == bpf.ALLOW, "where the default is to allow, nothing is made up"
    assert run(found[0], X32_BIT) == bpf.KILL_THREAD, "the profile does not name that kind of machine"


def test_nothing_said_is_no_filter() -> None:
    assert filter_of("{}", frozenset()) is None
    assert filter_of("unconfined", frozenset()) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "Decoding seccomp profile failed"),
        ("[]", "cannot unmarshal array into Go value of type seccomp.Seccomp"),
        ('{"defaultAction": "X"}', "string X is not a valid action for seccomp"),
        ('{"defaultAction": "SCMP_ACT_NOTIFY"}', "SCMP_ACT_NOTIFY"),
        ('{"syscalls": [3], "defaultAction": "SCMP_ACT_ALLOW"}', "Decoding seccomp profile failed"),
        ('{"syscalls": [{"name": "a", "names": ["b"]}]}', "both 'name' and 'names' are specified"),
        ('{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["x"], "archMap": [1]}', "use either"),
        ('{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["amd64"]}', "is not a valid arch"),
        ('{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["X"]}', "seccomp flag X is not known"),
        (
            '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_KILL", '
            '"args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]}]}',
            "invalid condition",
        ),
    ],
)
def test_a_bad_profile_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        filter_of(text, frozenset())


# The compiler, against libseccomp's

ARCHS = {"SCMP_ARCH_X86_64": X86_64, "SCMP_ARCH_X86": I386, "SCMP_ARCH_X32": 0x4000003E}
OPERATORS = {"NE": 1, "LT": 2, "LE": 3, "EQ": 4, "GE": 5, "GT": 6, "MASKED_EQ": 7}
SECCOMP = ctypes.util.find_library("seccomp")
oracle_only = pytest.mark.skipif(SECCOMP is None, reason="no libseccomp")


class Comparison(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("value", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


def oracle(policy: dict[str, Any], action: dict[str, int]) -> bytes:
    """The filter that libseccomp makes of `linux.seccomp`, without what runc adds for newer calls."""
    library = ctypes.CDLL(SECCOMP)
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = [ctypes.c_uint32]
    context = ctypes.c_void_p(library.seccomp_init(action["default"]))
    for arch in policy["architectures"]:
        assert library.seccomp_arch_add(context, ctypes.c_uint32(ARCHS[arch])) in (0, -17)
    for call in policy["syscalls"]:
        what = call["action"] if isinstance(call["action"], int) else action[call["action"]]
        conditions = [
            Comparison(arg["index"], OPERATORS[arg["op"][9:]], arg["value"], arg.get("valueTwo") or 0)
            for arg in call.get("args") or []
        ]
        for name in call["names"]:
            number = library.seccomp_syscall_resolve_name(name.encode())
            if number != -1 and what != action["default"]:
                array = (Comparison * max(len(conditions), 1))(*conditions)
                done = library.seccomp_rule_add_array(context, ctypes.c_uint32(what), number, len(conditions), array)
                assert done in (0, -17), f"{name}: {done}"
    with tempfile.TemporaryFile() as file:
        assert library.seccomp_export_bpf(context, file.fileno()) == 0
        library.seccomp_release(context)
        file.seek(0)
        return file.read()


def known(name: str, arch: str) -> bool:
    found = ctypes.CDLL(SECCOMP).seccomp_syscall_resolve_name_arch(ctypes.c_uint32(ARCHS[arch]), name.encode())
    return bool(found >= 0 or (found < -100 and arch == "SCMP_ARCH_X86"))  # what `socketcall` does, too


@oracle_only
@pytest.mark.parametrize("capabilities", [DEFAULT, ALL, ()], ids=["default", "all", "none"])
def test_dockers_policy_is_compiled_as_by_libseccomp(capabilities: tuple[str, ...]) -> None:
    """Every call that the library knows, on three kinds of machines, with arguments that matter."""
    policy = resolved(default_profile(), capabilities)
    assert policy
    errors = {"SCMP_ACT_ALLOW": bpf.ALLOW, "SCMP_ACT_ERRNO": bpf.ERRNO | 38, "default": EPERM}
    ours, theirs = compiled(policy)[0], oracle(policy, errors)
    arguments = [(17,), (0x10000000,), (40,), (8,), (0xFFFFFFFF,), (0x20008, 1)]
    for arch, machine in (("SCMP_ARCH_X86_64", X86_64), ("SCMP_ARCH_X86", I386), ("SCMP_ARCH_X32", X86_64)):
        for name, number in numbers(arch).items():
            if known(name, arch):
                for args in arguments if name in ("clone", "clone3", "personality", "socket") else [()]:
                    got, wanted = (run(code, number, args, machine) for code in (ours, theirs))
                    assert got == wanted, f"{name} of {arch} with {args}: {got:#x}, not {wanted:#x}"


ARGUMENT = st.fixed_dictionaries(
    {
        "index": st.integers(0, 5),
        "value": st.sampled_from([0, 1, 7, 0xFFFFFFFF, 1 << 32, (1 << 32) + 1, (1 << 64) - 1]),
        "valueTwo": st.sampled_from([0, 1, 1 << 32]),
        "op": st.sampled_from([f"SCMP_CMP_{op}" for op in OPERATORS]),
    }
)
VALUES = st.sampled_from([0, 1, 2, 7, 8, 0xFFFFFFFF, 1 << 32, (1 << 32) + 1, (1 << 33) + 1, (1 << 64) - 1])


@oracle_only
@settings(max_examples=60)
@given(ARGUMENT, st.lists(VALUES, min_size=6, max_size=6))
def test_each_comparison_is_libseccomps(arg: dict[str, Any], values: list[int]) -> None:
    if arg["op"] == "SCMP_CMP_MASKED_EQ":
        arg |= {"valueTwo": arg["valueTwo"] & arg["value"]}
    rule = {"names": ["getpid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 7, "args": [arg]}
    policy = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [rule]}
    theirs = oracle(policy, {"default": bpf.ALLOW, "SCMP_ACT_ERRNO": bpf.ERRNO | 7})
    ours = compiled(policy)[0]
    number = NUMBERS["getpid"]
    assert run(ours, number, tuple(values)) == run(theirs, number, tuple(values))


@given(st.dictionaries(st.sampled_from(sorted(NUMBERS)), st.integers(1, 4095)))
def test_any_number_of_rules_finds_each_call(rules: dict[str, int]) -> None:
    calls = [{"names": [name], "action": "SCMP_ACT_ERRNO", "errnoRet": code} for name, code in rules.items()]
    profile = decoded(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": calls}))
    policy = resolved(profile, ())
    assert policy
    code = compiled(policy)[0]
    for name, number in NUMBERS.items():
        assert run(code, number) == (bpf.ERRNO | rules[name] if name in rules else bpf.ALLOW)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no Linux")
def test_the_kernel_takes_the_filter() -> None:
    from minidocker.runtime import linux

    child = os.fork()
    if child == 0:
        try:
            linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
            linux.seccomp(default(), 4)
            os.getpid()
            try:
                os.sched_yield()
                libc = ctypes.CDLL(None, use_errno=True)
                os._exit(0 if libc.unshare(0x10000000) == -1 and ctypes.get_errno() == 1 else 1)
            except OSError:
                os._exit(2)
        except BaseException:
            os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
