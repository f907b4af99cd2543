"""The scenario for people with an AWS account, on the sandbox: so it is known to work."""

from __future__ import annotations

from tests.functional.conftest import Sandbox
from tests.live.scenario import POOL, Scenario


def test_the_live_scenario_runs_and_leaves_nothing_behind(ready: Sandbox) -> None:
    scenario = Scenario(env=ready.env)
    scenario.run()
    assert len(scenario.launched) == 1
    assert ready.living(POOL) == []
