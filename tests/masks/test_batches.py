import numpy as np

from namesake.errors import ImagesError
from namesake.masks.batches import by_size, in_windows


def test_in_windows__order_and_errors_stay() -> None:
    broken, given = ImagesError("cannot be read"), []

    def look(some: list[int]) -> list[int]:
        given.append(some)
        return [10 * each for each in some]

    read = iter([("a", 1), ("b", broken), ("c", 3), ("d", broken), ("e", broken), ("f", 6)])
    assert list(in_windows(read, 3, look)) == [
        ("a", 10),
        ("b", broken),
        ("c", 30),
        ("d", broken),
        ("e", broken),
        ("f", 60),
    ]
    assert given == [[1, 3], [6]]


def test_in_windows__nothing() -> None:
    assert not list(in_windows(iter(()), 3, list))


def test_by_size__images_of_one_size_together_and_in_order() -> None:
    wide, tall, given = (2, 4, 3), (4, 2, 3), []
    images = [np.full(shape, number, np.uint8) for number, shape in enumerate((wide, tall, wide, wide, tall, wide))]

    def look(some: list[np.ndarray]) -> list[int]:
        given.append([int(image.flat[0]) for image in some])
        return given[-1]

    assert by_size(images, look, most=lambda shape: 3 if shape == wide else 1) == [0, 1, 2, 3, 4, 5]
    assert given == [[0, 2, 3], [5], [1], [4]]
