"""Nothing in; versions, devices and which weights are found out, for a person who asks why something does not run."""

import platform
from importlib import metadata

from namesake.encoders.presets import PRESETS
from namesake.encoders.sources import find, hub_id, known_model, readable

PACKAGES = ("torch", "transformers", "huggingface_hub", "tokenizers", "safetensors", "numpy", "pillow")
OPTIONAL = ("onnx", "onnxruntime", "onnxscript")
"""Wanted by `export --format onnx` alone."""


def diagnose() -> dict[str, str]:
    """What there is on this machine, as plain sentences by subject; asks no network and loads no model."""
    report = {"python": platform.python_version()}
    report |= {package: metadata.version(package) for package in PACKAGES}
    report |= {package: describe_package(package) for package in OPTIONAL}
    report |= describe_devices()
    for preset, models in PRESETS.items():
        for part, source in vars(models).items():
            if source is not None:
                report[f"{preset}.{part}"] = describe_source(source)
    return report


def describe_package(package: str) -> str:
    """Version of an optional package, or how to get it."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed; for export --format onnx: pip install 'namesake[onnx]'"


def describe_devices() -> dict[str, str]:
    """CPU threads and GPUs that torch sees."""
    import torch

    devices = {"cpu": f"{torch.get_num_threads()} threads"}
    for number in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(number)
        devices[f"cuda:{number}"] = f"{properties.name}, {readable(properties.total_memory)}"
    return devices


def describe_source(source: str) -> str:
    """One line on a model: found where and how large, or missing what and where to get it."""
    found = find(source)
    if found.status == "found":
        return f"{source}: found, {readable(found.bytes)} in {found.path}"
    known = known_model(source)
    if known is None:
        return f"{source}: missing {', '.join(found.missing)}"
    origin = known.url or f"https://huggingface.co/{hub_id(source)}"
    return f"{source}: missing {', '.join(found.missing)} ({readable(known.bytes)}, {known.licence}, {origin})"
