"""A bundle as a scoring function."""

from giantkiller.evaluation.facts import ModelFacts
from giantkiller.evaluation.opponents.scoring import ScoringModel


def bundled(name: str) -> ScoringModel:
    """Load a bundle: its folder, its hub id, or `default`, the shipped one.

    Raises:
        UserError: See `giantkiller.bundle.read_bundle`.
    """
    from giantkiller.screener import Screener

    screener = Screener(name)
    bundle = screener.bundle
    files = bundle.provenance.get("training", {}).get("data", {})
    return ScoringModel(
        name=f"{bundle.name} {bundle.version}",
        kind="bundle",
        source=name,
        score=screener.scores,
        thresholds=dict(bundle.threshold),
        policy=bundle.policy.to_dict(),
        about=ModelFacts(
            parameters=bundle.provenance.get("parameters"),
            disk=bundle.bytes,
            max_length=bundle.max_length,
            quantization=bundle.provenance.get("quantization"),
            fine_tuned=True,
            trained_on=", ".join(files) or None,
        ),
        bundle=bundle,
        explain=lambda text: [(span.begin, span.end, span.contribution) for span in screener.explain(text)],
    )
