"""`giantkiller explain`: which words carried the score."""

import json

import click

from giantkiller.attributes import ATTRIBUTES
from giantkiller.cli.options import json_option, model_option
from giantkiller.cli.terminal import printable, shorten


@click.command(
    epilog="""Examples:

\b
  giantkiller explain "You are an idiot, but thanks"
  giantkiller explain --attribute insult --json "You are an idiot"
"""
)
@click.argument("text")
@click.option(
    "-a", "--attribute", type=click.Choice(ATTRIBUTES), default="toxicity", show_default=True,
    help="The score to explain.",
)  # fmt: skip
@model_option
@json_option("One JSON object.")
def command(text: str, attribute: str, model: str, as_json: bool) -> None:
    """Show which words of TEXT carried a score: what it would be without each of them."""
    from giantkiller.loading import load_screener

    screener = load_screener(model)
    spans = screener.explain(text, attribute)
    score = screener.predict(text)[attribute]
    if as_json:
        words = [
            {"begin": s.begin, "end": s.end, "text": text[s.begin : s.end], "contribution": s.contribution}
            for s in spans
        ]
        click.echo(json.dumps({"text": text, "attribute": attribute, "score": score, "words": words}))
        return
    click.echo(f"{attribute} {score:.3f}")
    shown, end = "", 0
    for span in spans:
        word = printable(text[span.begin : span.end])
        shown += printable(text[end : span.begin]) + _marked(word, span.contribution)
        end = span.end
    click.echo(shown + printable(text[end:]))
    for span in sorted(spans, key=lambda s: -abs(s.contribution))[:8]:
        if abs(span.contribution) >= 0.001:
            word = shorten(text[span.begin : span.end], 40)
            click.echo(f"  {span.contribution:+.3f}  {_marked(word, span.contribution)}")


def _marked(word: str, contribution: float) -> str:
    if contribution >= 0.1:
        return click.style(word, fg="red", bold=True)
    if contribution >= 0.02:
        return click.style(word, fg="yellow")
    if contribution <= -0.02:
        return click.style(word, fg="green")
    return word
