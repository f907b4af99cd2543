"""Which container images run on which build of Windows, and what containerd says of the others.

With process isolation an image's build must be the host's, except that Windows Server 2025 also
runs images of 2022 (Microsoft, "Windows container version compatibility").
"""

from __future__ import annotations

import re

WS2019, WS2022, WS2025 = 17763, 20348, 26100
_BUILD_OF_TAG = {
    "1809": WS2019,
    "ltsc2019": WS2019,
    "ltsc2022": WS2022,
    "ltsc2025": WS2025,
}
_OLD_BUILDS = {"1903": 18362, "1909": 18363, "2004": 19041, "20h2": 19042, "ltsc2016": 14393}
_MULTI_ARCH = (
    re.compile(r"registry\.k8s\.io/pause:3\.(?:[4-9]|1\d)(?:\.\d+)?"),
    re.compile(r"mcr\.microsoft\.com/oss/(?:v2/)?kubernetes/pause:3\.\d+(?:\.\d+)?(?:-\d+)?"),
    re.compile(r"registry\.k8s\.io/e2e-test-images/(?:agnhost|busybox|nginx|httpd):[\w.-]+"),
)
"""Images with a manifest for every Windows build that is supported, and for Linux."""
_WINDOWS_REPOSITORY = re.compile(
    r"mcr\.microsoft\.com/(?:windows(?:/\w+)*|dotnet/[\w/-]+|powershell)"
)
_PINNED_BUILD = re.compile(r"10\.0\.(\d{5})(?:\.\d+)?")


def image_problem(image: str, build: int) -> str:
    """Return containerd's complaint about an image on a host of that build, '' when it fits.

    An image this table does not know counts as one for Linux only.
    """
    name = image.split("@")[0]
    if any(pattern.fullmatch(name) for pattern in _MULTI_ARCH):
        return ""
    builds = _builds(name)
    if build in builds or (build == WS2025 and WS2022 in builds):
        return ""
    if not builds:
        return (
            f'failed to pull and unpack image "{_full(image)}": '
            "no match for platform in manifest: not found"
        )
    return (
        f'failed to create containerd container: hcs::CreateComputeSystem: image "{_full(image)}": '
        "The container operating system does not match the host operating system. (0xc0370101)"
    )


def _builds(name: str) -> set[int]:
    repository, _, tag = name.rpartition(":")
    if not repository:
        repository, tag = name, "latest"
    if not _WINDOWS_REPOSITORY.fullmatch(repository):
        return set()
    pinned = _PINNED_BUILD.fullmatch(tag)
    if pinned:
        return {int(pinned[1])}
    known = _BUILD_OF_TAG | _OLD_BUILDS
    found = {build for word, build in known.items() if re.search(rf"(?:^|-){word}(?:-|$)", tag)}
    # dotnet and powershell publish one tag for all builds.
    is_shared = not repository.startswith("mcr.microsoft.com/windows")
    return found or ({WS2019, WS2022, WS2025} if is_shared else set())


def _full(image: str) -> str:
    first = image.split("/")[0]
    is_host = "." in first or ":" in first
    if is_host and "/" in image:
        return image
    return f"docker.io/{image if '/' in image else f'library/{image}'}"
