"""`vocscore view`: predictions in a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vocscore.cli import paths
from vocscore.cli.common import interruptible, progress, quiet_option
from vocscore.cli.help import PanelCommand
from vocscore.cli.options import config_options
from vocscore.cli.typed_options import echo
from vocscore.config.groups import build
from vocscore.config.viewing import ViewConfig

if TYPE_CHECKING:
    from pathlib import Path

_MOST = 2
_HERE = ("127.0.0.1", "localhost", "::1")


@click.command(cls=PanelCommand)
@click.argument(
    "predictions",
    nargs=-1,
    required=True,
    metavar="PREDICTIONS [PREDICTIONS]",
    type=paths.UNFINISHED_PREDICTIONS,
)
@config_options(
    ViewConfig, labels={"type": paths.SHARDS}, images={"type": paths.IMAGES_OF_PREDICTIONS}
)
@quiet_option
def view(predictions: tuple[Path, ...], *, quiet: bool, **settings: Any) -> None:
    """Show predictions in a browser: images, mistakes, thresholds.

    PREDICTIONS is the output of 'vocscore score' in any format, or of a run that is still scoring
    (the page follows it). Two predictions of the same images are compared.

    Prints the address of the page. It contains a secret and is valid until the command ends
    (Ctrl-C). Nothing is sent to other machines. Needs NiceGUI: pip install 'vocscore[view]'.

    \b
    Examples:
      vocscore view predictions.csv
      vocscore view predictions.csv --labels shards/ --images photos/
      vocscore view before.csv after.csv
    """
    config = build(ViewConfig, settings)
    if len(predictions) > _MOST:
        raise click.UsageError("PREDICTIONS: name one, or two to compare them.")
    from vocscore.view.server import PORT, PageServer, has_display, require_nicegui

    require_nicegui()
    if config.server.host not in _HERE:
        echo(
            f"warning: --host {config.server.host}: everybody who has the address and can reach "
            "this machine sees the images and the predictions; the connection is not encrypted.",
            err=True,
        )
    from vocscore.view.opening import open_subjects

    with progress("view", quiet=quiet) as shown:
        subjects = open_subjects(
            predictions,
            labels=config.data.labels,
            images=config.data.images,
            on_stage=shown.stage,
            on_rows=shown.listing,
        )
    with (
        interruptible("The page is closed."),
        PageServer(subjects, host=config.server.host, port=config.server.port) as page,
    ):
        if config.server.port is None and page.access.port != PORT and not quiet:
            echo(f"note: port {PORT} is in use; this page has another one.", err=True)
        echo(page.address)
        if config.server.open and has_display():
            import webbrowser  # here, since `vocscore --help` imports this module

            webbrowser.open(page.address)
        page.wait()
