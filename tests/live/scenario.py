"""One scenario for real AWS and for the sandbox: preflight, add a node, validate, clean up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import boto3

POOL = f"live-{os.getpid()}"
COST = (
    "about 0.4 USD an hour for the default m5.xlarge with its Windows licence and 100 GB of gp3;"
    " it lives for about half an hour"
)
# A terminated instance needs none of our care; every other state costs, or will.
LIVING = ["pending", "running", "stopping", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Runs the command in an environment that leads to a cluster."""

    env: Mapping[str, str]
    pool: str = POOL
    arguments: Sequence[str] = ()
    timeout_s: float = 600
    launched: list[str] = field(default_factory=list)
    """Instances that were there to be cleaned up."""

    def run(self) -> None:
        """Walk through, and terminate what was launched whatever happens."""
        where = self.env["KOPS_CLUSTER_NAME"]
        print(f"makes one EC2 instance in {where}, pool {self.pool}: {COST}", file=sys.stderr)
        add = ["add-node", "--pool", self.pool, "--count", "1", *self.arguments]
        try:
            self._call("preflight")
            assert [s["step"] for s in self._call(*add)["steps"]] == ["LaunchInstance", "JoinNode"]
            (node,) = self._call(*add, "--yes")["nodes"]
            assert node["ready"] is True
            again = self._call(*add, "--yes")
            assert [item["result"] for item in again["nodes"]] == ["unchanged"]
            assert self._call("validate", "--level", "quick")["ok"] is True
        finally:
            self._clean_up()

    def _call(self, *arguments: str) -> dict[str, Any]:
        ended = subprocess.run(
            [sys.executable, "-m", "bootstrap", *arguments, "-o", "json"],
            env=dict(self.env),
            stdout=subprocess.PIPE,
            text=True,
            timeout=self.timeout_s,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout
        found: dict[str, Any] = json.loads(ended.stdout)
        return found

    def _clean_up(self) -> None:
        """Terminate every instance of the pool; the cloud controller then removes the Node."""
        session = boto3.Session(
            aws_access_key_id=self.env.get("AWS_ACCESS_KEY_ID") or None,
            aws_secret_access_key=self.env.get("AWS_SECRET_ACCESS_KEY") or None,
            aws_session_token=self.env.get("AWS_SESSION_TOKEN") or None,
            region_name=self.env.get("AWS_REGION") or None,
        )
        ec2 = session.client("ec2", endpoint_url=self.env.get("AWS_ENDPOINT_URL") or None)
        found = ec2.describe_instances(
            Filters=[
                {"Name": "tag:bootstrap/cluster", "Values": [self.env["KOPS_CLUSTER_NAME"]]},
                {"Name": "tag:bootstrap/pool", "Values": [self.pool]},
                {"Name": "tag:bootstrap/owned", "Values": ["true"]},
                {"Name": "instance-state-name", "Values": LIVING},
            ]
        )
        ids = [i["InstanceId"] for group in found["Reservations"] for i in group["Instances"]]
        if ids:
            ec2.terminate_instances(InstanceIds=ids)
        self.launched.extend(ids)
