"""The nouns that travel between stages: frozen, small, without knowledge of any library or stage.

An artifact is a record whose content lies in `folder`; its manifest, written last, makes it exist. A `Prediction` shows
and saves itself: what its methods do lies in `prediction`, and is imported when one is called.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from jaxtyping import Bool, Float
from numpy import ndarray

from namesake.shapes import ImageArray, LabelArray


class Regime(StrEnum):
    """What was known of a task while a segmenter was made: NamedMask, https://arxiv.org/abs/2209.11228, section 2."""

    ZERO_SHOT = "zero-shot transfer"
    """Neither its names nor its images."""
    NAME_ONLY = "name-only"
    """Its names."""
    IMAGE_ONLY = "image-only"
    """Unlabelled images of it."""
    NAME_AND_IMAGE = "name-and-image"
    """Both."""
    TRUTH = "trained on ground truth"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Names:
    """The names to segment. The label of `names[i]` is `i + 1`; 0 is background.

    Attributes:
        names: One display name a label, unique after case folding.
        synonyms: For each name, further words that mean the same; may be empty tuples.
        background: Words for what is none of the names ("background", "sky", ...), for systems that use them.
        against: For each name, context words: what it could be mistaken for (of "crane": "tower crane"). Images that
            are more like one of them are kept out of the name's archive.

    Examples:
        >>> names = namesake.Names(("dog", "park bench"), synonyms=(("hound", "puppy"), ()))
        >>> len(names), names.label_of("park bench")
        (2, 2)
    """

    names: tuple[str, ...]
    synonyms: tuple[tuple[str, ...], ...] = ()
    background: tuple[str, ...] = ("background",)
    against: tuple[tuple[str, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    @property
    def words(self) -> tuple[tuple[str, ...], ...]:
        """The words of each name: itself, then its synonyms."""
        synonyms = self.synonyms or ((),) * len(self)
        return tuple((name, *others) for name, others in zip(self.names, synonyms, strict=True))

    def label_of(self, name: str) -> int:
        """Label of a name, counted from 1."""
        return self.names.index(name) + 1


@dataclass(frozen=True)
class Images:
    """A folder of images, by stable id.

    Attributes:
        folder: Folder that they lie in.
        ids: POSIX paths relative to `folder`, sorted; an id names one image for good.
        passed_over: Number of files by ending (".txt") that lie there too and are no images.

    Examples:
        >>> images = namesake.Images(Path("photos/images"), ("000003.jpg", "000008.jpg"))  # these two alone
        >>> len(images), images.path("000003.jpg")
        (2, PosixPath('photos/images/000003.jpg'))
    """

    folder: Path
    ids: tuple[str, ...]
    passed_over: Mapping[str, int] = field(default_factory=dict, compare=False)

    def __len__(self) -> int:
        return len(self.ids)

    def path(self, image_id: str) -> Path:
        """File of one image."""
        return self.folder / image_id


@dataclass(frozen=True)
class ModelCard:
    """What a model is and what may be done with it.

    Attributes:
        name: Display name.
        source: Hub id, folder or `embedded:NAME`.
        licence: SPDX id, or "unknown".
        tier: "S" when no human mask was used anywhere in its making, "M" for SAM-type masks.
    """

    name: str
    source: str
    licence: str = "unknown"
    tier: str = "S"


@dataclass(frozen=True)
class Artifact:
    """What every stage's result has: a folder, counts for the report, and the models that it used."""

    folder: Path
    counts: Mapping[str, int] = field(default_factory=dict)
    models: tuple[ModelCard, ...] = ()


@dataclass(frozen=True)
class Index(Artifact):
    """Embeddings of images on disk, in clip-retrieval's layout.

    Attributes:
        images: The images that were embedded.
        encoder: Source of the CLIP that embedded them.
        dim: Length of an embedding.

    Examples:
        >>> from namesake.index import open_index
        >>> index = open_index(Path("runs/trained/index"))
        >>> index.counts["images"], index.encoder
        (12, 'embedded:clip')
    """

    images: Images = field(default_factory=lambda: Images(Path(), ()))
    encoder: str = ""
    dim: int = 0


@dataclass(frozen=True)
class Archives(Artifact):
    """For each name, the images that show it: `archives.parquet` with name, rank, image_id, score, label.

    Attributes:
        images: The collection that the archives were drawn from.
        names: The names, in label order.

    Examples:
        >>> from namesake.archives import open_archives, rows
        >>> archives = open_archives(Path("runs/trained/archives"))
        >>> [row["image_id"] for row in rows(archives).to_pylist() if row["name"] == "tree"]
        ['000008.jpg', '000006.jpg', '000011.jpg', '000001.jpg']
    """

    images: Images = field(default_factory=lambda: Images(Path(), ()))
    names: Names = field(default_factory=lambda: Names(()))


@dataclass(frozen=True)
class PseudoMasks(Artifact):
    """One mask an image: shards `masks-00000.parquet` with image_id, label, score, height, width, counts (COCO RLE).

    `label` is 0 where the mask has no name yet (class-agnostic).

    Examples:
        >>> from namesake.masks.store import open_masks, read_masks
        >>> masks = {mask.image_id: mask for mask in read_masks(open_masks(Path("runs/trained/masks/saliency")))}
        >>> masks["000003.jpg"].height, masks["000003.jpg"].label
        (96, 4)
    """


@dataclass(frozen=True)
class PseudoMask:
    """One row of PseudoMasks. `rle` is the compressed COCO run-length code of the mask at the original size."""

    image_id: str
    label: int
    score: float
    height: int
    width: int
    rle: bytes


@dataclass(frozen=True)
class Instances:
    """Objects of one image.

    Attributes:
        masks: bool [n, height, width] in original pixels.
        labels: One label an instance, counted from 1.
        names: The name of each.
        scores: 0 to 1 each.

    Examples:
        >>> found = namesake.load("runs/first").segment("photos/images/000003.jpg")
        >>> found.instances is None  # this system finds none; `Prediction.to_coco` takes connected pieces instead
        True
    """

    masks: Bool[ndarray, "n height width"]
    labels: tuple[int, ...]
    names: tuple[str, ...]
    scores: tuple[float, ...]


@dataclass(frozen=True, repr=False)
class Prediction:
    """What a segmenter says of one image, in original pixels.

    Attributes:
        labels: int [height, width]; 0 = background, 1..K = names, 255 = not sure.
        confidence: float32 [height, width], 0 to 1: probability of the label given.
        instances: Present for systems that find them.
        image: RGB that it is of; what a `Segmenter` returns has it.
        names: Names of its labels; what a `Segmenter` returns has them.

    Examples:
        >>> segmenter = namesake.load("runs/first")
        >>> found = segmenter.segment("photos/images/000009.jpg")
        >>> found
        <Prediction 96 high x 96 wide: dog 19.1 %, background 80.9 %>
        >>> int((found.labels == segmenter.names.label_of("dog")).sum())
        1757
    """

    labels: LabelArray
    confidence: Float[ndarray, "height width"]
    instances: Instances | None = None
    image: ImageArray | None = field(default=None, compare=False)
    names: Names | None = None

    def __repr__(self) -> str:
        from namesake.prediction.show import summary

        return f"<Prediction {summary(self)}>"

    def overlay(self, *, opacity: float = 0.45) -> ImageArray:
        """The image with every name's colour laid over its pixels, the names on their pieces, and a legend.

        Args:
            opacity: Opacity of the colours, 0 to 1.

        Returns:
            RGB; higher than the image by the legend, and narrow images are enlarged by a whole factor.

        Raises:
            ConfigError: The prediction was made without its image or names.

        Examples:
            >>> picture = namesake.load("runs/first").segment("photos/images/000009.jpg").overlay()
            >>> picture.dtype, picture.shape[2]
            (dtype('uint8'), 3)
        """
        from namesake.prediction.show import overlay_of

        return overlay_of(self, opacity=opacity)

    def save(self, path: str | Path, what: Literal["overlay", "labels", "confidence"] = "overlay") -> Path:
        """Write it as a picture, whose kind the suffix says (.png, .jpg, ...).

        Args:
            path: The file; its folder is made if missing.
            what: "overlay" is for people; "labels" is an index PNG (0 = background, 1..K = names, 255 = not sure);
                "confidence" is a grey PNG (255 = certain).

        Returns:
            The path.

        Raises:
            ConfigError: The suffix is none of a picture that can hold it, or image or names are missing.
            WorkspaceError: The file cannot be written.

        Examples:
            >>> found = namesake.load("runs/first").segment("photos/images/000009.jpg")
            >>> found.save("dog.jpg")
            PosixPath('dog.jpg')
            >>> found.save("dog.png", "labels")
            PosixPath('dog.png')
        """
        from namesake.prediction.show import save

        return save(self, Path(path), what)

    def plot(self, axes: Any = None) -> Any:  # noqa: ANN401
        """Draw the overlay into a figure of matplotlib.

        Args:
            axes: `matplotlib.axes.Axes` to draw into; those of a new figure if None.

        Returns:
            The axes.

        Raises:
            ConfigError: The prediction was made without its image or names.

        Examples:
            >>> axes = namesake.load("runs/first").segment("photos/images/000009.jpg").plot()
            >>> axes.get_title()
            'dog 19.1 %'
        """
        from namesake.prediction.show import plot

        return plot(self, axes)

    def to_supervision(self) -> Any:  # noqa: ANN401
        """Its objects as `supervision.Detections`; see `prediction.export.to_supervision`.

        Examples:
            >>> detections = namesake.load("runs/first").segment("photos/images/000009.jpg").to_supervision()
            >>> sorted(set(detections.data["class_name"].tolist()))
            ['dog']
        """
        from namesake.prediction.export import to_supervision
        from namesake.prediction.show import names_of

        return to_supervision(self, names_of(self))

    def to_fiftyone(self) -> dict[str, Any]:
        """It as labels of FiftyOne: `segmentation`, `detections` and `mask_targets`; see `export.to_fiftyone`.

        Examples:
            >>> labels = namesake.load("runs/first").segment("photos/images/000009.jpg").to_fiftyone()  # doctest: +SKIP
            >>> sample["found"] = labels["detections"]  # doctest: +SKIP
        """
        from namesake.prediction.export import to_fiftyone
        from namesake.prediction.show import names_of

        return to_fiftyone(self, names_of(self))

    def to_coco(self, file_name: str = "") -> dict[str, Any]:
        """It as the content of a COCO file of one image: objects, or connected pieces of the label map.

        Args:
            file_name: Name of the image in the file.

        Returns:
            `info`, `images`, `annotations` (RLE at the original size, area, box, score) and `categories`.

        Examples:
            >>> coco = namesake.load("runs/first").segment("photos/images/000009.jpg").to_coco("000009.jpg")
            >>> largest = max(coco["annotations"], key=lambda each: each["area"])
            >>> largest["category_id"], largest["bbox"]
            (4, [12, 29, 68, 51])
        """
        from namesake.prediction.show import coco_of

        return coco_of(self, file_name)

    def _repr_png_(self) -> bytes | None:
        """The overlay, for notebooks; None where image or names are missing."""
        from namesake.prediction.show import png_of

        return png_of(self)


@dataclass(frozen=True)
class InstanceScores:
    """Scores of objects, in percent (0 to 100); NaN where there is no true object of the kind.

    Attributes:
        ap: COCO's mask average precision over IoU 0.50 to 0.95, mean over names.
        ap50: At IoU 0.50.
        ap75: At IoU 0.75.
        ap_small: AP small of objects of fewer than 32 x 32 pixels of mask.
        ap_medium: From there to 96 x 96.
        ap_large: From there on.
        class_agnostic_ap: AP whatever the names.
        class_agnostic_ap50: At IoU 0.50.
        class_agnostic_ap75: At IoU 0.75.
        true_objects: Counted in all images.
        found_objects: Likewise.
        found_as: Whether the system finds objects itself, or pieces of its label map stand for them.
        images: Number of images whose objects were scored; those that the truth of objects does not list are left out.
        crowds: True areas of several objects, `iscrowd`, which the scores leave out.
    """

    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    class_agnostic_ap: float
    class_agnostic_ap50: float
    class_agnostic_ap75: float
    true_objects: int
    found_objects: int
    found_as: str
    images: int = 0
    crowds: int = 0


@dataclass(frozen=True)
class Scores:
    """Semantic scores, in percent (0 to 100); averaging is said in each name.

    Attributes:
        mean_iou_over_dataset: Mean over background and names of IoU from one confusion matrix over all images;
            names absent from both truth and prediction are left out.
        iou_per_name: IoU by name, "background" included; NaN where absent from both.
        pixel_accuracy: Share of counted pixels with the right label.
        images: Number of images scored.
        instances: Scores of objects, where the benchmark has true ones.
        measures: Further scores that the benchmark is judged by, by name.
        regime: Knowledge that the run had of the benchmark: "zero-shot transfer", "name-only", "name-and-image", ...
        tier: Human masks that had a part in it: "S" none, "M" SAM-type ones; "none" where it learned from truth.
        left_over: Names of one side alone: `not_in_benchmark` (asked, not scored), `counted_as_background` (of the
            benchmark, not asked), `not_predicted` (scored, unknown to the system).

    Examples:
        >>> scores = namesake.evaluate("runs/first", benchmark="world", root="scenes")
        >>> str(scores.regime), scores.tier, list(scores.iou_per_name)
        ('zero-shot transfer', 'S', ['background', 'mug', 'car', 'tree', 'dog'])
    """

    mean_iou_over_dataset: float
    iou_per_name: Mapping[str, float]
    pixel_accuracy: float
    images: int
    instances: InstanceScores | None = None
    measures: Mapping[str, float] = field(default_factory=dict)
    regime: str = Regime.UNKNOWN
    tier: str = "unknown"
    left_over: Mapping[str, list[str]] = field(default_factory=dict)
