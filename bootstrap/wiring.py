"""Settings and the user's access become adapters; the only module that names adapter classes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from platformdirs import user_log_path

from bootstrap.adapters.bundle_file import BundleFile
from bootstrap.adapters.clock import SystemClock
from bootstrap.adapters.ec2 import AwsClients, Ec2InstanceStore, open_session
from bootstrap.adapters.kubernetes_api import KubernetesApi, client_from_kubeconfig
from bootstrap.adapters.playbooks import AnsiblePlaybookRunner
from bootstrap.adapters.processes import LocalProcesses
from bootstrap.adapters.state_store import S3StateStore
from bootstrap.adapters.winrm_shell import WinRmShell
from bootstrap.config import Settings
from bootstrap.engine import gather
from bootstrap.engine.adding import Action, ChoicesOf, Preparation
from bootstrap.engine.evidence import Collector
from bootstrap.engine.gather import Ports
from bootstrap.engine.joining import HostVariables, NodeTokens
from bootstrap.engine.machine import MachineTimeouts
from bootstrap.engine.proving import ProofTimeouts
from bootstrap.engine.validate import Validator
from bootstrap.engine.waiting import Waiter
from bootstrap.errors import AccessError, UsageError
from bootstrap.model.cluster import ClusterFacts, ClusterName, StoreFacts
from bootstrap.model.finding import Finding
from bootstrap.model.kubernetes import PodFacts
from bootstrap.model.node import (
    DesiredNode,
    ImageFacts,
    KubeNodeName,
    NodeRequest,
    ObservedInstance,
    ObservedNode,
    WindowsRelease,
)
from bootstrap.model.registries import Registries, RegistryMirror
from bootstrap.model.secret import Secret
from bootstrap.planning import (
    artifacts,
    choosing,
    hostvars,
    node_config,
    support,
    userdata,
    validation,
)
from bootstrap.planning.checks import ClusterView
from bootstrap.planning.desired import Choices
from bootstrap.resources import data_path

USER_DATA_SCRIPT = "Enable-WinRmTls.ps1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How the user reaches AWS and the cluster; '' means the default places."""

    profile: str = ""
    kubeconfig: str = ""
    context: str = ""
    private_key: Path | None = None
    verbosity: int = 0

    def key(self) -> Secret:
        """Read the private key; AccessError when it cannot be read."""
        if self.private_key is None:
            return Secret("")
        try:
            return Secret(self.private_key.expanduser().read_text(encoding="ascii"))
        except (OSError, UnicodeDecodeError) as exc:
            raise AccessError(
                f"the private key cannot be read: {exc}",
                target=str(self.private_key),
                fix="give the file of the cluster's RSA key",
                command="bootstrap ... --private-key ~/.ssh/id_rsa",
            ) from exc


def store_facts(settings: Settings, access: Access) -> StoreFacts:
    """Read the cluster from its state store."""
    session = open_session(access.profile, settings.region or _bucket_region())
    store = S3StateStore.from_session(session, settings.state)
    return gather.store_facts(ClusterName(settings.cluster), store)


def _bucket_region() -> str:
    # S3 leads requests to the bucket's own region; any region serves to ask.
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


@cache
def _cached_store(settings: Settings, access: Access) -> StoreFacts:
    return store_facts(settings, access)


def ports(settings: Settings, access: Access) -> Ports:
    """Build the ports of a cluster; nothing connects yet."""
    region = settings.region or _region_of(settings, access)
    session = open_session(access.profile, region)
    return Ports(
        state=S3StateStore.from_session(session, settings.state),
        instances=Ec2InstanceStore(AwsClients(session, region=region)),
        api=KubernetesApi(client_from_kubeconfig(access.kubeconfig, access.context)),
        processes=LocalProcesses(),
        clock=SystemClock(),
    )


def _region_of(settings: Settings, access: Access) -> str:
    """Return the region of the cluster's zones: ``eu-west-1a`` is in ``eu-west-1``."""
    # Pools are not hashable, and the store does not depend on them.
    store = _cached_store(replace(settings, pools=()), access)
    zone = next((s.zone for s in store.subnets if s.zone), "")
    return zone.rstrip("abcdefghijklmnopqrstuvwxyz") or _bucket_region()


