"""The Windows hosts of a world: one for each Windows instance, through launch, reboot and end."""

from __future__ import annotations

from bootstrap.sandbox.aws import AwsWorld
from bootstrap.sandbox.faults import FaultBoard
from bootstrap.sandbox.world_options import WorldOptions
from bootstrap.sandbox.world_view import ClusterNetwork


class HostFleet:
    def __init__(
        self, aws: AwsWorld, network: ClusterNetwork, faults: FaultBoard, options: WorldOptions
    ) -> None:
        pass

    def rows(self) -> list[dict[str, str]]:
        return []

    def stop(self) -> None:
        pass
