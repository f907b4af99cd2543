"""What all scripts share: they refuse a request that they cannot read, and name the field."""

from __future__ import annotations

import pytest

from bootstrap.resources import data_path
from tests.powershell.windows_node import WindowsNode

SCRIPTS = sorted(path.stem for path in data_path("scripts").glob("*.ps1"))
WITH_REQUEST = [name for name in SCRIPTS if name != "Enable-WinRmTls"]


@pytest.mark.parametrize("script", WITH_REQUEST)
def test_request_that_lacks_its_fields_is_refused(node: WindowsNode, script: str):
    done = node.run(script, {})
    assert (done.exit_code, "WN0001 the request lacks the field" in done.error) == (1, True)


def test_request_that_is_no_json_is_refused(node: WindowsNode):
    done = node.run("Set-NodeFile", "{")
    assert (done.exit_code, "WN0001 the request is no JSON" in done.error) == (1, True)
