import { PATTERNS } from "./tables.js";

/** Return one of the regular expressions of the Python sources, compiled; `name` is "room.variable". */
export function pattern(name, flags = "u") {
  if (!Object.hasOwn(PATTERNS, name)) throw new TypeError(`the Python sources have no pattern ${name}`);
  return new RegExp(PATTERNS[name], flags);
}

/** Return it for a match of the whole text. */
export function whole(name) {
  return new RegExp(`^(?:${pattern(name).source})$`, "u");
}
