"""Segmenters and run folders in, the web page out: what is where, and which function answers which click."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from namesake.app import look
from namesake.app.browse import Browser
from namesake.app.look import View, Viewer
from namesake.errors import ImagesError, NamesakeError
from namesake.images import read_image
from namesake.shapes import ImageArray

WAITING = 32
"""Requests in the queue; further ones are told to come back later."""
KEPT_SECONDS = 1800
"""Age at which uploads and files for download are deleted."""
VIEWS: tuple[View, ...] = ("areas", "objects", "confidence")


@dataclass(frozen=True)
class Subject:
    """One run on the page."""

    title: str
    viewer: Viewer
    browser: Browser


@dataclass(frozen=True)
class Limits:
    """What visitors may send, and where it is kept.

    Attributes:
        pixels: Pixels of a picture.
        folder: Folder of uploads and files for download.
    """

    pixels: int
    folder: Path


def build_page(subjects: Sequence[Subject], limits: Limits) -> gr.Blocks:
    """The page of one or two runs."""
    names = " and ".join(subject.title for subject in subjects)
    with gr.Blocks(title=f"namesake: {names}", analytics_enabled=False, delete_cache=(60, KEPT_SECONDS)) as page:
        gr.HTML(_head(subjects), elem_classes="head")
        with gr.Tab("Segment"):
            _segment_tab(subjects, limits)
        with gr.Tab("Learned from"):
            _browse_tab(subjects)
        with gr.Tab("Report") as tab:
            _report_tab(subjects, tab)
    return page.queue(max_size=WAITING, api_open=False, default_concurrency_limit=1)


def _segment_tab(subjects: Sequence[Subject], limits: Limits) -> None:
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            picture = gr.Image(
                label="Picture",
                type="filepath",
                sources=["upload", "clipboard"],
                buttons=[],
                height=300,
                elem_id="picture",
            )
            picture.preprocess = _file_of  # our own reader decodes it: it knows the limits and names the fault
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
            with gr.Row():
                outputs = [part for number, subject in enumerate(subjects) for part in _result(subject, number)]
    shown = _answer(subjects, limits)
    inputs = [picture, typed, ticked, view, least]
    ask = {"fn": shown, "inputs": inputs, "outputs": outputs, "concurrency_id": "network", "api_visibility": "private"}
    gr.on([button.click, picture.upload, typed.submit], **ask)
    gr.on([view.input, least.change, ticked.input], show_progress="hidden", trigger_mode="always_last", **ask)
    gallery.select(_pick(examples), outputs=picture, api_visibility="private").success(**ask)


def _file_of(sent: Any) -> str | None:  # noqa: ANN401
    """The file that a visitor sent, as it came."""
    return sent.path if sent else None


def _typed(subjects: Sequence[Subject]) -> gr.Textbox:
    """Where names are typed, for runs that take any."""
    taking = [subject for subject in subjects if subject.viewer.takes_names]
    own = list(dict.fromkeys(name for each in taking for name in each.viewer.segmenter.names.names))
    return gr.Textbox(
        ", ".join(own),
        label=f"Names, with commas between them{_of(taking, subjects)}",
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
    return gr.CheckboxGroup(known, value=known, label=label, visible=bool(knowing), elem_id="ticks")


def _of(some: Sequence[Subject], subjects: Sequence[Subject]) -> str:
    """Which runs are meant, where not all are."""
    return f" ({some[0].title})" if 0 < len(some) < len(subjects) else ""


def _result(subject: Subject, number: int) -> tuple[Any, ...]:
    """The column of one run: picture, legend, and two files."""
    with gr.Column(min_width=300):
        image = gr.Image(
            label=subject.title,
            interactive=False,
            format="png",
            buttons=["fullscreen"],
            elem_id=f"result-{number}",
        )
        legend = gr.HTML("<p>Drop a picture, or pick one.</p>", elem_id=f"legend-{number}", padding=True)
        with gr.Row():
            index = gr.DownloadButton("Index PNG", size="sm", interactive=False, elem_id=f"png-{number}")
            coco = gr.DownloadButton("COCO json", size="sm", interactive=False, elem_id=f"coco-{number}")
    return image, legend, index, coco


def _answer(subjects: Sequence[Subject], limits: Limits) -> Callable[..., list[Any]]:
    """The function that fills every run's column."""

    def answer(path: str | None, typed: str, ticked: list[str], view: View, least: float) -> list[Any]:
        try:
            if not path:
                raise ImagesError("there is no picture yet. Drop one, or pick one.")
            image = read_image(Path(path), max_pixels=limits.pixels)
            return [
                part
                for subject in subjects
                for part in _shown(subject, image, Path(path).name, (typed, ticked, view, least), limits.folder)
            ]
        except NamesakeError as error:
            raise gr.Error(escape(str(error)), duration=12, print_exception=False) from error

    return answer