def preparation(settings: Settings, access: Access) -> Preparation:
    """Build what decides."""
    return Preparation(
        ports=ports(settings, access),
        support=_support,
        choose=_chooser(settings),
        has_private_key=access.private_key is not None,
    )


def _support(store: StoreFacts, request: NodeRequest | None) -> tuple[Finding, ...]:
    windows = request.pool.windows if request else WindowsRelease.WS2019
    return support.refusals(store, windows=windows)


@cache
def shipped_catalog() -> artifacts.Catalog:
    files = sorted((data_path("config") / "artifacts").glob("*.yaml"))
    return artifacts.parse_catalog([file.read_text(encoding="utf-8") for file in files])


def _catalog_of(settings: Settings) -> artifacts.Catalog:
    """Return what ships, with the user's own artifacts."""
    return shipped_catalog().with_overrides(
        [
            artifacts.Artifact(
                name=item.name,
                version=item.version,
                url=item.url,
                algorithm=item.algorithm,
                checksum=item.checksum.lower(),
                source=artifacts.OVERRIDE,
            )
            for item in settings.artifacts.overrides
        ]
    )


def _registries(settings: Settings) -> Registries:
    """Read what nodes need for their registries; UsageError when the CA cannot be read."""
    given = settings.registries
    try:
        path = Path(given.ca_bundle).expanduser() if given.ca_bundle else None
        ca_pem = path.read_text(encoding="ascii") if path else ""
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(
            f"the CA of the registries cannot be read: {exc}",
            target=str(given.ca_bundle),
            fix="name a file of PEM certificates in registries.caBundle",
            command="bootstrap config show",
        ) from exc
    return Registries(
        mirrors=tuple(
            RegistryMirror(registry=item.registry, urls=item.urls) for item in given.mirrors
        ),
        proxy=given.proxy or "",
        no_proxy=given.no_proxy,
        ca_pem=ca_pem,
    )


def _chooser(settings: Settings) -> ChoicesOf:
    known = _catalog_of(settings)
    script = (data_path("scripts") / USER_DATA_SCRIPT).read_text(encoding="utf-8")
    payload = choosing.Payload(
        catalog=known, user_data=userdata.user_data(script), registries=_registries(settings)
    )

    def choose(
        request: NodeRequest, cluster: ClusterView, image: ImageFacts
    ) -> tuple[Choices, tuple[Finding, ...]]:
        server = cluster.identity.version
        return choosing.choose(request, cluster.facts, image, server, payload)

    return choose


def action(settings: Settings, access: Access, *, run_id: str) -> Action:
    """Build what acts."""
    refuse_unserved(settings)
    built = ports(settings, access)
    limits = settings.timeouts
    return Action(
        ports=built,
        shell=WinRmShell(),
        playbooks=AnsiblePlaybookRunner(
            data_path("playbooks"),
            user_log_path("bootstrap") / run_id,
            identity=built.processes.me(),
            is_alive=built.processes.is_alive,
            timeout_s=limits.playbook_s,
        ),
        host_variables=_host_variables(settings),
        private_key=access.key(),
        run_id=run_id,
        waiter=Waiter(clock=built.clock),
        machine_timeouts=MachineTimeouts(
            running_s=limits.launch_s,
            reachable_s=limits.reachable_s,
            password_s=limits.reachable_s,
        ),
        proof_timeouts=ProofTimeouts(registered_s=limits.join_s, ready_s=limits.join_s),
        verbosity=access.verbosity,
    )


