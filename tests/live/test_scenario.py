"""The whole scenario on a real AWS account and kops cluster: ``pytest --live tests/live``.

It makes one EC2 instance (m5.xlarge unless BOOTSTRAP_LIVE_INSTANCE_TYPE says otherwise; about 0.4
USD an hour with its Windows licence and 100 GB of gp3) in the cluster of KOPS_CLUSTER_NAME and
KOPS_STATE_STORE, joins it, validates it, and terminates it again, also after a failure. It never
changes flannel: run ``bootstrap preflight --fix`` yourself first. The same scenario runs against
the sandbox in ``tests/functional/test_live_scenario.py``.
"""

from __future__ import annotations

import os

import pytest

from tests.live.scenario import Scenario

pytestmark = pytest.mark.live
NEEDED = ("KOPS_CLUSTER_NAME", "KOPS_STATE_STORE", "BOOTSTRAP_PRIVATE_KEY")


def test_a_node_joins_a_real_cluster_and_goes_away_again() -> None:
    missing = [name for name in NEEDED if not os.environ.get(name)]
    if missing:
        pytest.fail(f"set {', '.join(missing)}")
    more = os.environ.get("BOOTSTRAP_LIVE_INSTANCE_TYPE")
    arguments = ["--instance-type", more] if more else []
    Scenario(env=dict(os.environ), arguments=arguments, timeout_s=3600).run()
