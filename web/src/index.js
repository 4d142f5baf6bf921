export { readBundle } from "./bundle.js";
export { clean, cleanText } from "./cleaning.js";
export { UserError } from "./errors.js";
export { Policy } from "./policy.js";
export { WorkerScreener } from "./client.js";
export { Screener } from "./screener.js";
export { ACTIONS, ATTRIBUTES, DEFINITIONS } from "./tables.js";
