"""Let the tests find their helpers, and the lists of the cleaning tests."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "cleaning")]
