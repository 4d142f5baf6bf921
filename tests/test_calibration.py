import numpy as np

from giantkiller.attributes import ATTRIBUTES
from giantkiller.calibration import Calibration, calibrate, sigmoid

CURVE = ((0.0, 0.0), (0.5, 0.9), (1.0, 1.0))


def test_no_logit_is_too_large():
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        scores = sigmoid([-1e308, -1e4, 0.0, 1e4, 1e308])
    assert scores.tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]


def test_all_attributes_together_are_what_each_is_alone_to_the_bit():
    lines = {
        "toxicity": Calibration(0.7, -1.5),
        "insult": Calibration(1.3, 0.2, CURVE),
        "threat": Calibration(curve=CURVE),
    }
    logits = np.random.default_rng(0).normal(0, 4, (200, len(ATTRIBUTES))).astype(np.float32)
    together = calibrate(logits, lines)
    for column, attribute in enumerate(ATTRIBUTES):
        alone = lines.get(attribute, Calibration()).apply(logits[:, column])
        assert np.array_equal(together[:, column], alone), attribute
    assert together.dtype == np.float64
