"""containerd and kube-log-runner, started from command lines, on files of a playbook."""

from __future__ import annotations

from functools import partial

from bootstrap.sandbox.windows_host.agents import PROGRAMS, containerd, log_runner
from bootstrap.sandbox.windows_host.agents.machine import Invocation
from bootstrap.sandbox.windows_host.agents.runtime import CONTAINERD_PIPE
from tests.sandbox.windows_host.fake_machine import FakeMachine, Running, eventually

CONTAINERD = r"C:\Program Files\containerd\containerd.exe"


def say(invocation: Invocation) -> int:
    invocation.log(f"started with {' '.join(invocation.arguments)}")
    return 3


def test_containerd_opens_its_pipe_and_closes_it_when_it_stops():
    machine = FakeMachine(version="1.7.35")
    running = Running(machine, containerd.run, [CONTAINERD])
    eventually(lambda: machine.listening(CONTAINERD_PIPE))
    assert running.stopped() == 0
    assert machine.listening(CONTAINERD_PIPE) is None


def test_containerd_ends_when_its_configuration_is_missing_or_wrong():
    machine = FakeMachine(version="1.7.35")
    missing = Running(machine, containerd.run, [CONTAINERD, "--config", r"C:\no.toml"])
    assert missing.ended() == 1
    assert "The system cannot find the file specified." in missing.log
    machine.write(r"C:\v3.toml", b"version = 3\n")
    wrong = Running(machine, containerd.run, [CONTAINERD, "--config", r"C:\v3.toml"])
    assert wrong.ended() == 1
    assert "the max version is 2" in wrong.log


def test_log_runner_writes_the_programs_words_into_its_file():
    machine = FakeMachine(files={r"c:\k\say.exe": b""})
    command = [r"C:\k\kube-log-runner.exe", r"-log-file=C:\var\log\say.log"]
    run = partial(log_runner.run, programs={"say.exe": say})
    running = Running(machine, run, [*command, r"C:\k\say.exe", "--v=2"])
    assert running.ended() == 3
    assert machine.read(r"C:\var\log\say.log") == b"started with --v=2\n"
    assert running.lines == []


def test_log_runner_ends_when_the_program_is_not_there():
    run = partial(log_runner.run, programs={"say.exe": say})
    running = Running(FakeMachine(), run, [r"C:\k\kube-log-runner.exe", r"C:\k\say.exe"])
    assert running.ended() == 1
    assert "executable file not found" in running.log


def test_log_runner_knows_only_its_own_flags():
    run = partial(log_runner.run, programs={"say.exe": say})
    running = Running(FakeMachine(), run, [r"C:\k\kube-log-runner.exe", "--v=2", "x"])
    assert running.ended() == 2
    assert "flag provided but not defined: -v" in running.log


def test_service_host_ends_with_an_error_when_its_program_ends_well():
    # flanneld ends with exit code 0 for an unknown flag; only an error makes Windows restart it.
    machine = FakeMachine(files={r"c:\k\flanneld.exe": b""})
    command = [r"C:\k\service-host.exe", r"-log-file=C:\x.log", r"C:\k\flanneld.exe", "--nosuch"]
    assert Running(machine, PROGRAMS["service-host.exe"], command).ended() == 1
    assert b"flag provided but not defined" in (machine.read(r"C:\x.log") or b"")
