"""Which machine and which versions a result came from."""

import importlib.metadata
import platform

import jax


def device() -> str:
    """The kind of device that jax computes on."""
    first = jax.devices()[0]
    return f"{first.platform}: {first.device_kind} x {jax.device_count()}"


def versions() -> dict[str, str]:
    """Versions of python, pinnjax and what it computes with."""
    packages = ("pinnjax", "jax", "jaxlib", "flax", "optax", "numpy")
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in packages}
