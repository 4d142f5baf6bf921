// A logit becomes a score: sigmoid of a line, then a curve where the bundle has one; as in calibration.py.

/** Return the probability of a logit. */
export function probability({ slope, intercept, curve }, logit) {
  const z = slope * logit + intercept;
  const score = z >= 0 ? 1 / (1 + Math.exp(-z)) : Math.exp(z) / (1 + Math.exp(z));
  return curve?.length ? follow(curve, score) : score;
}

/** Return where a curve leads from a score: points [x, y] that rise from [0, 0] to [1, 1], straight lines between. */
export function follow(curve, score) {
  let low = 0;
  let high = curve.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (curve[middle][0] <= score) low = middle;
    else high = middle;
  }
  const [[x, y], [right, top]] = [curve[low], curve[high]];
  return score >= right ? top : ((top - y) / (right - x)) * (score - x) + y;
}

/** Tell whether something is a curve, or an empty list for none. */
export function isCurve(points) {
  if (!Array.isArray(points) || points.length === 1 || points.length > 1000) return false;
  if (!points.every((p) => Array.isArray(p) && p.length === 2 && p.every(Number.isFinite))) return false;
  const rising = points.every((p, i) => !i || (points[i - 1][0] < p[0] && points[i - 1][1] < p[1]));
  const ends = [points[0] ?? [0, 0], points.at(-1) ?? [1, 1]];
  return rising && ends.flat().join() === "0,0,1,1";
}
