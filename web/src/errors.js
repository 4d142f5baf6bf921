/** What a user can mend: bad input, a damaged bundle, a browser that is too old. One sentence each. */
export class UserError extends Error {
  name = "UserError";
}
