"""A system and a machine in, the preset that "auto" stands for out; it runs nothing."""

from pathlib import Path

from namesake.encoders import pick_device
from namesake.errors import ConfigError, unknown
from namesake.progress import note
from namesake.systems.registry import SYSTEMS
from namesake.workspace import RECORD, read_record

AUTO, GPU, NO_GPU = "auto", "paper", "laptop"


def choose_preset(system: str, preset: str, *, device: str = "auto", run: Path | None = None) -> str:
    """The preset itself, or what "auto" stands for, which is said in one line.

    That is the preset of the run that the folder holds already; else "paper" where there is a GPU, and "laptop" where
    there is none and the system has one.

    Args:
        system: A key of SYSTEMS.
        preset: One of the system's, or "auto".
        device: "auto", "cpu" or "cuda".
        run: Folder of the run.

    Raises:
        ConfigError: There is no such system, or the device is not there.
    """
    if system not in SYSTEMS:
        raise ConfigError(unknown("system", system, SYSTEMS))
    if preset != AUTO:
        return preset
    presets = SYSTEMS[system].presets
    found = read_record(run / RECORD) if run is not None else {}
    if found.get("system") == system and found.get("preset") in presets:
        return str(found["preset"])
    gpu = pick_device(device).type == "cuda"
    chosen = NO_GPU if not gpu and NO_GPU in presets else GPU
    others = ", ".join(name for name in presets if name != chosen)
    reason = "there is a GPU" if gpu else "there is no GPU"
    if not gpu and chosen == GPU:
        reason = f"{system} has none for machines without a GPU, which takes its time"
    note(f"preset {chosen}, because {reason}; --preset chooses otherwise: {others}.")
    return chosen
