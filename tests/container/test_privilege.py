"""What a container may do: capabilities, security options, devices, file systems in memory; as Docker has it."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from minidocker.container.options import devices, mounts, privilege
from minidocker.engine import Engine
from minidocker.errors import InvalidArgument, StartError, Unsupported
from minidocker.runtime.capabilities import ALL, DEFAULT, mask, tweaked
from minidocker.runtime.masks import MASKED, READ_ONLY

BASE = "minidocker/base"


def mount(target: str, source: str | None = None, type: str = "volume", **more: Any) -> dict[str, Any]:
    """As the SDK's `docker.types.Mount` makes it."""
    return {"Target": target, "Source": source, "Type": type} | more


def boxed(**given: Any) -> Any:
    return privilege.boxed({"HostConfig": privilege.host_config(given)})["security"]


def said(engine: Engine, script: str, **options: Any) -> str:
    return bytes(engine.containers.run(BASE, ["sh", "-c", script], remove=True, **options)).decode()


@pytest.fixture
def real(engine: Engine) -> Engine:
    if engine.containers.runtime.name != "namespaces":
        pytest.skip("there is no kernel in the simulated runtime")
    return engine


# Capabilities


def test_capabilities_are_written_down_as_by_docker() -> None:
    found = privilege.host_config({"cap_add": ["net_admin", "CAP_SYS_TIME", "all"], "cap_drop": ["Chown"]})
    assert (found["CapAdd"], found["CapDrop"]) == (["CAP_NET_ADMIN", "CAP_SYS_TIME", "ALL"], ["CAP_CHOWN"])
    assert privilege.host_config({})["CapAdd"] is None


@pytest.mark.parametrize(
    ("add", "drop", "left"),
    [
        ([], [], DEFAULT),
        (["ALL"], [], ALL),
        ([], ["ALL"], ()),
        (["CHOWN"], ["ALL"], ("CAP_CHOWN",)),
        (["ALL"], ["CHOWN", "ALL"], ALL[1:]),
        (["NET_ADMIN"], ["net_raw"], {*DEFAULT, "CAP_NET_ADMIN"} - {"CAP_NET_RAW"}),
        (["CHOWN"], ["CHOWN"], DEFAULT),
    ],
)
def test_what_is_added_goes_over_what_is_dropped(add: list[str], drop: list[str], left: Any) -> None:
    assert set(tweaked(add, drop)) == set(left)


@pytest.mark.parametrize(("option", "key"), [("cap_add", "CapAdd"), ("cap_drop", "CapDrop")])
def test_unknown_capabilities_are_refused_in_dockers_words(option: str, key: str) -> None:
    with pytest.raises(InvalidArgument, match=f'invalid {key}: unknown capability: "CAP_FOO"'):
        privilege.host_config({option: ["foo"]})


def test_one_capability_need_not_be_in_a_list() -> None:
    found = privilege.host_config({"cap_add": "NET_ADMIN", "cap_drop": "ALL"})
    assert (found["CapAdd"], found["CapDrop"]) == (["CAP_NET_ADMIN"], ["ALL"])


def test_the_numbers_are_the_kernels() -> None:
    assert mask(DEFAULT) == 0xA80425FB, "what /proc/self/status shows in a container of Docker's"
    assert (ALL[21], ALL[40], len(ALL)) == ("CAP_SYS_ADMIN", "CAP_CHECKPOINT_RESTORE", 41)


STATUS = (
    "while read -r key value; do case $key in Cap*|NoNew*|Seccomp:) echo $key$value;; esac; done </proc/self/status"
)


def status(engine: Engine, **options: Any) -> dict[str, int]:
    pairs = (line.split(":") for line in said(engine, STATUS, **options).split())
    return {key: int(value, 16) for key, value in pairs}


