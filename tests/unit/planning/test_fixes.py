"""What preflight offers to mend, and what it says about the price."""

from __future__ import annotations

from dataclasses import replace

from bootstrap.planning.checks import View
from bootstrap.planning.fixes import (
    RestartFlannel,
    SelectLinux,
    SetFlannelNetConf,
    describe,
    fixes,
)
from tests.unit.planning import builders as make
from tests.unit.planning.test_checks import DAEMON_SET, cluster


def test_a_cluster_that_serves_needs_no_fix() -> None:
    assert list(fixes(View(cluster=cluster()))) == []


def test_kops_own_flannel_gets_another_net_conf() -> None:
    found = make.flannel({"Type": "vxlan"})
    (fix,) = fixes(View(cluster=cluster(flannel=found)))
    assert isinstance(fix, SetFlannelNetConf)
    assert fix.net_conf["Backend"] == {"Type": "vxlan", "VNI": 4096, "Port": 4789}


def test_flannel_that_was_configured_but_not_restarted_is_restarted() -> None:
    behind = (make.kube_node(9, os="linux", vni=1),)
    assert list(fixes(View(cluster=cluster(nodes=behind)))) == [
        RestartFlannel(flannel=make.flannel())
    ]


def test_another_backend_is_not_touched() -> None:
    assert list(fixes(View(cluster=cluster(flannel=make.flannel({"Type": "host-gw"}))))) == []
    assert list(fixes(View(cluster=cluster(flannel=None)))) == []


def test_each_daemon_set_that_would_land_on_windows_gets_a_selector() -> None:
    plain = replace(DAEMON_SET, namespace="logs", name="shipper", priority_class="")
    found = list(fixes(View(cluster=cluster(daemon_sets=(DAEMON_SET, plain)))))
    assert found == [
        SelectLinux(namespace="kube-system", daemon_set="node-local-dns"),
        SelectLinux(namespace="logs", daemon_set="shipper"),
    ]


def test_a_change_of_net_conf_shows_before_and_after_and_what_it_costs() -> None:
    (fix,) = fixes(View(cluster=cluster(flannel=make.flannel({"Type": "vxlan"}))))
    text = "\n".join(describe(fix))
    assert '{"Type": "vxlan"} -> {"Port": 4789, "Type": "vxlan", "VNI": 4096}' in text
    assert "lose the network" in text
    assert "kops update cluster" in text


def test_every_fix_names_the_object_it_changes() -> None:
    assert describe(RestartFlannel(flannel=make.flannel()))[0] == (
        "DaemonSet/kube-flannel/kube-flannel-ds"
    )
    selected = describe(SelectLinux(namespace="logs", daemon_set="shipper"))
    assert selected == (
        "DaemonSet/logs/shipper",
        "  nodeSelector  + kubernetes.io/os=linux (rolls its pods)",
    )
