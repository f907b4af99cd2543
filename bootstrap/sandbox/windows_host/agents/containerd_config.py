"""``config.toml`` as containerd 1.7 and 2.x take it.

Facts seen on the real containerd.exe 1.7.35 and 2.2.9: double-quoted Windows paths are invalid
escapes; 1.7 takes a BOM and refuses version 3; 2.x refuses a BOM and takes version 2.
"""

from __future__ import annotations

import codecs
import tomllib

from bootstrap.sandbox.windows_host.agents.files import FileRefused
from bootstrap.sandbox.windows_host.agents.runtime import CONTAINERD_PIPE, RuntimeView

DEFAULT_CONF_DIR = r"C:\Program Files\containerd\cni\conf"
DEFAULT_BIN_DIR = r"C:\Program Files\containerd\cni\bin"
_CRI_V2 = "io.containerd.grpc.v1.cri"
_RUNTIME_V3 = "io.containerd.cri.v1.runtime"
_IMAGES_V3 = "io.containerd.cri.v1.images"


def default_view() -> RuntimeView:
    """Return what containerd is without a configuration."""
    return RuntimeView(
        name="containerd",
        pipe=CONTAINERD_PIPE,
        conf_dir=DEFAULT_CONF_DIR,
        bin_dir=DEFAULT_BIN_DIR,
    )


def load_containerd_config(content: bytes, *, path: str, major: int) -> RuntimeView:
    """Parse a configuration as containerd ``<major>`` does; FileRefused with its own words."""
    document = _toml(content, path=path, major=major)
    version = document.get("version", 1)
    newest = 2 if major == 1 else 3
    if not isinstance(version, int) or not 2 <= version <= newest:
        raise FileRefused(
            f"failed to load TOML from {path}: unsupported config version {version}: "
            f"the max version is {newest}"
        )
    grpc = _table(document, "grpc")
    plugins = _table(document, "plugins")
    # 2.x migrates version 2; 1.7 and version 2 know only the one plugin.
    cri = _table(plugins, _CRI_V2) if version == 2 else _table(plugins, _RUNTIME_V3)
    cni = _table(cri, "cni")
    return RuntimeView(
        name="containerd",
        pipe=str(grpc.get("address") or CONTAINERD_PIPE),
        conf_dir=str(cni.get("conf_dir") or DEFAULT_CONF_DIR),
        bin_dir=_bin_dir(cni),
        sandbox_image=_sandbox_image(cri, plugins),
    )


def _bin_dir(cni: dict[str, object]) -> str:
    many = cni.get("bin_dirs")
    if isinstance(many, list) and many:
        return str(many[0])
    return str(cni.get("bin_dir") or DEFAULT_BIN_DIR)


def _sandbox_image(cri: dict[str, object], plugins: dict[str, object]) -> str:
    pinned = _table(_table(plugins, _IMAGES_V3), "pinned_images")
    return str(cri.get("sandbox_image") or pinned.get("sandbox") or "")


def _toml(content: bytes, *, path: str, major: int) -> dict[str, object]:
    if content.startswith(codecs.BOM_UTF8):
        if major >= 2:
            raise FileRefused(
                f"failed to load TOML from {path}: toml: invalid character at start of key"
            )
        content = content[3:]
    try:
        return tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        text = str(error)
        if "Unescaped '\\'" in text:
            text = "invalid escape sequence: \\k"
        raise FileRefused(f"failed to load TOML from {path}: toml: {text}") from error


def _table(document: dict[str, object], name: str) -> dict[str, object]:
    value = document.get(name)
    return value if isinstance(value, dict) else {}
