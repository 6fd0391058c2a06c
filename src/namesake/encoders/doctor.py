"""Nothing in; versions, devices and which weights are found out, for a person who asks why something does not run."""

import dataclasses
import platform
from collections.abc import Mapping
from typing import Any

from namesake.encoders.presets import PRESETS
from namesake.encoders.required import Needed, look_at_all
from namesake.errors import how_to_install
from namesake.progress import readable
from namesake.workspace.manifest import version_of

PACKAGES = ("torch", "transformers", "huggingface_hub", "tokenizers", "safetensors", "numpy", "pillow")
OPTIONAL = {
    "gradio": f"serve: {how_to_install('app')}",
    "av": f"videos and cameras: {how_to_install('video')}",
    "onnxruntime": f"export --format onnx: {how_to_install('onnx')}",
    "ray": f"--engine ray: {how_to_install('ray')}",
}
"""Package -> what wants it, and how to get it."""


def diagnose(sources: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What there is on this machine; loads no model.

    Args:
        sources: Sources of a run's models by option, about which the hub is asked; those of all presets, about which
            the network is not asked, when None.

    Returns:
        `python`, `packages` (version, None where not installed), `devices`, `models` (fields of `Needed`, each model
        once), `bytes` of all models together and `bytes_to_fetch`.
    """
    parts = {
        f"{preset}.{part}": source
        for preset, models in PRESETS.items()
        for part, source in vars(models).items()
        if source is not None
    }
    chosen = parts if sources is None else sources
    models = look_at_all(chosen, ask=sources is not None)
    return {
        "python": platform.python_version(),
        "packages": {package: version_of(package) for package in (*PACKAGES, *OPTIONAL)},
        "devices": describe_devices(),
        "models": [dataclasses.asdict(model) for model in models],
        "bytes": sum(each.bytes or 0 for each in models),
        "bytes_to_fetch": sum(each.bytes or 0 for each in models if each.status != "present"),
    }


def needed_of(found: Mapping[str, Any]) -> list[Needed]:
    """The models of a diagnosis."""
    return [Needed(**fields) for fields in found["models"]]


def describe_devices() -> dict[str, str]:
    """CPU threads and GPUs that torch sees."""
    import torch

    threads = torch.get_num_threads()
    devices = {"cpu": f"{threads} thread{'s' if threads > 1 else ''}"}
    for number in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(number)
        devices[f"cuda:{number}"] = f"{properties.name}, {readable(properties.total_memory)}"
    return devices
