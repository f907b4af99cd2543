"""Between the arguments of ``preflight`` and ``validate`` and the engine."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field

from bootstrap import config, wiring
from bootstrap.cli import adding, progress
from bootstrap.cli.options import CommonOptions
from bootstrap.config import Settings
from bootstrap.engine import locking
from bootstrap.engine.fixing import Fixer
from bootstrap.engine.waiting import Waiter
from bootstrap.errors import UsageError
from bootstrap.model.finding import Check
from bootstrap.model.node import NodeRequest
from bootstrap.planning import checks, fixes
from bootstrap.planning.checks import View


@dataclass(slots=True, kw_only=True)
class Preflight:
    """One ``preflight``."""

    options: CommonOptions
    pool: str | None
    only: tuple[str, ...]
    skip: tuple[str, ...]
    settings: Settings = field(init=False)

    def __post_init__(self) -> None:
        known = [rule.name for rule in checks.RULES]
        for name in (*self.only, *self.skip):
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                raise UsageError(
                    f"there is no check {name!r}",
                    evidence=f"checks: {', '.join(known)}",
                    fix=f"did you mean {near[0]!r}?" if near else "",
                )
        self.settings = self.options.load()

    def check(self) -> tuple[Check, ...]:
        """Look, and judge."""
        return checks.run_checks(self._view(), only=self.only, skip=self.skip)

    def _view(self) -> View:
        access = adding.access_of(self.options)
        request = None
        if self.pool:
            request = NodeRequest(pool=config.pool_with(self.settings, self.pool, {}))
        store = wiring.store_facts(self.settings, access)
        return wiring.preparation(self.settings, access).cluster(store, request)

    def fix(self, before: tuple[Check, ...]) -> tuple[Check, ...]:
        """Show what would be changed; with ``--yes`` change it and check again."""
        wanted = self._wanted()
        with progress.shown(self.options) as sink:
            for item in wanted:
                for line in fixes.describe(item):
                    sink.note(line)
            if not wanted:
                sink.note("nothing to fix")
                return before
            if not self.options.yes:
                sink.note("no changes were made; run again with --yes to make them")
                return before
            ports = wiring.ports(self.settings, adding.access_of(self.options))
            waiter = Waiter(clock=ports.clock)
            with locking.held(ports.api, waiter, ports.processes, run_id=adding.new_run_id()):
                Fixer(api=ports.api, waiter=waiter, say=sink.note).apply(self._wanted())
        return self.check()

    def _wanted(self) -> list[fixes.Fix]:
        return [
            item
            for item in fixes.fixes(self._view())
            if (not self.only or item.check in self.only) and item.check not in self.skip
        ]
