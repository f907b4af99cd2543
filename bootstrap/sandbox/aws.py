"""The sandbox's AWS: moto's server in a thread, with the account of a kops store in it."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import BaseWSGIServer, make_server

from bootstrap.sandbox import aws_moto, aws_names
from bootstrap.sandbox.addresses import AddressMap
from bootstrap.sandbox.aws_account import Account
from bootstrap.sandbox.aws_ec2 import Ec2Additions, EventKind
from bootstrap.sandbox.aws_gateway import FaultRule, Gateway
from bootstrap.sandbox.aws_replay import replay
from bootstrap.sandbox.errors import StartError
from bootstrap.sandbox.store import StoreDirectory

__all__ = ["AwsWorld", "EventKind", "FaultRule", "Instance", "InstanceEvent"]

_ONE_WORLD = threading.Lock()
"""moto's state is global, so a second world in one process would be the first one."""

_STOP_S = 10.0
"""A listener may be busy when the world stops; longer than this nobody waits for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """An EC2 instance as the rest of the sandbox sees it."""

    instance_id: str
    state: str
    private_ip: str
    private_dns: str
    """``ip-127-20-0-4.eu-west-1.compute.internal``, or ``i-....eu-west-1.compute.internal``."""
    public_ip: str
    zone: str
    subnet_id: str
    instance_type: str
    image_id: str
    image_name: str
    is_windows: bool
    launched_at: str
    """RFC 3339, UTC."""
    user_data: str
    """Clear text, '' when there is none or it is binary."""
    tags: Mapping[str, str]

    @property
    def is_control_plane(self) -> bool:
        """Tell whether kops made it for the control plane."""
        return "k8s.io/role/master" in self.tags or "k8s.io/role/control-plane" in self.tags

    @property
    def is_bastion(self) -> bool:
        """Tell whether it is kops' bastion."""
        return "k8s.io/role/bastion" in self.tags


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceEvent:
    """Something happened to an instance; ``instance`` shows it afterwards."""

    kind: EventKind
    instance: Instance


