"""A run as a base model of autodistill: prompts of an ontology in, `supervision.Detections` of its classes out.

    from autodistill.detection import CaptionOntology
    from namesake.prediction.export.autodistill import NamesakeBaseModel

    model = NamesakeBaseModel(CaptionOntology({"park bench": "bench"}), run="runs/zutis")
    model.label("photos", extension=".jpg", output_folder="dataset")

It is imported by name alone, since it needs autodistill.
"""

from pathlib import Path
from typing import Any

import numpy as np

from namesake.errors import ConfigError
from namesake.prediction.export.memory import to_supervision
from namesake.segmenter import load_segmenter

try:
    from autodistill.detection import CaptionOntology, DetectionBaseModel
except ImportError as error:
    raise ConfigError(
        "NamesakeBaseModel needs autodistill, which is not installed: pip install autodistill."
    ) from error


class NamesakeBaseModel(DetectionBaseModel):  # type: ignore[misc]
    """A finished run that labels for autodistill.

    Args:
        ontology: Prompts, which are names, and the class that each becomes. A run of an open vocabulary takes any; of
            another, all must be names that it was made with.
        run: Folder of the run, or `hf-hub:org/name`.
        device: "auto", "cpu" or "cuda".

    Raises:
        ConfigError: The run does not know a prompt, and is not of an open vocabulary.
        WeightsError: The run holds no segmenter.
    """

    def __init__(self, ontology: CaptionOntology, run: str | Path, *, device: str = "auto") -> None:
        segmenter = load_segmenter(run, device=device)
        prompts = ontology.prompts()
        self.ontology = ontology
        self._segmenter = segmenter if set(prompts) <= set(segmenter.names.names) else segmenter.with_names(prompts)
        classes = {self._segmenter.names.label_of(prompt) - 1: number for number, prompt in enumerate(prompts)}
        self._class_of = np.array([classes.get(number, -1) for number in range(len(self._segmenter.names))])

    def predict(self, input: Any) -> Any:  # noqa: A002, ANN401
        """The objects of an image, or connected pieces of the label map of a run that finds none.

        Args:
            input: A file, a PIL image, or an array as OpenCV reads it: uint8 [height, width, 3], blue first.

        Returns:
            `supervision.Detections`; `class_id` counts the classes of the ontology.
        """
        picture = input[..., ::-1] if isinstance(input, np.ndarray) else input
        found = to_supervision(self._segmenter.segment(picture), self._segmenter.names)
        numbers = self._class_of[found.class_id]
        kept = found[numbers >= 0]
        kept.class_id = numbers[numbers >= 0]
        kept.data["class_name"] = np.array(self.ontology.classes())[kept.class_id]
        return kept
