"""Names and unlabelled images to a labelled dataset that other trainers read as it is.

python examples/names_to_dataset.py "dog, cat, park bench" photos/ dataset/
"""

import argparse
from pathlib import Path

import namesake


def main() -> None:
    """Train on the images, label the same images, write every format."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names")
    parser.add_argument("images", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--system", default="namedmask")
    parser.add_argument("--preset", default="auto")
    parser.add_argument("--config", action="append", default=[], help="path=value, such as training.iterations=500")
    options = parser.parse_args()

    dataset = namesake.label(
        options.system,
        names=options.names,
        images=options.images,
        out=options.out,
        preset=options.preset,
        config=tuple(options.config),
    )
    print(dataset.counts)
    print(*(f"{name}: {facts}" for name, facts in dataset.exports.items()), sep="\n")


if __name__ == "__main__":
    main()
