"""For each name, the reference feature of what its archive images share (ReCo).

ReCo, https://arxiv.org/abs/2206.07045, section 3.2, over the operations of `cosegment`. Checked against the published
code's seeds and references.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import final

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from namesake.archives import rows
from namesake.config import option
from namesake.encoders import Clip, Dino, Precision, load_clip, load_dino
from namesake.encoders.preprocess import centre_crop
from namesake.errors import DataError, ImagesError
from namesake.images import read_image, work_ahead
from namesake.images.geometry import resize_shorter_side
from namesake.masks.cosegment import context_references, eliminate_contexts, language_attention, reference_embedding
from namesake.names.prompts import embed
from namesake.progress import track
from namesake.records import Archives, Artifact, ModelCard, Names
from namesake.shapes import ImageArray
from namesake.tensors import PatchFeatures
from namesake.workspace import read_facts, stage, write_array, write_json

DESCRIPTION, VECTORS = "references.json", "references.npy"
BATCH = 32


@dataclass(frozen=True)
class ReferencesConfig:
    """How images of one name are co-segmented; the defaults are ReCo's but for the encoders, which are nearest kin.

    The published ones are a distilled DeiT-S/16 trained on stylised ImageNet, whose file (`deit_s_sin_dist.pth`, on no
    hub) can be given as `dino`, and CLIP RN50x16, `timm/resnet50x16_clip.openai`, which is twice as large.
    """

    dino: str = option("facebook/dino-vits16", "Image encoder whose patches are compared.")
    block: int | None = option(None, "Take the patches from this block, counted from 0; None for the last.", at_least=0)
    clip: str = option("openai/clip-vit-base-patch16", "CLIP whose dense features attend to the name.")
    contexts: tuple[str, ...] = option(
        ("tree", "sky", "building", "road", "person"),
        "Names whose references are kept out of all others; none leaves context elimination out.",
    )
    language: bool = option(True, "Weigh patches by how far CLIP takes them for the name.")
    wide_seed_columns: bool = option(
        True, "Search seeds as the released code does; False repairs its column range (see `cosegment.find_seeds`)."
    )
    crop_size: int = option(224, "Images are brought to this shorter side and cropped to a square.", at_least=16)


@dataclass(frozen=True)
class References(Artifact):
    """One vector a name.

    Attributes:
        names: The names, in label order.
        encoder: Source of the encoder in whose space the vectors lie.
        block: Block of it that they come from; None for the last.
        vectors: float32, each of length 1.
    """

    names: Names = field(default_factory=lambda: Names(()))
    encoder: str = ""
    block: int | None = None
    vectors: Float[ndarray, "names dim"] = field(default_factory=lambda: np.zeros((0, 0), np.float32))


def with_contexts(names: Names, contexts: Sequence[str]) -> Names:
    """The names, followed by the contexts that are none of them: an archive is needed for each."""
    others = tuple(context for context in contexts if context not in names.names)
    none = ((),) * len(others)
    return replace(
        names,
        names=(*names.names, *others),
        synonyms=(*names.synonyms, *none) if names.synonyms else (),
        against=(*names.against, *none) if names.against else (),
    )


def open_references(folder: Path) -> References:
    """Open what `co_segment` wrote.

    Raises:
        DataError: Something is missing or damaged.
    """
    try:
        facts = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        vectors = np.load(folder / VECTORS, allow_pickle=False)
        names = Names(tuple(facts["names"]))
        if len(vectors) != len(names):
            raise ValueError(f"{len(vectors)} vectors for {len(names)} names")
        encoder, block = str(facts["encoder"]), facts["block"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder} holds no references ({error}). Run the mask stage again.") from error
    counts, models = read_facts(folder)
    return References(folder, counts, models, names, encoder, block, vectors)


@stage(
    "masks/references",
    opens=open_references,
    models=lambda config: (config.dino, config.clip if config.language else ""),
)
def co_segment(
    out: Path,
    archives: Archives,
    names: Names,
    *,
    config: ReferencesConfig = ReferencesConfig(),
    device: str = "auto",
    precision: Precision = "no",
) -> References:
    """Find, for each name, the vector of what the images of its archive share.

    A name that is a context, or has one among its synonyms ("vegetation, tree"), gets the context's vector, as the
    published code does for "vegetation".

    Args:
        out: The stage's folder.
        archives: Archives of the names and of the contexts; see `with_contexts`.
        names: Names to make references for.
        config: Encoders and which of the steps to take.
        device: "auto", "cpu" or "cuda".
        precision: "no" for float32, "bf16", "fp16", or "int8" on the CPU; see `encoders.Precision`.

    Returns:
        The references, with the counts `names` and `images` (read, a picture of several archives once in each).

    Raises:
        ImagesError: None of a name's images can be read.
        WeightsError: An encoder is missing.
    """
    finder = _Finder(archives, config, device=device, precision=precision)
    contexts = context_references(map(finder.look, config.contexts), wide_seed_columns=config.wide_seed_columns)
    found = np.stack(
        [finder.reference(name, contexts).cpu().numpy() for name in track(names.names, what="co-segmenting")]
    )
    write_array(out / VECTORS, found)
    write_json(out / DESCRIPTION, {"names": names.names, "encoder": config.dino, "block": config.block})
    counts = {"names": len(names), "images": finder.read}
    return References(out, counts, finder.cards, names, config.dino, config.block, found)


@final
class _Finder:
    """Looks at the archives of names."""

    def __init__(self, archives: Archives, config: ReferencesConfig, *, device: str, precision: Precision) -> None:
        self.archives, self.config, self.read = archives, config, 0
        table = rows(archives).select(["name", "image_id"]).to_pydict()
        self.ids: dict[str, list[str]] = {name: [] for name in archives.names.names}
        for name, image_id in zip(table["name"], table["image_id"], strict=True):
            self.ids[name].append(image_id)
        self.encoder: Dino = load_dino(config.dino, device=device, precision=precision)
        self.clip: Clip | None = None
        if config.language:
            self.clip = load_clip(config.clip, device=device, precision=precision)
        self.texts = None if self.clip is None else torch.from_numpy(embed(archives.names, self.clip))
        self.words = {words[0]: set(words) for words in archives.names.words}

    @property
    def cards(self) -> tuple[ModelCard, ...]:
        """Of the encoders used."""
        used = (self.encoder.card,) if self.clip is None else (self.encoder.card, self.clip.card)
        return tuple(dict.fromkeys((*self.archives.models, *used)))

    def reference(self, name: str, contexts: Float[Tensor, "contexts dim"]) -> Float[Tensor, " dim"]:
        """The vector of one name."""
        for context, vector in zip(self.config.contexts, contexts, strict=True):
            if context in self.words[name]:
                found: Float[Tensor, " dim"] = vector
                return found
        features, weights = self.look(name)
        weights = weights * eliminate_contexts(features, contexts.to(features))
        return reference_embedding(features, weights, wide_seed_columns=self.config.wide_seed_columns)

    @torch.inference_mode()
    def look(self, name: str) -> tuple[PatchFeatures, Float[Tensor, "batch rows columns"]]:
        """Patch features of a name's images, and how far CLIP takes each patch for it (1 without language)."""
        images = self._images(name)
        batches = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
        features = torch.cat([self.encoder.dense(some, block=self.config.block) for some in batches])
        if self.clip is None or self.texts is None:
            return features, features.new_ones(features.shape[:3])
        text = self.texts[self.archives.names.label_of(name) - 1].to(features)
        dense = torch.cat([self.clip.dense(some) for some in batches])
        return features, language_attention(dense, text, rows=features.shape[1], columns=features.shape[2])

    def _images(self, name: str) -> list[ImageArray]:
        def read(image_id: str) -> ImageArray:
            image = resize_shorter_side(read_image(self.archives.images.path(image_id)), side=self.config.crop_size)
            return centre_crop(image, height=self.config.crop_size, width=self.config.crop_size)

        images = [image for _, image in work_ahead(read, self.ids[name]) if not isinstance(image, ImagesError)]
        if not images:
            raise ImagesError(
                f"{name}: none of the {len(self.ids[name])} images of its archive can be read. Leave the name out, or "
                "give images that show it."
            )
        self.read += len(images)
        return images