def _shown(
    subject: Subject, image: ImageArray, name: str, asked: tuple[str, list[str], View, float], folder: Path
) -> list[Any]:
    typed, ticked, view, least = asked
    found = subject.viewer.find(image, typed=typed or "", ticked=ticked or []).surer_than(float(least) / 100)
    index, coco = look.files(found, name=name, folder=folder)
    return [
        look.picture(image, found, view),
        look.legend(found, view),
        gr.DownloadButton(value=str(index), interactive=True),
        gr.DownloadButton(value=str(coco), interactive=True),
    ]


def _pick(examples: Sequence[ImageArray]) -> Callable[[gr.SelectData], ImageArray]:
    def pick(event: gr.SelectData) -> ImageArray:
        if not isinstance(event.index, int) or not 0 <= event.index < len(examples):
            raise gr.Error("There is no such picture.", print_exception=False)
        return examples[event.index]

    return pick


def _browse_tab(subjects: Sequence[Subject]) -> None:
    titles = [subject.title for subject in subjects]
    first = list(subjects[0].browser.names)
    with gr.Row():
        run = gr.Dropdown(
            titles, value=titles[0], type="index", label="Run", visible=len(titles) > 1, elem_id="browse-run"
        )
        name = gr.Dropdown(first, value=first[0] if first else None, label="Name", elem_id="browse-name")
        number = gr.Number(1, minimum=1, precision=0, step=1, label="Page of masks", elem_id="browse-page")
    gr.HTML("<h3>Its archive: the images nearest to the name, best first</h3>")
    sheet = gr.Image(
        label="Contact sheet", show_label=False, interactive=False, buttons=["fullscreen"], elem_id="sheet"
    )
    gr.HTML("<h3>Its pseudo-masks, from the best score to the worst</h3>")
    masks = gr.HTML("<p>Choose a name.</p>", elem_id="masks")

    def names_of(chosen: int) -> gr.Dropdown:
        known = list(subjects[chosen or 0].browser.names)
        return gr.Dropdown(known, value=known[0] if known else None)

    def browse(chosen: int, name: str | None, page: float | None) -> tuple[Any, str]:
        browser = subjects[chosen or 0].browser
        try:
            return browser.sheet(name or ""), browser.masks(name or "", int(page or 1))
        except NamesakeError as error:
            raise gr.Error(escape(str(error)), print_exception=False) from error

    run.change(names_of, run, name, api_visibility="private")
    gr.on(
        [name.change, number.change],
        browse,
        [run, name, number],
        [sheet, masks],
        trigger_mode="always_last",
        api_visibility="private",
    )
    gr.on(None, browse, [run, name, number], [sheet, masks], api_visibility="private")


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
        f"<li>{f'{escape(subject.title)}: ' if len(subjects) > 1 else ''}{escape(notice.text)}</li>"
        for subject in subjects
        for notice in subject.browser.notices
    )
    box = f'<aside class="notices"><b>Read this first</b><ul>{warned}</ul></aside>' if warned else ""
    return f"<h1>{words}</h1><p>{takes}Pictures stay on the machine that serves this page.</p>{box}"
