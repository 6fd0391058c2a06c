import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from namesake.errors import ImagesError
from namesake.images import open_images, read_ahead, work_ahead


def readers_are_gone() -> bool:
    """Within a minute."""
    for thread in threading.enumerate():
        if thread.name.startswith("read-ahead"):
            thread.join(60)
    return not any(thread.name.startswith("read-ahead") for thread in threading.enumerate())


def test_read_ahead__order_of_ids_and_errors_as_values(folder: Path, photo: np.ndarray):
    (folder / "b.png").write_bytes(b"broken")
    images = open_images(folder)
    ids = [*images.ids[::-1], "a.png", "missing.png"]
    results = list(read_ahead(images, iter(ids), workers=3, ahead=2))
    assert [image_id for image_id, _ in results] == ids
    assert isinstance(results[0][1], ImagesError)
    assert isinstance(results[-1][1], ImagesError)
    assert "missing.png: cannot be read" in str(results[-1][1])
    for _, image in results[1:-1]:
        np.testing.assert_array_equal(image, photo)


def test_read_ahead__order_kept_when_later_ones_are_faster():
    def work(image_id: str) -> str:
        time.sleep(0.02 if image_id == "0" else 0)
        return image_id * 2

    ids = [str(number) for number in range(50)]
    assert list(work_ahead(work, ids, workers=4, ahead=8)) == [(one, one * 2) for one in ids]


@pytest.mark.parametrize("ahead", [0, 1, 5])
def test_work_ahead__bounded(ahead: int):
    begun: list[str] = []
    results = work_ahead(lambda one: begun.append(one) or one, (str(number) for number in range(40)), ahead=ahead)
    for taken in range(1, 6):
        next(results)
        time.sleep(0.01)
        assert len(begun) <= taken + ahead
    results.close()


def test_work_ahead__stops_when_the_consumer_stops():
    begun: list[str] = []

    def work(one: str) -> str:
        begun.append(one)
        time.sleep(0.005)
        return one

    for one, _ in work_ahead(work, (str(number) for number in range(1000)), ahead=10):
        if one == "3":
            break
    assert len(begun) < 20
    assert readers_are_gone()


def test_work_ahead__other_errors_are_raised():
    def work(one: str) -> str:
        raise KeyError(one)

    with pytest.raises(KeyError):
        list(work_ahead(work, ["a", "b"]))
    assert readers_are_gone()


def test_work_ahead__no_ids():
    assert list(work_ahead(lambda one: one, [])) == []


def test_read_ahead__error_holds_no_trace(folder: Path):
    (folder / "b.png").write_bytes(b"broken" * 1000)
    ((_, error),) = read_ahead(open_images(folder), ["b.png"])
    assert isinstance(error, ImagesError)
    assert error.__traceback__ is None
    assert error.__cause__ is None


def test_read_ahead__thousands_in_bounded_memory(tmp_path: Path):
    """What is held never exceeds `ahead` images and the ones at work."""
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png")
    held, most, lock = set(), [0], threading.Lock()

    def work(one: str) -> str:
        with lock:
            held.add(one)
            most[0] = max(most[0], len(held))
        return one

    for one, _ in work_ahead(work, (str(number) for number in range(3000)), workers=2, ahead=16):
        with lock:
            held.discard(one)
    assert most[0] <= 18


def test_work_ahead__left_early_it_waits_for_nothing():
    """The garbage collector may close it, in any thread: to wait for a thread there is to wait for ever."""
    go_on = threading.Event()
    results = work_ahead(lambda one: one if one == "0" else go_on.wait(600), iter("0123"), workers=1, ahead=2)
    assert next(results) == ("0", "0")
    closing = threading.Thread(target=results.close, daemon=True)
    closing.start()
    closing.join(60)
    assert not closing.is_alive()
    go_on.set()
    assert readers_are_gone()
