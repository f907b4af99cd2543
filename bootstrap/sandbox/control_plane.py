"""The real control plane of the sandbox: etcd, kube-apiserver, controller manager, scheduler.

Started with the CA and the ServiceAccount key of the state store, so that what joins here has
joined that cluster. Flags follow kops' ``nodeup/pkg/model/kube_{apiserver,controller_manager}.go``.
"""

from __future__ import annotations

import ctypes
import http.client
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

from bootstrap.sandbox.certificates import Authority
from bootstrap.sandbox.cluster_client import ApiClient
from bootstrap.sandbox.errors import StartError
from bootstrap.sandbox.programs import Binaries
from bootstrap.sandbox.store import StoreDirectory

LOCALHOST = "127.0.0.1"
_PR_SET_PDEATHSIG = 1
_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 10.0
_LIBC = ctypes.CDLL(None)

APISERVER, MANAGER, SCHEDULER, ETCD = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "etcd",
)
# What kops switches on beyond Kubernetes' defaults and today's API server still knows.
_ADMISSION = "NodeRestriction"
# Smaller heaps for collections more often: the sandbox has few objects and little memory.
_GO_ENVIRONMENT = {"GOGC": "50", "GOMEMLIMIT": "220MiB"}


class ControlPlane:
    """Four programs on loopback. The thread that starts it must outlive it."""

    def __init__(self, store: StoreDirectory, binaries: Binaries, work_dir: Path) -> None:
        self._store = store
        self._binaries = binaries
        self._work = work_dir
        self._authority = Authority(store.ca.certificate_pem, store.ca.private_key_pem)
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._etcd_port = 0
        self.port = 0
        self._admin: ApiClient | None = None

    @property
    def api_name(self) -> str:
        """The name that nodes and kubeconfigs expect in the server's certificate."""
        return f"api.internal.{self._store.cluster_name}"

    def start(self) -> None:
        """Start everything; returns when the API is ready. StartError has the end of the log."""
        self._work.mkdir(parents=True, exist_ok=True)
        self._etcd_port, peer, self.port, manager, scheduler = _free_ports(5)
        self._ports = {"peer": peer, MANAGER: manager, SCHEDULER: scheduler}
        self._write_files()
        for name in (ETCD, APISERVER):
            self.start_program(name)
        self._await_ready()
        for name in (MANAGER, SCHEDULER):
            self.start_program(name)

    def stop(self) -> None:
        """End everything, etcd last; a second call does nothing."""
        for name in (SCHEDULER, MANAGER, APISERVER, ETCD):
            self.stop_program(name)

    def start_program(self, name: str) -> None:
        """Start one program, unless it runs."""
        if name in self._children:
            return
        with (self._work / f"{name}.log").open("ab") as log:
            self._children[name] = subprocess.Popen(
                [str(self._binaries.path(name)), *self._flags(name)],
                cwd=self._work,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_GO_ENVIRONMENT if name != ETCD else {},
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - one system call
            )

    def stop_program(self, name: str) -> None:
        """End one program, unless it is down."""
        child = self._children.pop(name, None)
        if child is None:
            return
        child.terminate()
        try:
            child.wait(timeout=_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def admin_client(self) -> ApiClient:
        """Return a client with every right."""
        if self._admin is None:
            pair = self.issue("sandbox-admin", ("system:masters",))
            self._admin = self.client(pair)
        return self._admin

    def client(self, certificate: tuple[str, str]) -> ApiClient:
        """Return a client that speaks with a certificate."""
        ca = self._store.ca.certificate_pem
        address = (LOCALHOST, self.port)
        return ApiClient(address, self.api_name, ca, certificate=certificate)

    def issue(self, subject: str, organisations: Sequence[str]) -> tuple[str, str]:
        """Sign a client certificate with the cluster's CA; returns certificate and key, PEM."""
        return self._authority.issue(subject, organisations)

    def kubeconfig(self, server_url: str) -> str:
        """Return an administrator's kubeconfig as ``kops export kubeconfig --admin`` writes it."""
        name = self._store.cluster_name
        certificate, key = self.issue("kubecfg-sandbox", ("system:masters",))
        cluster = {
            "certificate-authority-data": _base64(self._store.ca.certificate_pem),
            "server": server_url,
            "tls-server-name": self.api_name,
        }
        user = {
            "client-certificate-data": _base64(certificate),
            "client-key-data": _base64(key),
        }
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": cluster}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
            "users": [{"name": name, "user": user}],
        }
        return yaml.safe_dump(document, sort_keys=False)

    # -- files and flags --
    def _write_files(self) -> None:
        store, name = self._store, self._store.cluster_name
        self._write("ca.crt", store.ca.certificate_pem)
        self._write("ca.key", store.ca.private_key_pem)
        self._write("service-account.key", store.service_account.private_key_pem)
        names = [
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
            f"api.{name}",
            self.api_name,
        ]
        service_ip = _first_address(store.service_cidr)
        server = self._authority.issue("kubernetes-master", (), names, (LOCALHOST, service_ip))
        self._write_pair("apiserver", server)
        self._write_pair("kubelet-api", self.issue("kubelet-api", ()))
        for program, user in (
            (MANAGER, "system:kube-controller-manager"),
            (SCHEDULER, "system:kube-scheduler"),
        ):
            self._write_pair(program, self.issue(user, ()))
            self._write(f"{program}.kubeconfig", self._program_kubeconfig(program))

    def _program_kubeconfig(self, program: str) -> str:
        cluster = {
            "server": f"https://{LOCALHOST}:{self.port}",
            "certificate-authority": str(self._work / "ca.crt"),
        }
        user = {
            "client-certificate": str(self._work / f"{program}.crt"),
            "client-key": str(self._work / f"{program}.key"),
        }
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": user}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "c",
        }
        return yaml.safe_dump(document)

    def _write_pair(self, name: str, pair: tuple[str, str]) -> None:
        self._write(f"{name}.crt", pair[0])
        self._write(f"{name}.key", pair[1])

    def _write(self, name: str, text: str) -> None:
        path = self._work / name
        path.touch(mode=0o600)
        path.write_text(text, encoding="ascii")

    def _flags(self, name: str) -> list[str]:
        flags = {
            ETCD: self._etcd_flags,
            APISERVER: self._apiserver_flags,
            MANAGER: self._manager_flags,
            SCHEDULER: self._scheduler_flags,
        }[name]()
        return [f"--{key}={value}" for key, value in flags.items()]

    def _etcd_flags(self) -> dict[str, object]:
        client = f"http://{LOCALHOST}:{self._etcd_port}"
        peer = f"http://{LOCALHOST}:{self._ports['peer']}"
        return {
            "data-dir": self._work / "etcd",
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"default={peer}",
            "unsafe-no-fsync": "true",
            "log-level": "error",
        }

    def _apiserver_flags(self) -> dict[str, object]:
        issuer = f"https://{self.api_name}"
        work = self._work
        return {
            "etcd-servers": f"http://{LOCALHOST}:{self._etcd_port}",
            "bind-address": LOCALHOST,
            "secure-port": self.port,
            "tls-cert-file": work / "apiserver.crt",
            "tls-private-key-file": work / "apiserver.key",
            "client-ca-file": work / "ca.crt",
            "service-cluster-ip-range": self._store.service_cidr,
            "service-account-key-file": work / "service-account.key",
            "service-account-signing-key-file": work / "service-account.key",
            "service-account-issuer": issuer,
            "api-audiences": "kubernetes.svc.default",
            "authorization-mode": "Node,RBAC",
            "enable-admission-plugins": _ADMISSION,
            "kubelet-client-certificate": work / "kubelet-api.crt",
            "kubelet-client-key": work / "kubelet-api.key",
            "kubelet-preferred-address-types": "InternalIP,Hostname,ExternalIP",
            "endpoint-reconciler-type": "none",
            "allow-privileged": "true",
            "anonymous-auth": "false",
            "v": "1",
        }

    def _manager_flags(self) -> dict[str, object]:
        work = self._work
        return {
            "kubeconfig": work / f"{MANAGER}.kubeconfig",
            "authentication-kubeconfig": work / f"{MANAGER}.kubeconfig",
            "authorization-kubeconfig": work / f"{MANAGER}.kubeconfig",
            "bind-address": LOCALHOST,
            "secure-port": self._ports[MANAGER],
            "leader-elect": "false",
            "allocate-node-cidrs": "true",
            "cluster-cidr": self._store.pod_cidr,
            "service-cluster-ip-range": self._store.service_cidr,
            "cluster-name": self._store.cluster_name,
            "cluster-signing-cert-file": work / "ca.crt",
            "cluster-signing-key-file": work / "ca.key",
            "root-ca-file": work / "ca.crt",
            "service-account-private-key-file": work / "service-account.key",
            "use-service-account-credentials": "true",
            # It makes an account and a token for every controller at its start; the default of
            # 20 requests a second makes that take 3 s longer.
            "kube-api-qps": "300",
            "kube-api-burst": "600",
            "v": "1",
        }

    def _scheduler_flags(self) -> dict[str, object]:
        kubeconfig = self._work / f"{SCHEDULER}.kubeconfig"
        return {
            "kubeconfig": kubeconfig,
            "authentication-kubeconfig": kubeconfig,
            "authorization-kubeconfig": kubeconfig,
            "bind-address": LOCALHOST,
            "secure-port": self._ports[SCHEDULER],
            "leader-elect": "false",
            "v": "1",
        }

    # -- readiness --
    def _await_ready(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        context = ssl.create_default_context(cadata=self._store.ca.certificate_pem)
        certificate = self._work / "kubelet-api.crt"
        context.load_cert_chain(certificate, self._work / "kubelet-api.key")
        while time.monotonic() < deadline:
            for name, child in self._children.items():
                if child.poll() is not None:
                    raise self._start_error(name, f"ended with {child.returncode}")
            if self._is_ready(context):
                return
            time.sleep(0.05)
        raise self._start_error(APISERVER, f"was not ready after {_START_TIMEOUT_S:.0f} s")

    def _is_ready(self, context: ssl.SSLContext) -> bool:
        connection = http.client.HTTPSConnection(LOCALHOST, self.port, timeout=5, context=context)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def _start_error(self, name: str, what: str) -> StartError:
        log = self._work / f"{name}.log"
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        return StartError(f"{name} {what}", target=str(log), evidence="\n".join(lines[-5:]))


def _end_with_parent() -> None:
    """In the child: die when the thread that started it does, even by SIGKILL."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))


def _free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on at this moment; all are held until the last is found."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((LOCALHOST, 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _first_address(cidr: str) -> str:
    import ipaddress

    return str(ipaddress.ip_network(cidr)[1])


def _base64(text: str) -> str:
    import base64

    return base64.b64encode(text.encode()).decode()