def refuse_unserved(settings: Settings) -> None:
    """Refuse settings that the format knows and this version does not serve; never ignore them."""
    unserved = {
        "reach.via": settings.reach.via if settings.reach.via != "direct" else "",
        "credentials.kubernetes": (
            settings.credentials.kubernetes
            if settings.credentials.kubernetes != "kubeconfig"
            else ""
        ),
        "artifacts.caBundle": settings.artifacts.ca_bundle or "",
    }
    wrong = {key: value for key, value in unserved.items() if value}
    if wrong:
        raise UsageError(
            "this version of bootstrap does not serve these settings",
            evidence=", ".join(f"{key}: {value}" for key, value in wrong.items()),
            fix="leave them out",
            command="bootstrap config show",
        )


def _host_variables(settings: Settings) -> Callable[[ClusterFacts], HostVariables]:
    known, registries = _catalog_of(settings), _registries(settings)
    mirror, proxy = settings.artifacts.mirror or "", settings.artifacts.proxy or ""

    def of_cluster(facts: ClusterFacts) -> HostVariables:
        def variables(
            desired: DesiredNode,
            instance: ObservedInstance,
            name: KubeNodeName,
            tokens: NodeTokens,
        ) -> Mapping[str, object]:
            chosen = artifacts.artifact_set(
                known, desired.kubernetes_version, mirror, runtime=desired.runtime
            )
            inputs = node_config.inputs_of(desired, instance, name, tokens, facts, chosen)
            inputs = replace(inputs, proxy=proxy, registries=registries)
            return hostvars.host_variables(node_config.build(inputs))

        return variables

    return of_cluster


def validator(
    settings: Settings, access: Access, *, run_id: str, image: str, timeout_s: float | None
) -> Validator:
    """Build the validation of a cluster."""
    built = ports(settings, access)
    return Validator(
        api=built.api,
        waiter=Waiter(clock=built.clock),
        cluster=settings.cluster,
        run_id=run_id,
        image=image or validation.PROBE_IMAGE,
        timeout_s=timeout_s or settings.timeouts.validate_s,
    )


def collector(settings: Settings, access: Access, *, timeout_s: float | None) -> Collector:
    """Build what collects evidence of a node."""
    refuse_unserved(settings)
    built = ports(settings, access)
    script = data_path("scripts") / "Get-NodeState.ps1"
    return Collector(
        cluster=ClusterName(settings.cluster),
        instances=built.instances,
        api=built.api,
        shell=WinRmShell(),
        waiter=Waiter(clock=built.clock),
        private_key=access.key(),
        script=script.read_text(encoding="utf-8"),
        timeout_s=timeout_s or 30,
    )


def bundle_file(path: Path) -> BundleFile:
    """Return what writes a bundle; UsageError when it cannot be written there."""
    made = BundleFile(path)
    made.check()
    return made


def observed_nodes(settings: Settings, access: Access) -> tuple[ObservedNode, ...]:
    """Read every node of the cluster, ours first."""
    built = ports(settings, access)
    instances = built.instances.instances(ClusterName(settings.cluster))
    return gather.observed_nodes(instances, built.api.nodes())


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDetails:
    """Everything known of one node; ``node`` is None when there is none of that name."""

    node: ObservedNode | None
    known: tuple[str, ...]
    pods: tuple[PodFacts, ...] = ()
    findings: tuple[Finding, ...] = ()


def node_details(settings: Settings, access: Access, name: str) -> NodeDetails:
    """Read one node by its name here, its name in Kubernetes, or its instance id."""
    built = ports(settings, access)
    instances = built.instances.instances(ClusterName(settings.cluster))
    nodes = built.api.nodes()
    found = gather.observed_nodes(instances, nodes)
    known = tuple(node.name for node in found)
    chosen = next((node for node in found if name in gather.names_of(node)), None)
    if chosen is None or chosen.kube is None:
        return NodeDetails(node=chosen, known=known)
    pods = built.api.pods(field_selector=f"spec.nodeName={chosen.kube.name}")
    view = validation.NodesView(nodes=nodes, pods=pods, identity=built.api.identity())
    judged = validation.node_checks(view, settings.cluster)
    findings = tuple(
        item for check in judged for item in check.findings if item.target == chosen.kube.name
    )
    return NodeDetails(node=chosen, known=known, pods=pods, findings=findings)
