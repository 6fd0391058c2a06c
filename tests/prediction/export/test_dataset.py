import numpy as np


def test_read__split_by_split_with_objects_within_the_image(dataset, masks_of):
    images = list(dataset.read())
    assert [image.split for image in images] == ["train"] * 5 + ["val"]
    for image in images:
        labels = dataset.labels(image)
        assert labels.shape == (image.height, image.width)
        assert (dataset.folder / "images" / image.split / image.file).is_file()
        for each, mask in zip(image.annotations, masks_of(image), strict=True):
            assert mask.sum() == each["area"]
        if dataset.objects.read(image.file)["kind"] == "pieces":
            assert np.array_equal(masks_of(image).any(axis=0), (labels > 0) & (labels < 255))