class AwsWorld:
    """One AWS account in one region; only one world can be up in a process.

    ``key_pem`` is the RSA private key that stands for the cluster's key pair. ``pending_s`` is how
    long a launched or started instance stays ``pending``.
    """

    def __init__(
        self,
        store: StoreDirectory,
        address_map: AddressMap,
        key_pem: str,
        *,
        port: int = 0,
        pending_s: float = 0.0,
    ) -> None:
        self._store = store
        self._address_map = address_map
        self._public_key = _openssh(key_pem)
        self._port = port
        self._pending_s = pending_s
        self._gateway = Gateway(DomainDispatcherApplication(create_backend_app))
        self._listeners: list[Callable[[InstanceEvent], None]] = []
        self._events: queue.SimpleQueue[tuple[EventKind, str, float] | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._server: BaseWSGIServer | None = None
        self._account: Account | None = None
        self._additions: Ec2Additions | None = None

    def start(self) -> None:
        """Replay the store and serve it; StartError when another world is up in this process."""
        if not _ONE_WORLD.acquire(blocking=False):
            raise StartError("another sandbox AWS runs in this process")
        try:
            self._build()
        except BaseException:
            _ONE_WORLD.release()
            raise

    def stop(self) -> None:
        """Stop serving; a second call does nothing."""
        if self._server is None:
            return
        self._stopping.set()
        self._events.put(None)
        self._server.shutdown()
        for thread in self._threads:
            thread.join(_STOP_S)
        self._server.server_close()
        self._server = None
        aws_moto.forget_everything()
        _ONE_WORLD.release()

    @property
    def url(self) -> str:
        """The endpoint of every service (``AWS_ENDPOINT_URL``)."""
        if self._server is None:
            raise StartError("the sandbox's AWS is not started")
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    @property
    def region(self) -> str:
        """The store's region."""
        return self._store.region

    def on_instance(self, listener: Callable[[InstanceEvent], None]) -> None:
        """Call ``listener`` for each event, in order, in one thread of the world's."""
        self._listeners.append(listener)

    def instances(self) -> list[Instance]:
        """List every instance, terminated ones too, oldest first."""
        with self._gateway.lock:
            ec2 = self._started()[0].ec2
            return [_instance(ec2, instance) for instance in ec2.all_instances()]

    def instance(self, instance_id: str) -> Instance:
        """Look one instance up; KeyError when there is none."""
        for instance in self.instances():
            if instance.instance_id == instance_id:
                return instance
        raise KeyError(instance_id)

    def append_console(self, instance_id: str, text: str) -> None:
        """Write to the console that GetConsoleOutput shows."""
        self._gateway.append_console(instance_id, text)

    def set_password(self, instance_id: str, password: str) -> None:
        """Let GetPasswordData show a password from now on, encrypted to the key pair."""
        with self._gateway.lock:
            self._started()[1].set_password(instance_id, password)

    def fail_instance(
        self,
        instance_id: str,
        code: str = "Server.InternalError",
        message: str = "Server.InternalError: Internal error on launch",
    ) -> None:
        """Terminate an instance for a reason of AWS' own."""
        with self._gateway.lock:
            self._started()[1].fail(instance_id, code, message)

    def resolve(self, name: str) -> list[str]:
        """Resolve a name as inside the VPC; [] when nothing knows it."""
        with self._gateway.lock:
            account = self._started()[0]
            zones = aws_moto.route53().zones.values()
            return aws_names.resolve(name, zones, account.own_addresses)

    def api_addresses(self) -> list[str]:
        """Private addresses with the Kubernetes API on 443: control plane and its balancer."""
        with self._gateway.lock:
            return self._started()[0].api_addresses()

    def inject(self, rule: FaultRule) -> None:
        """Break calls that match the rule, before moto sees them."""
        self._gateway.inject(rule)

    def withdraw(self, name: str) -> None:
        """End the rule of that name."""
        self._gateway.withdraw(name)

    def request_counts(self) -> dict[str, int]:
        """Requests so far, by ``service.Action``."""
        with self._gateway.lock:
            return dict(self._gateway.counts)

    def _build(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        aws_moto.forget_everything()
        # Not through the gateway: these calls are nobody's, and must not be counted.
        app = DomainDispatcherApplication(create_backend_app)
        hostname_types = replay(self._store, self._address_map, self._public_key, app)
        account = Account(self._store, self._address_map, self._public_key)
        additions = Ec2Additions(account.ec2, self._publish)
        account.complete(additions, hostname_types)
        additions.install()
        aws_moto.validate_launches(on=True)
        self._account, self._additions = account, additions
        self._server = make_server(
            "127.0.0.1",
            self._port,
            self._gateway,
            threaded=True,
            request_handler=MotoRequestHandler,
        )
        self._run(self._server.serve_forever, "aws-server")
        self._run(self._deliver, "aws-events")

    def _run(self, target: Callable[[], Any], name: str) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _started(self) -> tuple[Account, Ec2Additions]:
        if self._account is None or self._additions is None:
            raise StartError("the sandbox's AWS is not started")
        return self._account, self._additions

    def _publish(self, kind: EventKind, instance_id: str) -> None:
        self._events.put((kind, instance_id, time.monotonic() + self._pending_s))

    def _deliver(self) -> None:
        while (event := self._events.get()) is not None:
            kind, instance_id, due = event
            if kind in (EventKind.LAUNCHED, EventKind.STARTED):
                if self._stopping.wait(max(0.0, due - time.monotonic())):
                    return
                with self._gateway.lock:
                    self._started()[1].mark_running(instance_id)
            self._tell(InstanceEvent(kind=kind, instance=self.instance(instance_id)))

    def _tell(self, event: InstanceEvent) -> None:
        for listener in list(self._listeners):
            try:
                listener(event)
            except Exception:
                # One host that cannot boot must not keep every later instance pending for ever.
                logging.getLogger(__name__).exception("a listener failed on %s", event)


def _openssh(key_pem: str) -> str:
    key = load_pem_private_key(key_pem.encode(), None)
    text = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return text.decode() + " sandbox"


def _instance(ec2: Any, instance: Any) -> Instance:
    image = ec2.amis.get(instance.image_id)
    return Instance(
        instance_id=instance.id,
        state=instance.state,
        private_ip=instance.private_ip,
        private_dns=instance.private_dns_name,
        public_ip=instance.public_ip or "",
        zone=instance.placement.zone,
        subnet_id=instance.subnet_id,
        instance_type=instance.instance_type,
        image_id=instance.image_id,
        image_name=image.name if image else "",
        is_windows=instance.platform == "windows",
        launched_at=instance.launch_time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        user_data=_clear_text(instance.user_data),
        tags={tag["key"]: tag["value"] for tag in instance.get_tags()},
    )


def _clear_text(user_data: Any) -> str:
    if not user_data:
        return ""
    try:
        return str(user_data.decode())
    except UnicodeDecodeError:
        return ""
