"""State stores without S3: one in memory for the port, and a folder that answers as S3 does."""

from __future__ import annotations

import difflib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from bootstrap.errors import BootstrapError, NotFoundError
from bootstrap.model.cluster import ClusterName, StoreFacts


@dataclass(kw_only=True)
class FakeStateStore:
    """Implements ``ports.StateStore``; ``failure`` is raised by every call while it is set."""

    facts: dict[ClusterName, StoreFacts] = field(default_factory=dict)
    failure: BootstrapError | None = None

    @classmethod
    def of(cls, clusters: Iterable[StoreFacts]) -> FakeStateStore:
        return cls(facts={facts.name: facts for facts in clusters})

    def cluster_names(self) -> tuple[ClusterName, ...]:
        self._fail()
        return tuple(sorted(self.facts))

    def read(self, name: ClusterName) -> StoreFacts:
        self._fail()
        if name in self.facts:
            return self.facts[name]
        near = difflib.get_close_matches(name, self.facts, n=1)
        raise NotFoundError(
            f"the state store has no cluster {name}",
            name="NoSuchCluster",
            target=name,
            evidence=f"clusters there: {', '.join(sorted(self.facts)) or 'none'}",
            fix=f"did you mean {near[0]}?" if near else "check the name",
            command="kops get clusters",
        )

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure


class FolderS3:
    """Answers the S3 calls of the adapter from a folder; ``asked`` has every key that was read."""

    def __init__(self, root: Path, *, extra: dict[str, str] | None = None) -> None:
        self._objects: dict[str, bytes] = {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }
        self._objects |= {key: text.encode() for key, text in (extra or {}).items()}
        self.asked: list[str] = []

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        self.asked.append(Key)
        if Key not in self._objects:
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": Key}}, "GetObject")
        return {"Body": io.BytesIO(self._objects[Key])}

    def get_paginator(self, operation: str) -> FolderS3:
        assert operation == "list_objects_v2"
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> Iterator[dict[str, Any]]:
        for key in sorted(self._objects):  # one object a page: the adapter has to go through pages
            if key.startswith(Prefix):
                yield {"Contents": [{"Key": key}]}
        yield {}
