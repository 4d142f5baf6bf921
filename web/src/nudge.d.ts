import type { Verdict } from "./index.js";

export declare class GiantkillerNudge extends HTMLElement {
  /** The text to show for a verdict and the words that carried it, or "" for none. */
  message: (verdict: Verdict, words: string[]) => string;
}

declare global {
  interface HTMLElementTagNameMap {
    "giantkiller-nudge": GiantkillerNudge;
  }
  interface HTMLElementEventMap {
    "giantkiller-verdict": CustomEvent<{ verdict: Verdict; words: string[] }>;
    "giantkiller-unavailable": CustomEvent<{ error: Error }>;
  }
}
