"""`giantkiller score`: comments from arguments or standard input."""

import json
import sys
from collections.abc import Iterator
from itertools import islice

import click

from giantkiller.attributes import ATTRIBUTES
from giantkiller.cli.options import json_option, model_option, policy_option, threads_option
from giantkiller.cli.terminal import shorten
from giantkiller.policy import ACTIONS, Policy

SHORT = {
    "toxicity": "toxic",
    "severe_toxicity": "severe",
    "obscene": "obscene",
    "threat": "threat",
    "insult": "insult",
    "identity_attack": "identity",
    "sexual_explicit": "sexual",
}
_COLOURS = dict(zip(ACTIONS, ("green", "cyan", "yellow", "red"), strict=True))
_WIDTH = max(map(len, ACTIONS))
_TOGETHER = 4096
_LONGEST = 1 << 20


@click.command(
    epilog="""Examples:

\b
  giantkiller score "You are an idiot" "Thanks, that helped"
  giantkiller score --json < comments.txt | jq .toxicity
  giantkiller score --policy strict.json "You are an idiot"
"""
)
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@model_option
@policy_option
@threads_option
@json_option("One JSON object a comment, one a line.")
def command(
    texts: tuple[str, ...],
    model: str,
    policy: Policy | str | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Score comments: each TEXT, or each line of standard input.

    Every comment gets seven probabilities and the action that the policy calls for. Comments go
    out as they come in, empty lines included.
    """
    from giantkiller.errors import UserError
    from giantkiller.loading import load_screener

    screener = load_screener(model, threads=threads, policy=policy)
    if not texts and sys.stdin is None:
        raise UserError("standard input is closed; give the comments as arguments")
    interactive = not texts and sys.stdin.isatty()
    if interactive:
        click.echo("One comment a line; end with Ctrl-D.", err=True)
    comments: Iterator[str] = iter(texts) if texts else _lines()
    if not as_json:
        click.echo("  ".join(f"{SHORT[a]:>8}" for a in ATTRIBUTES) + "  action   comment")
    thresholds = screener.bundle.threshold
    while chunk := list(islice(comments, 1 if interactive else _TOGETHER)):
        rows = screener.scores(chunk)
        for text, row in zip(chunk, rows.tolist(), strict=True):
            verdict = screener.policy.judge(row, thresholds["toxicity"])
            if as_json:
                scores = {a: round(value, 6) for a, value in verdict.scores.items()}
                line = {"text": text, **scores, "action": verdict.action, "label": verdict.label}
                click.echo(json.dumps(line, ensure_ascii=True))
            else:
                numbers = "  ".join(
                    click.style(f"{score:8.3f}", bold=score >= thresholds[attribute] or None)
                    for attribute, score in verdict.scores.items()
                )
                action = click.style(f"{verdict.action:<{_WIDTH}}", fg=_COLOURS[verdict.action])
                click.echo(f"{numbers}  {action}  {shorten(text, 72)}")


def _lines() -> Iterator[str]:
    """Read standard input, one comment a line; bytes that are not UTF-8 become replacement characters.

    Of a line of megabytes only the beginning is kept: the model reads no more of it.
    """
    stream = sys.stdin.buffer
    while raw := stream.readline(_LONGEST):
        ended = raw.endswith(b"\n")
        while not ended and (rest := stream.readline(_LONGEST)):
            ended = rest.endswith(b"\n")
        yield raw.decode("utf-8", errors="replace").rstrip("\r\n")
