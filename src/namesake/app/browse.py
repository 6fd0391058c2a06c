"""A run folder in; its names, notices, examples and report out. It writes nothing."""

from html import escape
from pathlib import Path
from typing import final

from namesake.archives import open_archives, rows
from namesake.errors import ImagesError, NamesakeError
from namesake.evaluation.report import render_report
from namesake.evaluation.report.run_folder import read_json
from namesake.evaluation.report.sections import archives_of
from namesake.images import evenly, read_image
from namesake.names import read_kept_names
from namesake.shapes import ImageArray
from namesake.workspace import read_notices

EXAMPLES = 8


@final
class Browser:
    """Reads one run folder, and pictures of the folder that it was made from."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self.names = read_kept_names(run).names
        self.notices = read_notices(run)
        self.images = Path(str(read_json(run / "run.json").get("images", "")))

    def examples(self) -> list[ImageArray]:
        """The best pictures of some names' archives, as something to try, each once, without those that are gone."""
        import pyarrow.compute as pc

        tables = [rows(open_archives(folder)) for folder in archives_of(self.run)]
        best = [each for one in tables for each in one.filter(pc.equal(one["rank"], 1))["image_id"].to_pylist()]
        found = []
        for image_id in evenly(list(dict.fromkeys(best)), EXAMPLES):
            try:
                found.append(read_image(self.images / image_id))
            except ImagesError:
                continue
        return found

    def report(self) -> str:
        """The run's report in a frame of its own, in which no script runs."""
        try:
            page = render_report(self.run)
        except NamesakeError as error:
            return f"<p>{escape(str(error))}</p>"
        return f'<iframe class="report" sandbox title="report" srcdoc="{escape(page, quote=True)}"></iframe>'