def test_the_kernel_is_told(real: Engine) -> None:
    usual = status(real)
    assert usual["CapPrm"] == usual["CapEff"] == usual["CapBnd"] == mask(DEFAULT)
    assert (usual["CapInh"], usual["CapAmb"], usual["NoNewPrivs"], usual["Seccomp"]) == (0, 0, 0, 2)
    few = status(real, cap_drop=["ALL"], cap_add=["KILL"], security_opt=["no-new-privileges", "seccomp=unconfined"])
    assert few["CapPrm"] == few["CapEff"] == few["CapBnd"] == mask(["CAP_KILL"])
    assert (few["NoNewPrivs"], few["Seccomp"]) == (1, 0)
    assert status(real, cap_add=["ALL"], cap_drop=["MKNOD"])["CapEff"] & mask(["CAP_MKNOD", "CAP_NET_ADMIN"]) == 1 << 12


def test_a_user_has_none_but_the_bound_stays(real: Engine) -> None:
    if os.geteuid():
        pytest.skip("only root may become others")
    user = status(real, user="1000")
    assert (user["CapEff"], user["CapPrm"], user["CapBnd"]) == (0, 0, mask(DEFAULT))


def test_one_more_program_has_what_the_container_has_or_with_privileged_all(real: Engine) -> None:
    container = real.containers.run(BASE, "sleep 100", detach=True, cap_drop=["CHOWN"])
    own = container.exec_run(["sh", "-c", STATUS]).output.decode()
    assert f"CapEff:{mask(set(DEFAULT) - {'CAP_CHOWN'}):016x}" in own
    more = container.exec_run(["sh", "-c", STATUS], privileged=True).output.decode()
    assert int(more.split("CapEff:")[1].split()[0], 16) & mask(["CAP_SYS_ADMIN", "CAP_CHOWN"]) == 1 << 21 | 1
    assert "Seccomp:2" in more, "the policy is the container's"


# Security options


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("foo", 'invalid --security-opt 1: "foo"'),
        ("foo=bar", 'invalid --security-opt 2: "foo=bar"'),
        ("no-new-privileges=bla", 'invalid --security-opt 2: "no-new-privileges=bla"'),
        ("no-new-privileges:", 'invalid --security-opt 2: "no-new-privileges:"'),
        ("systempaths=foo", 'invalid --security-opt 2: "systempaths=foo"'),
        ("credentialspec=x", 'invalid --security-opt 2: "credentialspec=x"'),
    ],
)
def test_unknown_security_options_are_refused_in_dockers_words(option: str, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        privilege.host_config({"security_opt": [option]})


@pytest.mark.parametrize(
    "option",
    "apparmor=unconfined apparmor:docker-default label=disable label:type:x seccomp=unconfined seccomp:builtin".split(),
)
def test_what_docker_takes_without_apparmor_and_selinux_is_taken(option: str) -> None:
    assert privilege.host_config({"security_opt": [option]})["SecurityOpt"] == [option]


@pytest.mark.parametrize(
    ("option", "on"),
    [
        *((option, True) for option in ("no-new-privileges", "no-new-privileges:true", "no-new-privileges=1")),
        *((option, False) for option in ("no-new-privileges:false", "no-new-privileges=0", "label=disable")),
    ],
)
def test_no_new_privileges(option: str, on: bool) -> None:
    assert boxed(security_opt=[option]).no_new_privileges is on


def test_the_paths_that_are_hidden_can_be_shown() -> None:
    found = privilege.host_config({"security_opt": ["systempaths=unconfined"]})
    assert (found["MaskedPaths"], found["ReadonlyPaths"], found["SecurityOpt"]) == ([], [], None)
    assert boxed(security_opt=["systempaths=unconfined"]).unmasked
    usual = privilege.host_config({})
    assert (usual["MaskedPaths"], usual["ReadonlyPaths"]) == ([*MASKED], [*READ_ONLY])
    assert not boxed().unmasked


def test_a_privileged_container_has_it_all() -> None:
    found = privilege.host_config({"privileged": True, "cap_drop": ["ALL"]})
    assert (found["Privileged"], found["MaskedPaths"], found["SecurityOpt"]) == (True, None, ["label=disable"])
    security = boxed(privileged=True, cap_drop=["ALL"])
    assert (set(security.capabilities), security.seccomp, security.unmasked) == (set(ALL), "unconfined", True)


def test_a_privileged_container_may_mount_and_has_the_devices(real: Engine) -> None:
    script = "mount -t tmpfs x /mnt && echo mounted; [ -w /proc/sys/kernel/domainname ] && echo open; ls /dev"
    found = said(real, script, privileged=True).split()
    assert found[:2] == ["mounted", "open"]
    assert {path.name for path in Path("/dev").iterdir() if path.is_char_device()} - {"console"} <= {*found}


def test_a_profile_of_ones_own_is_followed(real: Engine) -> None:
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}
    profile = json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]})
    assert "No space left" in said(real, "mkdir /x 2>&1; true", security_opt=[f"seccomp={profile}"])
    with pytest.raises(StartError, match="Decoding seccomp profile failed"):
        said(real, "true", security_opt=["seccomp={"])


