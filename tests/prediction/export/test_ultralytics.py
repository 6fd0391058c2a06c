import yaml

from namesake.prediction.export.index_png import read_index_png


def test_data_yaml__every_image_has_its_mask_and_every_label_a_name(dataset):
    file = dataset.folder / "data.yaml"
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert content["names"] == {0: "background", 1: "dusk", 2: "noon"}
    root = file.parent / content["path"]  # as Ultralytics resolves an empty path
    for split in ("train", "val"):
        images = [path for path in (root / content[split]).rglob("*") if path.is_file()]
        assert len(images) == len(dataset.ids[split])
        for path in images:
            mask = str(path.with_suffix(".png")).replace("/images/", f"/{content['masks_dir']}/")
            assert set(read_index_png(type(path)(mask)).ravel().tolist()) <= {*content["names"], 255}
