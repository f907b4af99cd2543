"""dockerd.exe: flags and daemon.json checked as the real one does, then its pipe.

Sources: moby ``cmd/dockerd/config.go``, ``config_windows.go``, ``service_windows.go`` (flags of
Windows), ``daemon/config/config.go`` (each key of the file has to be a flag's name and may not be
given twice).
"""

from __future__ import annotations

import codecs
import json

from bootstrap.sandbox.windows_host.agents.command_line import FlagError, parse_pflags, words
from bootstrap.sandbox.windows_host.agents.files import FileRefused
from bootstrap.sandbox.windows_host.agents.machine import Invocation, missing_file
from bootstrap.sandbox.windows_host.agents.runtime import DOCKER_PIPE, RuntimeView

DEFAULT_CONFIG = r"C:\ProgramData\docker\config\daemon.json"
_BOTH = words("""
    authorization-plugins bridge containerd containerd-namespace containerd-plugins-namespace
    data-root debug default-runtime experimental fixed-cidr group log-level
    max-concurrent-downloads max-concurrent-uploads max-download-attempts metrics-addr mtu
    network-control-plane-mtu pidfile raw-logs shutdown-timeout storage-driver
    swarm-default-advertise-addr tls tlscacert tlscert tlskey tlsverify
    """)
_FILE_ONLY = words("""
    builder deprecated-key-path dns dns-opts dns-search exec-opts features hosts
    insecure-registries labels log-driver log-opts node-generic-resources registry-mirrors runtimes
    storage-opts
    """)
"""Lists and maps; their flags have other names (``--host``, ``--log-opt``)."""
_FLAG_ONLY = words("""
    config-file dns dns-option dns-search exec-opt host insecure-registry label log-driver log-opt
    registry-mirror register-service run-service service-name storage-opt unregister-service
    """)
_BOOLEANS = words("""
    debug experimental raw-logs register-service run-service tls tlsverify unregister-service
    """)
_PROXIES_SINCE = 23
_BOM_SINCE = 23
_START_S = 3.0


def run(invocation: Invocation) -> int:
    """Run dockerd until it is told to stop; exit code 1 when it refuses flags or file."""
    version = invocation.machine.program_version(invocation.executable)
    try:
        _check(invocation, int(version.split(".")[0]))
    except (FlagError, FileRefused) as error:
        invocation.log(f"dockerd: {error}")
        return 1
    if invocation.pause(_START_S):
        return 0
    view = RuntimeView(name="docker", version=version, pipe=DOCKER_PIPE, has_cri=False, cni_api=1)
    invocation.machine.listen(DOCKER_PIPE, view)
    invocation.log("API listen on //./pipe/docker_engine")
    try:
        invocation.stop.wait()
    finally:
        invocation.machine.listen(DOCKER_PIPE, None)
    return 0


def _check(invocation: Invocation, major: int) -> None:
    flags = parse_pflags(invocation.arguments, known=_BOTH | _FLAG_ONLY, booleans=_BOOLEANS)
    path = flags.get("config-file", DEFAULT_CONFIG)
    content = invocation.machine.read(path)
    if content is None:
        if "config-file" in flags:
            raise FileRefused(
                f"unable to configure the Docker daemon with file {path}: {missing_file(path)}"
            )
        return
    try:
        _check_file(content, flags, major)
    except FileRefused as error:
        raise FileRefused(
            f"unable to configure the Docker daemon with file {path}: {error}"
        ) from error


def _check_file(content: bytes, flags: dict[str, str], major: int) -> None:
    config = _json(content, major)
    known = _BOTH | _FILE_ONLY | (frozenset({"proxies"}) if major >= _PROXIES_SINCE else set())
    unknown = sorted(set(config) - known)
    if unknown:
        raise FileRefused(
            f"the following directives don't match any configuration option: {', '.join(unknown)}"
        )
    twice = sorted(set(config) & set(flags))
    if twice:
        shown = ", ".join(f"{k}: (from flag: {flags[k]}, from file: {config[k]})" for k in twice)
        raise FileRefused(
            "the following directives are specified both as a flag and in the configuration file:"
            f" {shown}"
        )
    options = config.get("log-opts", {})
    if not isinstance(options, dict) or not all(isinstance(v, str) for v in options.values()):
        raise FileRefused("json: cannot unmarshal into Go struct field Config.log-opts")


def _json(content: bytes, major: int) -> dict[str, object]:
    if content.startswith(codecs.BOM_UTF8):
        if major < _BOM_SINCE:
            raise FileRefused("invalid character 'ï' looking for beginning of value")
        content = content[3:]
    try:
        config = json.loads(content)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise FileRefused(f"invalid character: {error}") from error
    if not isinstance(config, dict):
        raise FileRefused("json: cannot unmarshal into Go value of type map[string]interface {}")
    return config