@pytest.mark.parametrize(
    "options",
    [
        *({"privileged": True}, {"cap_add": ["NET_ADMIN"]}, {"cap_drop": ["ALL"]}, {"devices": ["/dev/null"]}),
        {"security_opt": ['seccomp={"defaultAction":"SCMP_ACT_ALLOW"}']},
    ],
)
def test_the_simulated_runtime_refuses_what_only_a_kernel_does(engine: Engine, options: dict[str, Any]) -> None:
    if engine.containers.runtime.name != "simulated":
        pytest.skip("this is a real one")
    with pytest.raises(Unsupported, match="the simulated runtime does not have"):
        said(engine, "true", **options)


# Devices


def test_devices_are_written_down_as_by_docker() -> None:
    found = devices.host_config({"devices": ["/dev/kvm", "/dev/fuse:/dev/f", "/dev/tty:r", "/dev/null:/dev/n:rw"]})
    rows = [tuple(each.values()) for each in found["Devices"]]
    assert rows == [
        ("/dev/kvm", "/dev/kvm", "rwm"),
        ("/dev/fuse", "/dev/f", "rwm"),
        ("/dev/tty", "/dev/tty", "r"),
        ("/dev/null", "/dev/n", "rw"),
    ]


@pytest.mark.parametrize("device", ["/dev/null:/x:rwmz", "dev/null", "/dev/null:/x:rr", ""])
def test_a_bad_device_is_refused(device: str) -> None:
    with pytest.raises(InvalidArgument):
        devices.host_config({"devices": [device]})


def test_graphics_cards_are_refused_in_dockers_words() -> None:
    with pytest.raises(Unsupported, match=r'could not select device driver "" with capabilities: \[\[gpu\]\]'):
        devices.host_config({"device_requests": [{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}]})


def test_a_device_appears_under_its_name(real: Engine) -> None:
    assert said(real, "head -c 2 /dev/nothing | od -An -c", devices=["/dev/zero:/dev/nothing"]).split() == [
        "\\0",
        "\\0",
    ]


@pytest.mark.parametrize(
    ("path", "why"), [("/dev/nonexistent", "no such file or directory"), ("/etc/passwd", "not a device node")]
)
def test_what_is_no_device_is_refused_in_dockers_words(real: Engine, path: str, why: str) -> None:
    words = f'error gathering device information while adding custom device "{path}": {why}'
    with pytest.raises(StartError, match=words):
        said(real, "true", devices=[path])


# File systems in memory


