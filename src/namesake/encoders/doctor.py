"""Nothing in; versions, devices and which weights are found out, for a person who asks why something does not run."""

import platform
from importlib import metadata

from namesake.encoders.presets import PRESETS
from namesake.encoders.sources import find, hub_id, known_model, readable

PACKAGES = ("torch", "transformers", "huggingface_hub", "tokenizers", "safetensors", "numpy", "pillow")
OPTIONAL = {
    "gradio": "serve: pip install 'namesake[app]'",
    "av": "videos and cameras: pip install 'namesake[video]'",
    "onnxruntime": "export --format onnx: pip install 'namesake[onnx]'",
    "ray": "--engine ray: pip install 'namesake[ray]'",
}
"""Package -> what wants it, and how to get it."""


def diagnose() -> dict[str, str]:
    """What there is on this machine, as plain sentences by subject; asks no network and loads no model."""
    report = {"python": platform.python_version()}
    report |= {package: metadata.version(package) for package in PACKAGES}
    report |= {package: describe_package(package, wanted_by) for package, wanted_by in OPTIONAL.items()}
    report |= describe_devices()
    for preset, models in PRESETS.items():
        for part, source in vars(models).items():
            if source is not None:
                report[f"{preset}.{part}"] = describe_source(source)
    return report


def describe_package(package: str, wanted_by: str) -> str:
    """Version of an optional package, or what it is for and how to get it."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return f"not installed; for {wanted_by}"


def describe_devices() -> dict[str, str]:
    """CPU threads and GPUs that torch sees."""
    import torch

    threads = torch.get_num_threads()
    devices = {"cpu": f"{threads} thread{'s' if threads > 1 else ''}"}
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
    lacks = f"in {found.path}: {', '.join(found.missing)}; " if found.path else ""
    if known is None:
        return f"{source}: missing {lacks or ', '.join(found.missing)}"
    origin = known.url or f"https://huggingface.co/{hub_id(source)}"
    return f"{source}: missing {lacks}({readable(known.bytes)}, licence {known.licence}, {origin})"
