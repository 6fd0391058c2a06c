import json

from namesake.prediction.export.index_png import read_index_png


def test_classes__every_id_that_occurs_is_listed(dataset, made):
    classes = json.loads((dataset.folder / "classes.json").read_text(encoding="utf-8"))
    assert classes == {"0": "background", "1": "dusk", "2": "noon", "255": "ignore"}
    assert made.exports["lightly_train"]["ignore_classes"] == [255]
    for path in (dataset.folder / "masks").rglob("*.png"):
        assert {str(label) for label in set(read_index_png(path).ravel().tolist())} <= classes.keys()