@pytest.mark.parametrize(
    ("options", "flags", "data", "read_only"),
    [
        ("", "nodev noexec nosuid", "", False),
        ("exec,suid,dev", "", "", False),
        ("rw,ro", "nodev noexec nosuid", "", True),
        ("ro,rw,size=1m,mode=700,uid=5", "nodev noexec nosuid", "size=1m,mode=700,uid=5", False),
        ("exec,noexec,noatime,defaults", "noatime nodev noexec nosuid", "", False),
    ],
)
def test_tmpfs_takes_the_options_of_mount(options: str, flags: str, data: str, read_only: bool) -> None:
    found = mounts.tmpfs("/x", options)
    assert (" ".join(found.flags), found.options, found.read_only) == (flags, data, read_only)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"tmpfs": {"/x": "foo"}}, r'invalid tmpfs option \["foo"\]'),
        ({"tmpfs": {"/x": "foo=1"}}, r'invalid tmpfs option \["foo" "1"\]'),
        ({"tmpfs": ["x"]}, "invalid mount path: 'x' mount path must be absolute"),
        ({"tmpfs": ["/"]}, "invalid specification: destination can't be '/'"),
        ({"mounts": [mount("/x", "/y", "tmpfs")]}, 'type "tmpfs": field Source must not be specified'),
        ({"mounts": [mount("/x", "/nonexistent", "bind")]}, "bind source path does not exist: /nonexistent"),
        ({"mounts": [{"Type": "foo", "Target": "/x"}]}, 'invalid mount config for type "foo": mount type unknown'),
        ({"mounts": [{"Type": "bind", "Target": "/x"}]}, "field Source must not be empty"),
        ({"mounts": [{"Type": "tmpfs"}]}, "field Target must not be empty"),
        ({"shm_size": "abc"}, "invalid size: 'abc'"),
        ({"shm_size": -1}, "SHM size can not be less than 0"),
    ],
)
def test_bad_mounts_are_refused_in_dockers_words(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        mounts.host_config(given)


def test_mounts_that_move_are_refused_by_name() -> None:
    with pytest.raises(Unsupported, match="rshared"):
        mounts.host_config({"mounts": [mount("/x", "/etc", "bind", BindOptions={"Propagation": "rshared"})]})


def test_what_is_asked_for_is_what_inspect_shows(engine: Engine) -> None:
    made = engine.containers.create(
        BASE,
        "true",
        tmpfs={"/run": "size=1m"},
        shm_size="1m",
        mounts=[mount("/m", None, "tmpfs", TmpfsOptions={"SizeBytes": 2 << 20})],
    )
    host = made.attrs["HostConfig"]
    assert (host["Tmpfs"], host["ShmSize"]) == ({"/run": "size=1m"}, 1 << 20)
    assert host["Mounts"][0]["TmpfsOptions"] == {"SizeBytes": 2 << 20}
    shown = {"Type": "tmpfs", "Source": "", "Destination": "/m", "Mode": "", "RW": True, "Propagation": ""}
    assert made.attrs["Mounts"] == [shown]


def test_memory_is_mounted(real: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("from the host")
    options = {
        "tmpfs": {"/run": "size=1m,mode=700,exec", "/tmp": ""},
        "shm_size": "2m",
        "mounts": [mount("/m", None, "tmpfs", ReadOnly=True), mount("/h", str(tmp_path), "bind", ReadOnly=True)],
        "read_only": True,
    }
    lines = said(real, "cat /proc/self/mountinfo", **options).splitlines()
    found = {line.split()[4]: f"{line.split()[5]} {line.split()[-1]}" for line in lines}
    assert "nosuid,nodev,relatime" in found["/run"]
    assert "size=1024k,mode=700" in found["/run"]
    assert "noexec" in found["/tmp"]
    assert "mode=777" not in found["/tmp"]
    assert "size=2048k" in found["/dev/shm"]
    assert found["/m"].startswith("ro,nosuid,nodev,noexec")
    assert found["/h"].startswith("ro,")
    assert found["/etc/hosts"].startswith("ro,"), "with --read-only these are, too"
    script = "cat /h/file; touch /h/x || touch /x || touch /m/x || touch /run/x /tmp/x /dev/shm/x && echo ' written'"
    assert said(real, f"({script}) 2>/dev/null", **options) == "from the host written\n"
