"""A bundle as a scoring function."""

from typing import Any

from giantkiller.evaluation.opponents.scoring import ScoringModel


def bundled(name: str) -> ScoringModel:
    """Load a bundle: its folder, its hub id, or `default`, the shipped one.

    Raises:
        UserError: See `giantkiller.bundle.read_bundle`.
    """
    from giantkiller.screener import Screener

    screener = Screener(name)
    bundle = screener.bundle
    about: dict[str, Any] = {"max_length": bundle.max_length, "disk": bundle.bytes, "fine_tuned": True}
    about |= {
        key: bundle.provenance[key] for key in ("parameters", "quantization") if key in bundle.provenance
    }
    files = bundle.provenance.get("training", {}).get("data", {})
    about["trained_on"] = ", ".join(files) or None
    return ScoringModel(
        name=f"{bundle.name} {bundle.version}",
        kind="bundle",
        source=name,
        score=screener.scores,
        thresholds=dict(bundle.threshold),
        policy=bundle.policy.to_dict(),
        about=about,
        bundle=bundle,
        explain=lambda text: [(span.begin, span.end, span.contribution) for span in screener.explain(text)],
    )
