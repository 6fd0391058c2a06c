"""A trained transformers model in, its folder out: float16 weights, config, preprocessing."""

import json
from pathlib import Path

from torch import nn


def save_model(model: nn.Module, out: Path, *, mean: list[float], std: list[float], size: int = 96) -> None:
    """Write config.json, model.safetensors (float16) and preprocessor_config.json.

    Args:
        model: A transformers model; it is turned into float16.
        out: Folder, made if need be.
        mean: Mean by channel, in 0..1, that inputs are normalised with.
        std: Standard deviation by channel.
        size: Height and width in pixels that the model was trained for.
    """
    out.mkdir(parents=True, exist_ok=True)
    model.half().save_pretrained(out)  # type: ignore[operator]
    square = {"height": size, "width": size}
    preprocessing = {
        "do_resize": True,
        "size": square,
        "resample": 3,
        "do_center_crop": False,
        "crop_size": square,
        "do_convert_rgb": True,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": mean,
        "image_std": std,
        "image_processor_type": "CLIPImageProcessor" if hasattr(model, "text_projection") else "ViTImageProcessor",
    }
    (out / "model.safetensors").chmod(0o644)
    (out / "preprocessor_config.json").write_text(json.dumps(preprocessing, indent=2) + "\n", encoding="utf-8")
