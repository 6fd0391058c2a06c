"""Curators in; the functions that answer the clicks of "Learned from" out."""

from collections.abc import Callable, Sequence
from functools import wraps
from html import escape
from typing import Any, ParamSpec, TypeVar, final

import gradio as gr

from namesake.app.curate import Click, Curator, Order
from namesake.errors import NamesakeError

P = ParamSpec("P")
Answer = TypeVar("Answer")


def told(answer: Callable[P, Answer]) -> Callable[P, Answer]:
    """The same function, whose errors a visitor can read."""

    @wraps(answer)
    def call(*asked: P.args, **more: P.kwargs) -> Answer:
        try:
            return answer(*asked, **more)
        except NamesakeError as error:
            raise gr.Error(escape(str(error)), duration=12, print_exception=False) from error

    return call


@final
class Curating:
    """What the page calls, with run, name, order and page that the visitor looks at."""

    def __init__(self, curators: Sequence[Curator]) -> None:
        self._curators = curators

    def tiles(self, run: int, name: str | None, order: Order, page: float | None) -> tuple[str, str]:
        """Tiles, and what has been chosen."""
        curator = self._curators[run or 0]
        return curator.tiles(name or "", order, int(page or 1)), curator.state()

    @told
    def show(self, run: int, name: str | None, order: Order, page: float | None) -> tuple[Any, ...]:
        """Words, tiles, and what has been chosen."""
        curator = self._curators[run or 0]
        words = curator.words(name) if name in curator.names.names else ""
        return gr.Textbox(words, interactive=curator.allowed), *self.tiles(run, name, order, page)

    @told
    def reword(self, run: int, name: str, order: Order, page: float | None, text: str) -> tuple[Any, ...]:
        """After the words were changed."""
        curator = self._curators[run or 0]
        curator.reword(name, text or "")
        return gr.Textbox(curator.words(name)), *self.tiles(run, name, order, page)

    @told
    def choose(self, run: int, name: str, order: Order, page: float | None, event: gr.EventData) -> tuple[Any, ...]:
        """Tiles, state, the mask that is being drawn, its panel and picture, after a button of a tile."""
        image, choice, curator = str(event.image), str(event.choice), self._curators[run or 0]
        click, picture = None, None
        if choice == "redraw":
            click, picture = curator.click(name, Click(image), None)
        else:
            curator.choose(name, image, choice)
        return *self.tiles(run, name, order, page), click, gr.Column(visible=click is not None), picture

    @told
    def click(self, run: int, name: str, click: Click | None, event: gr.SelectData) -> tuple[Any, ...]:
        """The mask that is being drawn, and its picture, after a click on it."""
        if click is None:
            return None, None
        x, y = event.index
        return self._curators[run or 0].click(name, click, (float(x), float(y)))

    @told
    def anew(self, run: int, name: str, click: Click | None) -> tuple[Any, ...]:
        """The same without a point."""
        return (None, None) if click is None else self._curators[run or 0].click(name, click, None)

    @told
    def keep(self, run: int, name: str, order: Order, page: float | None, click: Click | None) -> tuple[Any, ...]:
        """Tiles, state, no mask that is being drawn, and a hidden panel."""
        if click is not None:
            self._curators[run or 0].keep(name, click)
        return *self.tiles(run, name, order, page), None, gr.Column(visible=False)
