"""How good, for whom, at which threshold, compared with what: takes scoring functions, not models."""
