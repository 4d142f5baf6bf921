// From scores to a verdict; as in policy.py.
import { UserError } from "./errors.js";
import { ACTIONS, ATTRIBUTES } from "./tables.js";

const STEPS = ACTIONS.slice(1);

/**
 * Thresholds for each attribute: from which score on a comment is monitored, reviewed, removed.
 *
 * Throws UserError for an unknown name, a value outside [0, 1], or a sterner action at a lower score.
 */
export class Policy {
  #thresholds = new Map();

  constructor(thresholds) {
    if (!isObject(thresholds)) throw new UserError("policy: it needs thresholds by attribute and action");
    for (const [attribute, steps] of Object.entries(thresholds)) {
      if (!ATTRIBUTES.includes(attribute)) {
        throw new UserError(`policy: '${attribute}' is none of ${ATTRIBUTES.join(", ")}`);
      }
      if (!isObject(steps)) throw new UserError(`policy: ${attribute} needs thresholds for ${STEPS.join(", ")}`);
      for (const [action, cut] of Object.entries(steps)) {
        if (!STEPS.includes(action)) {
          throw new UserError(`policy: '${action}' of ${attribute} is none of ${STEPS.join(", ")}`);
        }
        if (cut !== null && !(typeof cut === "number" && cut >= 0 && cut <= 1)) {
          throw new UserError(`policy: ${action} of ${attribute} is ${cut}, not a score from 0 to 1`);
        }
      }
    }
    for (const attribute of ATTRIBUTES) {
      if (!Object.hasOwn(thresholds, attribute)) continue;
      const steps = STEPS.map((a) => [a, thresholds[attribute][a]]).filter(([, cut]) => cut != null);
      if (steps.some(([, cut], i) => i && cut < steps[i - 1][1])) {
        throw new UserError(`policy: the thresholds of ${attribute} must not fall from monitor to remove`);
      }
      this.#thresholds.set(attribute, steps);
    }
  }

  /** The thresholds as plain objects. */
  toJSON() {
    return Object.fromEntries([...this.#thresholds].map(([a, steps]) => [a, Object.fromEntries(steps)]));
  }

  /**
   * Return the verdict on seven scores in the order of ATTRIBUTES; `threshold` is the toxicity from which on
   * the label is "toxic".
   */
  judge(scores, threshold = 0.5) {
    ATTRIBUTES.forEach((attribute, i) => {
      if (!Number.isFinite(scores[i])) {
        throw new UserError(`a verdict needs a score for ${attribute}, got ${scores[i]}`);
      }
    });
    // Sternest action first; within it, the attribute that is furthest beyond its threshold.
    let best = null;
    for (const [attribute, steps] of this.#thresholds) {
      if (!steps.length) continue;
      const score = scores[ATTRIBUTES.indexOf(attribute)];
      let [level, cut] = [0, Math.min(...steps.map(([, value]) => value))];
      for (const [action, value] of steps) if (score >= value) [level, cut] = [ACTIONS.indexOf(action), value];
      const margin = score - cut;
      if (best === null || level > best.level || (level === best.level && margin > best.margin)) {
        best = { level, margin, attribute };
      }
    }
    if (best === null) {
      const highest = ATTRIBUTES.reduce((top, _, i) => (scores[i] > scores[top] ? i : top), 0);
      best = { level: 0, attribute: ATTRIBUTES[highest] };
    }
    return {
      action: ACTIONS[best.level],
      label: scores[0] >= threshold ? "toxic" : "non-toxic",
      attribute: best.attribute,
      score: scores[ATTRIBUTES.indexOf(best.attribute)],
      scores: Object.fromEntries(ATTRIBUTES.map((attribute, i) => [attribute, scores[i]])),
    };
  }
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
