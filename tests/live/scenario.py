"""One scenario for real AWS and for the sandbox: preflight, add a node, validate, clean up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

POOL = f"live-{os.getpid()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Runs the command in an environment that leads to a cluster."""

    env: Mapping[str, str]
    arguments: Sequence[str] = ()
    timeout_s: float = 600
    launched: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Walk through, and terminate what was launched whatever happens."""
        print(f"makes one EC2 instance in {self.env['KOPS_CLUSTER_NAME']}, pool {POOL}")
        try:
            self._call("preflight")
            added = self._call("add-node", "--pool", POOL, "--count", "1", "--yes", *self.arguments)
            (node,) = added["nodes"]
            assert node["ready"] is True
            again = self._call("add-node", "--pool", POOL, "--count", "1", "--yes", *self.arguments)
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
        import boto3

        ec2 = boto3.client(
            "ec2",
            region_name=self.env.get("AWS_REGION") or None,
            endpoint_url=self.env.get("AWS_ENDPOINT_URL") or None,
            aws_access_key_id=self.env.get("AWS_ACCESS_KEY_ID") or None,
            aws_secret_access_key=self.env.get("AWS_SECRET_ACCESS_KEY") or None,
            aws_session_token=self.env.get("AWS_SESSION_TOKEN") or None,
        )
        found = ec2.describe_instances(
            Filters=[
                {"Name": "tag:bootstrap/pool", "Values": [POOL]},
                {"Name": "tag:bootstrap/owned", "Values": ["true"]},
                {"Name": "instance-state-name", "Values": ["pending", "running", "stopped"]},
            ]
        )
        ids = [i["InstanceId"] for group in found["Reservations"] for i in group["Instances"]]
        if ids:
            ec2.terminate_instances(InstanceIds=ids)
        self.launched.extend(ids)
