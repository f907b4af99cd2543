"""What can be chosen about a world before it starts; cheap to import, unlike the world itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bootstrap.sandbox.store import StoreDirectory
from bootstrap.sandbox.world_folder import DEFAULT_NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldOptions:
    """Options of one world."""

    name: str = DEFAULT_NAME
    windows: str = "2019"
    """Release of hosts whose image does not tell it."""
    control_plane_version: str = ""
    """Minor (``1.34``) of the control plane's programs; '' takes the store's, else the newest."""
    boot_s: float = 1.0
    """How long a simulated Windows boots; in life minutes."""
    time_factor: float = 0.02
    """What the delays of agents on a host are multiplied with; 1 is as long as in life."""

    def check_store(self, store: Path) -> None:
        """Raise StoreError when the folder is no store; what is in it is read at the start."""
        StoreDirectory(store)
