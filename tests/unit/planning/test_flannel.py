"""What Linux nodes do with a net-conf, and which one Windows can share."""

from __future__ import annotations

import pytest

from bootstrap.planning import flannel
from tests.unit.planning import builders as make


def test_kops_own_net_conf_means_vni_1_and_port_8472() -> None:
    found = make.flannel({"Type": "vxlan"})
    assert (flannel.vni(found), flannel.port(found)) == (1, 8472)


@pytest.mark.parametrize(
    "backend",
    [
        {"Type": "vxlan", "VNI": 4096, "Port": 4789},
        {"type": "VXLAN", "vni": 4096, "port": 4789},
        {"Type": "vxlan", "VNI": "4096", "Port": "4789"},
    ],
)
def test_windows_shares_vni_4096_and_port_4789_however_they_are_written(backend: dict) -> None:
    assert flannel.serves_windows(make.flannel(backend))


@pytest.mark.parametrize(
    "backend",
    [
        {},
        {"Type": "vxlan"},
        {"Type": "udp", "VNI": 4096, "Port": 4789},
        {"VNI": 4096, "Port": 4789},
        {"Type": "vxlan", "VNI": 4097, "Port": 4789},
        {"Type": "vxlan", "VNI": 4096, "Port": 8472},
        {"Type": "vxlan", "VNI": True, "Port": 4789},
        {"Type": "vxlan", "VNI": None, "Port": 4789},
        {"Type": "vxlan", "VNI": "many", "Port": 4789},
    ],
)
def test_windows_shares_nothing_else(backend: dict) -> None:
    assert not flannel.serves_windows(make.flannel(backend))


def test_the_mended_net_conf_serves_and_keeps_all_the_rest() -> None:
    found = make.flannel({"Type": "vxlan", "vni": 1, "PORT": 8472, "DirectRouting": True})
    assert flannel.for_windows(found) == {
        "Network": "100.64.0.0/10",
        "Backend": {"Type": "vxlan", "DirectRouting": True, "VNI": 4096, "Port": 4789},
    }


def test_a_node_tells_its_vni_and_end_point() -> None:
    node = make.kube_node(1)
    assert (flannel.node_vni(node), flannel.node_vtep(node)) == (4096, "0e:01")


@pytest.mark.parametrize("text", ["", "null", "[]", "no json", "{}"])
def test_a_node_that_has_announced_nothing_readable_has_neither(text: str) -> None:
    node = make.kube_node(1, annotations={flannel.BACKEND_DATA: text})
    assert (flannel.node_vni(node), flannel.node_vtep(node)) == (None, "")
    silent = make.kube_node(1, annotations={})
    assert (flannel.node_vni(silent), flannel.node_vtep(silent)) == (None, "")


def test_a_node_that_announces_no_vni_uses_linux_default() -> None:
    node = make.kube_node(1, annotations={flannel.BACKEND_DATA: '{"VtepMAC": "aa"}'})
    assert (flannel.node_vni(node), flannel.node_vtep(node)) == (1, "aa")
