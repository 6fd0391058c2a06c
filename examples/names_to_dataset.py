"""Names and unlabelled images to a labelled dataset that other trainers read as it is.

python examples/names_to_dataset.py "dog, cat, park bench" photos/ dataset/
"""

import argparse
from pathlib import Path

import namesake
from namesake.images import open_images
from namesake.prediction import DatasetConfig, predict_images, write_dataset
from namesake.segmenter import open_segmenter
from namesake.workspace import Workspace


def main() -> None:
    """Train on the images, label the same images, write every format."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names")
    parser.add_argument("images", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--system", default="namedmask")
    parser.add_argument("--preset", default="paper")
    parser.add_argument("--config", action="append", default=[], help="path=value, such as training.iterations=500")
    options = parser.parse_args()

    run, images = options.out / "run", open_images(options.images)
    namesake.run(
        options.system, names=options.names, images=images, out=run, preset=options.preset, config=tuple(options.config)
    )
    with Workspace(run) as workspace:
        predictions = workspace.step(predict_images, open_segmenter(run / "segmenter"), images, names=None)
    dataset = write_dataset(predictions, images, out=options.out, config=DatasetConfig(unsure=0.1, validation=0.2))
    print(dataset.counts)
    print(*(f"{name}: {facts}" for name, facts in dataset.exports.items()), sep="\n")


if __name__ == "__main__":
    main()
