"""What the machine can do, tried and not guessed; and the choice, which a person may force."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from minidocker.runtime import probe

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux only")


@pytest.fixture(autouse=True)
def unforced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINIDOCKER_RUNTIME", raising=False)


def test_the_choice_follows_what_works() -> None:
    found = probe.report()
    assert probe.choose() == ("namespaces" if found.works else "simulated")
    assert probe.reason().startswith(probe.choose() + ":")


def test_a_person_may_force_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIDOCKER_RUNTIME", "simulated")
    assert probe.choose() == "simulated"
    assert probe.reason() == "simulated: because MINIDOCKER_RUNTIME says so"


def test_other_systems_are_simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    found = probe.report.__wrapped__()
    assert not found.works and "Linux" in found.reason and "WSL" in found.reason


@linux_only
def test_it_is_asked_only_once() -> None:
    assert probe.report() is probe.report()


@linux_only
def test_it_leaves_nothing(tmp_path: Path) -> None:
    probe.report.__wrapped__(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()


@linux_only
def test_beside_other_threads_a_fresh_interpreter_finds_the_same(tmp_path: Path) -> None:
    alone = probe.report.__wrapped__(tmp_path)
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        assert probe.report.__wrapped__(tmp_path) == alone
    finally:
        done.set()
        thread.join()


@linux_only
def test_a_folder_that_is_not_there_yet_is_tried_where_it_would_be(tmp_path: Path) -> None:
    assert probe.report.__wrapped__(tmp_path / "a" / "b").works == probe.report().works
    assert not (tmp_path / "a").exists()


@linux_only
@pytest.mark.skipif(os.geteuid() != 0 or not probe.report().works, reason="takes root, and user namespaces")
def test_a_machine_that_forbids_it_is_simulated_and_says_what_to_do() -> None:
    """In a user namespace that may have no further ones, and whose mounts are not ours, nothing works."""
    program = f"""
import os, sys
sys.path[:0] = {sys.path!r}
from minidocker.runtime import births, linux, overlay, probe
linux._libc()
child = linux.clone(linux.NEWUSER)
if child == 0:
    while not open("/proc/self/uid_map").read():
        pass
    open("/proc/sys/user/max_user_namespaces", "w").write("0")
    os.setresuid(65534, 65534, 65534)
    found = probe.report()
    print(found.works, found.reason, sep="|", flush=True)
    os._exit(0)
births.map_ids(child, "same")
os.waitpid(child, 0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.startswith("False|simulated: no user namespace here"), done.stderr
    assert "sudo sysctl user.max_user_namespaces=15000" in done.stdout
