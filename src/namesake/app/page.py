"""Segmenters and run folders in, the web page out: what is where, and which function answers which click."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from namesake.app import look, panes
from namesake.app.browse import Browser
from namesake.app.curate import ORDERS, Curator
from namesake.app.curating import Curating, told
from namesake.app.look import View, Viewer
from namesake.images import read_image
from namesake.shapes import ImageArray

WAITING = 32
"""Requests in the queue; further ones are told to come back later."""
KEPT_SECONDS = 1800
"""Age at which uploads and files for download are deleted."""
HERE = Path(__file__).parent
MOST_OPEN = 8
"""More names to tick are folded away: on a phone they would lie between the picture and the answer."""
VIEWS: tuple[View, ...] = ("areas", "objects", "confidence")


@dataclass(frozen=True)
class Subject:
    """One run on the page."""

    title: str
    viewer: Viewer
    browser: Browser
    curator: Curator


def build_page(subjects: Sequence[Subject], *, pixels: int, folder: Path) -> gr.Blocks:
    """The page of one or two runs.

    Args:
        subjects: The runs.
        pixels: Most pixels of a picture that a visitor sends.
        folder: Folder of uploads and files for download.
    """
    names = " and ".join(subject.title for subject in subjects)
    with gr.Blocks(title=f"namesake: {names}", analytics_enabled=False, delete_cache=(60, KEPT_SECONDS)) as page:
        gr.HTML(_head(subjects), elem_classes="head")
        with gr.Tab("Segment"):
            _segment_tab(subjects, _answer(subjects, pixels, folder))
        with gr.Tab("Learned from") as tab:
            _browse_tab(subjects, tab)
        with gr.Tab("Report") as tab:
            _report_tab(subjects, tab)
        with gr.Tab("Help", id="help"):
            gr.HTML((HERE / "help.html").read_text(encoding="utf-8"), elem_classes="help", padding=True)
    return page.queue(max_size=WAITING, api_open=False, default_concurrency_limit=1)


def _segment_tab(subjects: Sequence[Subject], answer: Callable[..., list[Any]]) -> None:
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            picture = gr.Image(
                label="Picture",
                type="filepath",
                sources=["upload", "webcam", "clipboard"],
                buttons=[],
                height=300,
                elem_id="picture",
            )
            # the file as it came: our own reader decodes it, which knows the limits and names the fault
            picture.preprocess = lambda sent: sent.path if sent else None
            examples = next((found for subject in subjects if (found := subject.browser.examples())), [])
            gallery = gr.Gallery(
                examples,
                label="Or pick one",
                columns=4,
                height="auto",
                allow_preview=False,
                buttons=[],
                interactive=False,
                visible=bool(examples),
                object_fit="cover",
                elem_id="examples",
            )
            typed = _typed(subjects)
            button = gr.Button("Segment", variant="primary", elem_id="segment")
            ticked = _ticked(subjects)
        with gr.Column(scale=5, min_width=320):
            with gr.Row():
                view = gr.Radio(list(VIEWS), value="areas", label="Show", min_width=300, elem_id="view")
                least = gr.Slider(
                    0, 100, value=0, step=1, label="Not sure below (percent)", min_width=300, elem_id="least"
                )
            shown = _viewer(subjects)
            with gr.Row():
                files = [part for number, subject in enumerate(subjects) for part in _files(subject, number, subjects)]
    inputs, outputs = [picture, typed, ticked, view, least], [shown, *files]
    ask = {"fn": answer, "inputs": inputs, "outputs": outputs, "concurrency_id": "network", "api_visibility": "private"}
    gr.on([button.click, picture.change], trigger_mode="always_last", **ask)
    gr.on([view.input, least.change, ticked.input], show_progress="hidden", trigger_mode="always_last", **ask)
    gallery.select(_pick(examples), outputs=picture, api_visibility="private")


def _typed(subjects: Sequence[Subject]) -> gr.Textbox:
    """Where names are typed, for runs that take any."""
    taking = [subject for subject in subjects if subject.viewer.takes_names]
    own = list(dict.fromkeys(name for each in taking for name in each.viewer.segmenter.names.names))
    return gr.Textbox(
        look.listed(own),
        label=f"Names, with commas between them{_of(taking, subjects)}",
        info="Enter segments, Shift+Enter makes a line. Left empty: the names that it was made with.",
        placeholder="dog, cat, park bench",
        lines=2,
        max_lines=6,
        max_length=look.LONGEST_TEXT,
        visible=bool(taking),
        elem_id="names",
    )


def _ticked(subjects: Sequence[Subject]) -> gr.CheckboxGroup:
    """Where names are ticked, for runs that know their own only."""
    knowing = [subject for subject in subjects if not subject.viewer.takes_names]
    known = list(dict.fromkeys(name for each in knowing for name in each.viewer.segmenter.names.names))
    label = f"Names to show{_of(knowing, subjects)}"
    with gr.Accordion(label, open=len(known) <= MOST_OPEN, visible=bool(knowing), elem_id="names-to-show"):
        return gr.CheckboxGroup(known, value=known, label=label, show_label=False, elem_id="ticks")


def _of(some: Sequence[Subject], subjects: Sequence[Subject]) -> str:
    """Which runs are meant, where not all are."""
    return f" ({some[0].title})" if 0 < len(some) < len(subjects) else ""


def _viewer(subjects: Sequence[Subject]) -> gr.HTML:
    """The panes of all runs, with what fades, enlarges and slides them."""
    return gr.HTML(
        panes.waiting([subject.title for subject in subjects]),
        html_template=(HERE / "viewer.html").read_text(encoding="utf-8"),
        js_on_load=(HERE / "viewer.js").read_text(encoding="utf-8"),
        elem_id="viewer",
    )


def _files(subject: Subject, number: int, subjects: Sequence[Subject]) -> list[gr.DownloadButton]:
    """What can be downloaded of one run."""
    of = f" of {subject.title}" if len(subjects) > 1 else ""
    with gr.Column(min_width=280), gr.Row():
        return [
            gr.DownloadButton(f"{words}{of}", size="sm", interactive=False, min_width=90, elem_id=f"{kind}-{number}")
            for kind, words in (("overlay", "Overlay"), ("png", "Index PNG"), ("coco", "COCO json"))
        ]


def _answer(subjects: Sequence[Subject], pixels: int, folder: Path) -> Callable[..., list[Any]]:
    """The function that fills the panes, and the files of every run."""

    @told
    def answer(path: str | None, typed: str, ticked: list[str], view: View, least: float) -> list[Any]:
        if not path:
            emptied = [gr.DownloadButton(value=None, interactive=False)] * 3 * len(subjects)
            return [panes.waiting([subject.title for subject in subjects]), *emptied]
        image = read_image(Path(path), max_pixels=pixels)
        found = [
            subject.viewer.find(image, typed=typed or "", ticked=ticked or []).surer_than(float(least) / 100)
            for subject in subjects
        ]
        every = [name for each in found for name in each.names.names]
        name = Path(path).name
        made = [look.files(each, image, name=name, folder=folder, among=every) for each in found]
        shown = [panes.Shown(subject.title, each) for subject, each in zip(subjects, found, strict=True)]
        key = blake2b(repr((path, typed)).encode(), digest_size=8).hexdigest()
        drawn = panes.panes(image, shown, view, key=key, picture=name)
        return [drawn, *(gr.DownloadButton(value=str(file), interactive=True) for files in made for file in files)]

    return answer


def _pick(examples: Sequence[ImageArray]) -> Callable[[gr.SelectData], ImageArray]:
    def pick(event: gr.SelectData) -> ImageArray:
        if not isinstance(event.index, int) or not 0 <= event.index < len(examples):
            raise gr.Error("There is no such picture.", print_exception=False)
        return examples[event.index]

    return pick


def _browse_tab(subjects: Sequence[Subject], tab: gr.Tab) -> None:
    """What a run learned from, name by name, and what a person chooses of it."""
    titles, first = [subject.title for subject in subjects], list(subjects[0].browser.names)
    redrawing = gr.State(None)
    with gr.Row():
        run = gr.Dropdown(
            titles, value=titles[0], type="index", label="Run", visible=len(titles) > 1, elem_id="browse-run"
        )
        name = gr.Dropdown(first, value=first[0] if first else None, label="Name", elem_id="browse-name")
        order = gr.Radio(list(ORDERS), value=ORDERS[0], label="Order", elem_id="browse-order")
        number = gr.Number(1, minimum=1, precision=0, step=1, label="Page", elem_id="browse-page")
    words = gr.Textbox(
        label="Words that CLIP looks for, with commas between them",
        info="The first stands in the name's place. Enter saves them.",
        elem_id="browse-words",
    )
    state = gr.HTML("", elem_id="curation", padding=True)
    with gr.Column(visible=False, elem_id="redraw") as panel:
        clicked = gr.Image(
            label="Click on the thing; each further click adds to it", interactive=False, buttons=[], elem_id="clicked"
        )
        with gr.Row():
            keep = gr.Button("Use this mask (tier M)", variant="primary", elem_id="redraw-keep")
            anew = gr.Button("Start over", elem_id="redraw-anew")
            leave = gr.Button("Leave it", elem_id="redraw-leave")
    tiles = gr.HTML(
        "<p>Choose a name.</p>", js_on_load=(HERE / "tiles.js").read_text(encoding="utf-8"), elem_id="tiles"
    )
    of = [run, name, order, number]
    answers = Curating([subject.curator for subject in subjects])
    shown, quiet = [words, tiles, state], {"api_visibility": "private", "show_progress": "hidden"}
    run.change(lambda chosen: _names_of(subjects[chosen or 0]), run, name, **quiet)
    asking = [tab.select, name.change, number.change, order.input]
    gr.on(asking, answers.show, of, shown, trigger_mode="always_last", **quiet)
    words.submit(answers.reword, [*of, words], shown, **quiet)
    tiles.select(answers.choose, of, [tiles, state, redrawing, panel, clicked], **quiet)
    drawing = {"inputs": [run, name, redrawing], "outputs": [redrawing, clicked]}
    clicked.select(answers.click, concurrency_id="network", **drawing, **quiet)
    anew.click(answers.anew, **drawing, **quiet)
    keep.click(answers.keep, [*of, redrawing], [tiles, state, redrawing, panel], **quiet)
    leave.click(lambda: (None, gr.Column(visible=False)), None, [redrawing, panel], **quiet)


def _names_of(subject: Subject) -> gr.Dropdown:
    known = list(subject.browser.names)
    return gr.Dropdown(known, value=known[0] if known else None)


def _report_tab(subjects: Sequence[Subject], tab: gr.Tab) -> None:
    titles = [subject.title for subject in subjects]
    run = gr.Radio(titles, value=titles[0], type="index", label="Run", visible=len(titles) > 1, elem_id="report-run")
    shown = gr.HTML("<p>Opening the report …</p>", elem_id="report")

    def report(chosen: int) -> str:
        return subjects[chosen or 0].browser.report()

    gr.on([tab.select, run.change], report, run, shown, trigger_mode="always_last", api_visibility="private")


def _head(subjects: Sequence[Subject]) -> str:
    words = " beside ".join(escape(subject.title) for subject in subjects)
    open_ = [escape(subject.title) for subject in subjects if subject.viewer.takes_names]
    takes = f"Type any names for {' and '.join(open_)}. " if open_ else ""
    warned = "".join(
        f"<li>{f'{escape(subject.title)}: ' if len(subjects) > 1 else ''}{notice.html}</li>"
        for subject in subjects
        for notice in subject.browser.notices
    )
    box = f'<aside class="notices"><b>Read this first</b><ul>{warned}</ul></aside>' if warned else ""
    product = '<p class="product"><b>namesake</b>: from names to masks. <a href="#help" data-tab="Help">Help</a></p>'
    return f"{product}<h1>{words}</h1><p>{takes}Pictures stay on the machine that serves this page.</p>{box}"
