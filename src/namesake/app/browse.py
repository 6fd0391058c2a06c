"""A run folder in; what it learned from out, name by name, and its report. It writes nothing."""

from html import escape
from pathlib import Path
from typing import final

import numpy as np

from namesake.archives import open_archives, rows
from namesake.errors import ImagesError, NamesakeError
from namesake.evaluation.report import render_report
from namesake.evaluation.report.run_folder import read_json
from namesake.evaluation.report.sections import (
    Figure,
    archives_of,
    mask_figure,
    masks_by_score,
    masks_of,
    sheets_of,
)
from namesake.images import read_image
from namesake.masks.store import lookup
from namesake.names import read_names
from namesake.prediction.draw import Picture
from namesake.shapes import ImageArray
from namesake.workspace import read_notices

MASKS_A_PAGE, EXAMPLES = 24, 8
NOTHING = "<p>This run has none.</p>"


@final
class Browser:
    """Reads one run folder, and pictures of the folder that it was made from."""

    def __init__(self, run: Path) -> None:
        self.run = run
        names = run / "names.json"
        self.names = read_names(names).names if names.is_file() else ()
        self.notices = read_notices(run)
        self.images = Path(str(read_json(run / "run.json").get("images", "")))

    def examples(self) -> list[ImageArray]:
        """The best pictures of some names' archives, as something to try; those that are gone are left out."""
        import pyarrow.compute as pc

        tables = [rows(open_archives(folder)) for folder in archives_of(self.run)]
        best = [each for one in tables for each in one.filter(pc.equal(one["rank"], 1))["image_id"].to_pylist()]
        spread = np.linspace(0, len(best) - 1, min(EXAMPLES, len(best))).round().astype(int)
        found = []
        for place in spread:
            try:
                found.append(read_image(self.images / best[place]))
            except ImagesError:
                continue
        return found

    def sheet(self, name: str) -> Picture | None:
        """The contact sheet of a name's archive; None where there is none."""
        path = sheets_of(self.run).get(name)
        return read_image(path) if path is not None and path.is_file() else None

    def masks(self, name: str, page: int) -> str:
        """A page of the name's pseudo-masks from the best score to the worst, as HTML; pages count from 1."""
        opened = masks_of(self.run)
        if opened is None or name not in self.names:
            return NOTHING
        ids = masks_by_score(opened, label=self.names.index(name) + 1)
        start = (min(max(page, 1), max(1, -(-len(ids) // MASKS_A_PAGE))) - 1) * MASKS_A_PAGE
        shown = ids[start : start + MASKS_A_PAGE]
        drawn = [mask_figure(mask, self.images, self.names) for mask in lookup(opened, shown)]
        figures = [figure for figure in drawn if figure is not None]
        gone = "" if len(figures) == len(shown) else f"<p>{len(shown) - len(figures)} images are gone or changed.</p>"
        head = f"<p>{start + 1} to {start + len(shown)} of {len(ids)}</p>" if shown else NOTHING
        return f'{head}{gone}<div class="figures">{"".join(_figure(figure) for figure in figures)}</div>'

    def report(self) -> str:
        """The run's report in a frame of its own, in which no script runs."""
        try:
            page = render_report(self.run)
        except NamesakeError as error:
            return f"<p>{escape(str(error))}</p>"
        return f'<iframe class="report" sandbox title="report" srcdoc="{escape(page, quote=True)}"></iframe>'


def _figure(figure: Figure) -> str:
    return (
        f'<figure><img src="{figure.source}" width="{figure.width}" height="{figure.height}" loading="lazy" '
        f'alt="{escape(figure.caption)}"><figcaption>{escape(figure.detail)}</figcaption></figure>'
    )
