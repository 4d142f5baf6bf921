"""`giantkiller merge`: a bundle and what sites taught it become one bundle."""

import json
from pathlib import Path

import click

from giantkiller.cli._extras import need_extra
from giantkiller.cli.options import PATH, json_option
from giantkiller.cli.terminal import printable


@click.command(name="merge")
@click.argument("bundle")
@click.argument("deltas", metavar="DELTA...", type=PATH, nargs=-1, required=True)
@click.option("--output", "-o", type=PATH, required=True, help="The bundle's folder.")
@click.option("--name", help="The bundle's name.  [default: the old one's with -adapted]")
@json_option("Print what was written as JSON.")
def command(bundle: str, deltas: tuple[Path, ...], output: Path, name: str | None, as_json: bool) -> None:
    """Write BUNDLE with what `giantkiller adapt --delta` wrote, in the order in which it was learned.

    Calibration, thresholds and policies stay the bundle's. A delta that was learned on another bundle is
    refused.

    Example: giantkiller merge default ours.delta later.delta -o ours
    """
    need_extra("train", "torch", "transformers", "onnx", "jinja2", "safetensors")
    from giantkiller.adapt import merge

    written = merge(bundle, deltas, output, name=name)
    if as_json:
        click.echo(json.dumps({"output": str(output), "name": written.name, "digest": written.digest}))
    else:
        size = f"{written.bytes:,} bytes"
        click.echo(printable(f"wrote {output}: {written.name} {written.version}, {size}"))
