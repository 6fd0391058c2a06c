"""Ask one open-vocabulary run (zutis, fmbseg) for any names, also such as it never saw; no training.

python examples/open_vocabulary.py runs/zutis photo.jpg "teapot, cup" "red mushroom, grass"
"""

import argparse
from pathlib import Path

import namesake


def main() -> None:
    """Segment one picture once for each list of names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("image", type=Path)
    parser.add_argument("names", nargs="+", help="Comma lists.")
    options = parser.parse_args()

    segmenter = namesake.load(options.run)
    for names in options.names:
        asked = segmenter.with_names(names)  # only the texts are encoded anew; the network is shared
        result = asked.segment(options.image)
        for label, name in enumerate(asked.names.names, start=1):
            there = result.labels == label
            sure = f", confidence {result.confidence[there].mean():.2f}" if there.any() else ""
            print(f"{name}: {there.mean():.1%} of the picture{sure}")
        for name, score in (
            zip(result.instances.names, result.instances.scores, strict=True) if result.instances else ()
        ):
            print(f"  one {name}, score {score:.2f}")


if __name__ == "__main__":
    main()
