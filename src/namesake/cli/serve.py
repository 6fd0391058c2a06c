"""The verb `serve`: a web page of one run, or of two side by side."""

from pathlib import Path
from typing import Annotated

import typer

from namesake.cli.app import DeviceOption, RunArgument, RuntimeOption, say, verb


@verb
def serve(
    run_folder: RunArgument,
    other: Annotated[Path | None, typer.Argument(help="A second run, shown beside the first.")] = None,
    *,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes any that is free.", min=0, max=65535)] = 7860,
    password: Annotated[
        str,
        typer.Option(
            help="Ask visitors for it; the variable hides it from the list of processes.", envvar="NAMESAKE_PASSWORD"
        ),
    ] = "",
    upload_megabytes: Annotated[float, typer.Option(help="Largest file of a picture.", min=0.01)] = 20,
    megapixels: Annotated[float, typer.Option(help="Largest picture.", min=0.01)] = 24,
    runtime: RuntimeOption = "auto",
    device: DeviceOption = "auto",
) -> None:
    r"""A web page: drop a picture, type names, see and download masks; browse what the run learned from.

    Needs gradio (pip install 'namesake-masks\[app]', in a clone '.\[app]') and no connection.

    Example: namesake serve runs/pets runs/zutis
    """
    from namesake.app.serve import ServeConfig
    from namesake.app.serve import serve as serve_page

    runs = [run_folder] if other is None else [run_folder, other]
    config = ServeConfig(host, port, password, upload_megabytes, megapixels, device, runtime)
    told = "open {} in a browser; Ctrl-C ends"
    serve_page(runs, config=config, ready=lambda url: say({"url": url, "runs": runs}, [told.format(url)]))
