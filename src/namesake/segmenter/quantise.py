"""A convolutional network's ONNX graph and some of its inputs in, the graph with convolutions in 8 bits out.

Static quantisation: weights have a scale for each output channel, activations one for each place in the graph, from the
smallest and largest value that they have there for the inputs. Krishnamoorthi, https://arxiv.org/abs/1806.08342.
"""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from jaxtyping import Float
from numpy import ndarray

Inputs = Float[ndarray, "batch 3 height width"]
QUANTISED = ("Conv", "Add")
"""Operations in 8 bits; additions are the shortcuts between convolutions."""


def quantise(graph: bytes, samples: Sequence[Inputs]) -> bytes:
    """The graph in 8 bits; the last convolution, which gives the logits, stays in float32.

    Args:
        graph: A graph with one input, in float32.
        samples: Inputs that show what values occur; some tens of images.
    """
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    from namesake.segmenter.export.write import quiet

    class Samples(quantization.CalibrationDataReader):  # type: ignore[misc]
        """The samples, one by one."""

        def __init__(self, name: str) -> None:
            self.left = iter([{name: each} for each in samples])

        def get_next(self) -> dict[str, Inputs] | None:
            """The next one, None behind the last."""
            return next(self.left, None)

    with TemporaryDirectory() as folder, quiet():
        plain, prepared, made = (Path(folder) / f"{name}.onnx" for name in ("plain", "prepared", "made"))
        plain.write_bytes(graph)
        quant_pre_process(str(plain), str(prepared), skip_symbolic_shape=True)
        found = onnx.load(str(prepared), load_external_data=False).graph
        last = [node.name for node in found.node if node.op_type == "Conv"][-1]
        quantization.quantize_static(
            str(prepared),
            str(made),
            Samples(found.input[0].name),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTISED),
            nodes_to_exclude=[last],
            per_channel=True,
            # activations without a sign: with it, onnxruntime computes slower than in float32 on most processors
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
        return made.read_bytes()
