"""`giantkiller explain`: which words carried the score."""

import json

import click

from giantkiller.attributes import ATTRIBUTES


@click.command(
    epilog="""Examples:

\b
  giantkiller explain "You are an idiot, but thanks"
  giantkiller explain --attribute insult --json "You are an idiot"
"""
)
@click.argument("text")
@click.option("--attribute", type=click.Choice(ATTRIBUTES), default="toxicity", show_default=True)
@click.option("--model", default="default", show_default=True, help="A bundle folder or hub id.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(text: str, attribute: str, model: str, as_json: bool) -> None:
    """Show which words of TEXT carried a score: what it would be without each of them."""
    from giantkiller.cli.score import visible
    from giantkiller.screener import Screener

    screener = Screener(model)
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
        shown += visible(text[end : span.begin], 10_000) + _marked(
            visible(text[span.begin : span.end], 10_000), span.contribution
        )
        end = span.end
    click.echo(shown + visible(text[end:], 10_000))
    for span in sorted(spans, key=lambda s: -abs(s.contribution))[:8]:
        if abs(span.contribution) >= 0.001:
            word = visible(text[span.begin : span.end], 40)
            click.echo(f"  {span.contribution:+.3f}  {_marked(word, span.contribution)}")


def _marked(word: str, contribution: float) -> str:
    if contribution >= 0.1:
        return click.style(word, fg="red", bold=True)
    if contribution >= 0.02:
        return click.style(word, fg="yellow")
    if contribution <= -0.02:
        return click.style(word, fg="green")
    return word
