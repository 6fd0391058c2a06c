"""`Segmenter`: load what a run trained, segment images, save it again.

It opens from its folder without a network connection.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal, final

import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from namesake.encoders import Precision, arithmetic, pick_device, why_slow
from namesake.errors import ConfigError, ImagesError, WeightsError
from namesake.images.decode import Picture, as_image
from namesake.images.geometry import limit_longer_side, resize_longer_side
from namesake.masks.batches import at_once, by_size
from namesake.names import read_names
from namesake.networks.deeplab import DeepLab
from namesake.progress import note
from namesake.records import Names, Prediction
from namesake.segmenter import hub
from namesake.segmenter.card import write_card
from namesake.segmenter.careful import DEFAULTS, Careful, CarefulConfig, GivesLogits, open_careful
from namesake.segmenter.deeplab import KIND as DEEPLAB
from namesake.segmenter.deeplab import ClosedSet
from namesake.segmenter.kinds import KINDS, TILED, Predictor, TakesNames
from namesake.segmenter.query import OpenVocabulary
from namesake.segmenter.runtime import Runtime, coarse_by_onnx, coarse_in_8_bits, worth_onnx
from namesake.segmenter.settings import (
    CONFIG,
    FOLDER,
    SegmenterFolder,
    Settings,
    digest_of,
    find_segmenter,
    read_settings,
    save_segmenter,
)
from namesake.segmenter.tiles import predict_tiled
from namesake.shapes import ImageArray
from namesake.tensors import ImageBatch
from namesake.workspace import read_manifest, write_bytes


@final
class Segmenter:
    """Names the pixels of images.

    Args:
        predictor: Does the work on images of one size.
        settings: Content of `config.json`.
        device: Device that it computes on.
        precision: "no" for float32, autocast of the network to "bf16" or "fp16", or "int8" on the CPU: linear layers
            in 8 bits; convolutions too, once `on` has found their scales.
        key: Key of what made it, or a digest of its files where no stage did; other weights have another one.
        folder: Folder that it was loaded from, if it was.
        tile: Images with a longer side than this are segmented in tiles of it, at their own resolution, instead of
            being shrunk; None for no tiles.
        careful: Reads the images with care; None to read them in one pass.

    Raises:
        ConfigError: This kind knows no tiles or cannot be read with care, or the precision is unknown.

    Examples:
        >>> segmenter = namesake.load("runs/first")
        >>> segmenter.kind, segmenter.names.names
        ('saliency_clip', ('mug', 'car', 'tree', 'dog'))
        >>> found = segmenter.segment_many(["photos/images/000003.jpg", "photos/images/000008.jpg"])
        >>> [int(each.labels.max()) for each in found]
        [4, 3]
    """

    def __init__(
        self,
        predictor: Predictor,
        settings: Settings,
        *,
        device: torch.device = torch.device("cpu"),  # noqa: B008
        precision: Precision = "no",
        tile: int | None = None,
        key: str = "",
        folder: Path | None = None,
        careful: Careful | None = None,
    ) -> None:
        if tile is not None and (tile < 1 or not isinstance(predictor, TILED)):
            raise ConfigError(
                f"tile is {tile}; expected a side of 1 or more, and a segmenter of the kind query or aligned."
            )
        arithmetic(device, precision=precision)  # refuses one that is unknown, or that this machine has not
        self.predictor, self.settings = predictor, settings
        self.device, self.precision, self.tile, self.key = device, precision, tile, key
        self.folder, self.careful = folder, careful
        if careful is not None:
            self._check_careful()

    @property
    def names(self) -> Names:
        """What it segments; the label of the i-th is i, counted from 1, and 0 is background."""
        return self.settings.names

    @property
    def kind(self) -> str:
        """How it segments."""
        return self.settings.kind

    def with_names(self, names: Names | str | Path | Sequence[str]) -> "Segmenter":
        """The same segmenter with other names, those that it never saw among them; the network is shared.

        Args:
            names: Names, a comma list, a file of names, or a list of its lines. Labels count them from 1; synonyms
                have their name's.

        Raises:
            NamesError: There is no name, or one twice.
            ConfigError: The segmenter is of a kind whose names were fixed when it was trained, and read in one pass.
            WeightsError: The text encoder is missing or does not fit.
        """
        chosen = read_names(names)
        settings = replace(self.settings, names=chosen)
        if isinstance(self.predictor, TakesNames):
            return self._with(self.predictor.with_names(chosen), settings)
        if self.careful is None:
            raise ConfigError(
                f"a segmenter of the kind {self.kind!r} only knows the names that it was made with: "
                f"{', '.join(self.names.names[:8])}. Train one for other names, use an open-vocabulary one "
                "(zutis, fmbseg), or read the images with care (--read careful), where CLIP shares out background "
                "among new names."
            )
        return self._with(self.predictor, settings)

    def with_unsure(self) -> "Segmenter":
        """The same segmenter with the label "not sure" where confidence is low for the name.

        The least confidence of a name is a low quantile of its confidence on the training images.

        Raises:
            ConfigError: The segmenter keeps no least confidence.
        """
        if not isinstance(self.predictor, OpenVocabulary):
            raise ConfigError(f"a segmenter of the kind {self.kind!r} keeps no least confidence; kind query does.")
        if self.predictor.certainty.by_label(self.predictor.words) is None:
            raise ConfigError(
                "this segmenter keeps no least confidence: a published checkpoint has none, nor has one that was "
                "trained with unsure_fraction=0 or hardly at all. Train one, or look at the confidence itself."
            )
        inference = replace(self.predictor.inference, mark_unsure=True)
        return self._with(self.predictor.with_inference(inference), self.settings)

    @property
    def runtime(self) -> Literal["torch", "onnx"]:
        """What computes its network."""
        return self.predictor.runtime if isinstance(self.predictor, ClosedSet) else "torch"

    def on(self, runtime: Runtime, *, images: int, samples: Sequence[Picture] = ()) -> "Segmenter":
        """The same segmenter, whose network another runtime computes.

        For onnxruntime, the network is exported once, checked against torch, and kept in the segmenter's folder. With
        the precision int8, a convolutional network is always computed so.

        Args:
            runtime: "torch", "onnx", or "auto": onnxruntime where it is there, faster, and worth the export.
            images: Number of images that will be segmented.
            samples: With the precision int8, images to find the scales of a convolutional network on, where none are
                kept; those that cannot be read are left out.

        Raises:
            ConfigError: It is of a kind that gains nothing from it, is not on the CPU, packages or samples miss, or
                the precision has another runtime.
            WeightsError: The exported network does not compute the same.
        """
        if self.runtime == "onnx":
            return self
        predictor = self.predictor
        if isinstance(predictor, ClosedSet) and (network := self._without_graph) is not None:
            if runtime == "torch":
                raise ConfigError("precision int8 computes convolutions by onnxruntime; leave out --runtime torch.")
            inputs = partial(self._inputs, predictor, samples)
            coarse, graph = coarse_in_8_bits(network, self.folder, inputs)
            return self._with(predictor.with_coarse(coarse, graph=graph), self.settings)
        wanted = runtime == "onnx" or (
            runtime == "auto"
            and self.folder is not None
            and worth_onnx(self.folder, images=images, device=str(self.device), precision=self.precision)
        )
        if not wanted:
            return self
        plain = self.device.type == "cpu" and self.precision == "no"
        if isinstance(predictor, ClosedSet) and isinstance(predictor.network, DeepLab) and plain:
            coarse = coarse_by_onnx(predictor.network, self.folder)
            return self._with(predictor.with_coarse(coarse), self.settings)
        raise ConfigError(
            f"the onnx runtime computes the kind {DEEPLAB!r} (namedmask) on the CPU in float32 or int8; found the kind "
            f"{self.kind!r} on {self.device.type}, precision {self.precision}. Use --runtime torch, which computes "
            "transformers faster anyway."
        )

    @property
    def _without_graph(self) -> DeepLab | None:
        """The network, where it is to be computed in 8 bits and takes a graph for that, which it has not yet."""
        network = self.predictor.network if isinstance(self.predictor, ClosedSet) else None
        wanted = self.precision == "int8" and self.runtime == "torch"
        return network if wanted and isinstance(network, DeepLab) else None

    def _inputs(self, predictor: ClosedSet, samples: Sequence[Picture]) -> list[Float[ndarray, "1 3 height width"]]:
        """What the network is given of images that can be read; it is not computed.

        Raises:
            ConfigError: There is none.
        """
        seen: list[ndarray] = []
        reasons = []

        def coarse(x: ImageBatch) -> Tensor:
            seen.append(x.numpy(force=True))
            return x.new_zeros(len(x), len(predictor.labels), 1, 1)

        looking = Segmenter(predictor.with_coarse(coarse), self.settings, device=self.device)
        for each in samples:
            try:
                looking.segment(each)
            except ImagesError as error:
                reasons.append(str(error))
        if not seen:
            reason = reasons[0] if reasons else "none was given, see the argument `samples` of Segmenter.on"
            raise ConfigError(f"precision int8 wants images to find the scales of the network's numbers on: {reason}.")
        return seen

    def read_carefully(self, config: CarefulConfig = DEFAULTS) -> "Segmenter":
        """The same segmenter, which takes several passes for an image and lets a CLIP have a say; see `careful`.

        Args:
            config: Settings; the CLIP is the one that the segmenter was made with, unless it names another.

        Raises:
            ConfigError: The segmenter cannot be read so, or no CLIP is known.
            WeightsError: The CLIP is missing.
        """
        if config.scales is None and self.settings.enlarge:
            config = replace(config, scales=(1.0,))
        sources = [card.source for card in self.settings.models]
        learned = self.names if self.careful is None else self.careful.known
        known = None if isinstance(self.predictor, TakesNames) else learned
        careful = open_careful(self.names, made_with=sources, config=config, device=str(self.device), known=known)
        return self._with(self.predictor, self.settings, careful=careful)

    def _with(self, predictor: Predictor, settings: Settings, *, careful: Careful | None = None) -> "Segmenter":
        same = settings.names == self.settings.names
        if self.careful is not None and careful is None:
            careful = self.careful if same else self.careful.with_names(settings.names)
        return Segmenter(
            predictor,
            settings,
            device=self.device,
            precision=self.precision,
            tile=self.tile,
            key=self.key,
            folder=self.folder if same else None,
            careful=careful,
        )

    def _check_careful(self) -> None:
        if not isinstance(self.predictor, GivesLogits):
            raise ConfigError(
                f"a segmenter of the kind {self.kind!r} gives no logits to read with care; kinds that do: deeplab, "
                "frozen, query, aligned. Leave out the careful reading."
            )
        if self.tile is not None:
            raise ConfigError("tiles are read in one pass each; leave out either the tile or the careful reading.")
        if isinstance(self.predictor, OpenVocabulary) and self.predictor.inference.mark_unsure:
            raise ConfigError(
                "the least confidence of a name was found for reading in one pass; leave out either unsure or the "
                "careful reading, or look at the confidence itself."
            )

    def segment(
        self,
        image: Picture,
        *,
        names: Names | str | Path | Sequence[str] | None = None,
        resize_longer: int | None = None,
    ) -> Prediction:
        """Labels, confidence and, where its kind finds them, objects of one image, at its original size.

        Args:
            image: A file, its content, a PIL image, or an array [height, width] or [height, width, 3]; see `as_image`.
            names: Segment these instead of its own; see `with_names`.
            resize_longer: Shrink larger images to this side for the network; its own limit if None.

        Raises:
            ImagesError: It is none of these, or cannot be read.
        """
        chosen = self if names is None else self.with_names(names)
        return chosen.segment_many([image], resize_longer=resize_longer)[0]

    def segment_many(
        self,
        images: Sequence[Picture],
        *,
        batch_size: int = 8,
        resize_longer: int | None = None,
    ) -> list[Prediction]:
        """Segment several images, those of one size together; the order is kept.

        Args:
            images: Images as in `segment`; all are in memory at once, so give a large collection in parts.
            batch_size: Images at once in the network, at most; fewer where they are large.
            resize_longer: Longer side in pixels, see `segment`.

        Raises:
            ImagesError: One of them cannot be read.
        """
        arrays = [as_image(image) for image in images]
        found = by_size(
            arrays, lambda some: self._predict(some, resize_longer), most=lambda size: min(batch_size, at_once(size))
        )
        return [replace(each, image=array, names=self.names) for each, array in zip(found, arrays, strict=True)]

    def _predict(self, images: Sequence[ImageArray], resize_longer: int | None) -> list[Prediction]:
        """Predictions for images of one size."""
        height, width = images[0].shape[:2]
        tiled = self.tile is not None and max(height, width) > self.tile and resize_longer is None
        if self._without_graph is not None:
            raise ConfigError(
                "precision int8 computes a convolutional network by onnxruntime: call segmenter.on('auto', images=..., "
                "samples=[...]) first, with some images to find the scales of its numbers on."
            )
        # a graph has its precision within
        precision = "no" if self.runtime == "onnx" and self.careful is None else self.precision
        with arithmetic(self.device, precision=precision):
            if tiled and isinstance(self.predictor, TILED):
                return [predict_tiled(self.predictor, image, tile=self.tile or 0) for image in images]
            fit = resize_longer_side if self.settings.enlarge and resize_longer is None else limit_longer_side
            fitted = [fit(image, side=resize_longer or self.settings.resize_longer) for image in images]
            if self.careful is not None and isinstance(self.predictor, GivesLogits):
                return self.careful.predict(self.predictor, fitted, height=height, width=width)
            return self.predictor.predict(fitted, height=height, width=width)

    def save(self, folder: Path) -> SegmenterFolder:
        """Write `model.safetensors`, then `config.json`.

        Raises:
            ConfigError: It was asked for names that its weights do not know.
        """
        if self.careful is not None and self.careful.known not in {None, self.names}:
            raise ConfigError(
                f"{', '.join(self.names.names[:8])} were asked for when it is read with care, but its weights know "
                f"{', '.join(self.careful.known.names[:8] if self.careful.known else ())}. Save the segmenter that it "
                "was made of."
            )
        return save_segmenter(self.settings, self.predictor.weights(), folder)

    def save_pretrained(self, folder: Path | str, *, source: str | None = None) -> SegmenterFolder:
        """As `save`, with a model card: names, regime, tier, licences of what it was made from, scores of its run, use.

        Args:
            folder: Made if missing; `from_pretrained(folder)` opens it.
            source: Address in the card that it is loaded from; the folder if None.

        Raises:
            DataError: A record of the run that it was loaded from is damaged.
        """
        where = Path(folder)
        made = self.save(where)
        run = self.folder.parent if self.folder is not None and self.folder.name == FOLDER else None
        card = write_card(self.settings, title=where.resolve().name, source=source or str(folder), run=run)
        write_bytes(where / hub.CARD, card)
        return made

    def push_to_hub(self, repository: str, *, private: bool = False) -> str:
        """Publish it, with its model card, on the Hugging Face hub; the token is that of `hf auth login` or HF_TOKEN.

        Args:
            repository: `org/name`; made where there is none. `namesake.load("hf-hub:org/name")` opens it.
            private: Whether a new repository is.

        Returns:
            Address of the commit.

        Raises:
            WeightsError: The hub refuses or cannot be reached.
        """
        name = repository.removeprefix(hub.PREFIX)
        with tempfile.TemporaryDirectory() as parent:
            folder = Path(parent) / name.rpartition("/")[2]
            self.save_pretrained(folder, source=f"{hub.PREFIX}{name}")
            return hub.upload(folder, name, private=private)

    @classmethod
    def from_pretrained(cls, source: Path | str, *, device: str = "auto") -> "Segmenter":
        """Open a folder that `save_pretrained` wrote, a run, or `hf-hub:org/name`; see `load_segmenter`."""
        return load_segmenter(source, device=device)


def load_segmenter(
    folder: Path | str, *, device: str = "auto", precision: Precision = "no", tile: int | None = None
) -> Segmenter:
    """Make a segmenter ready.

    Args:
        folder: Folder of the segmenter, or of the run that holds it; or `hf-hub:org/name`, which is fetched from the
            hub.
        device: "auto", "cpu" or "cuda".
        precision: "no", "bf16", "fp16" or "int8"; see `Segmenter`.
        tile: Side of tiles for images beyond memory; see `Segmenter`.

    Raises:
        WeightsError: There is none, or it is damaged or of an unknown kind.

    Examples:
        >>> segmenter = namesake.load("runs/first")
        >>> segmenter.segment("photos/images/000003.jpg").labels.shape
        (96, 96)
    """
    where = find_segmenter(hub.download(str(folder)) if str(folder).startswith(hub.PREFIX) else Path(folder))
    settings = read_settings(where)
    if settings.kind not in KINDS:
        raise WeightsError(
            f"{where / CONFIG} is of the kind {settings.kind!r}; this version knows {', '.join(KINDS)}. "
            "Upgrade namesake."
        )
    chosen = pick_device(device)
    if slow := why_slow(chosen, precision):
        note(slow)
    predictor = KINDS[settings.kind](settings, where, chosen)
    key = str((read_manifest(where) or {}).get("key", "")) or digest_of(where)
    return Segmenter(predictor, settings, device=chosen, precision=precision, tile=tile, key=key, folder=where)
