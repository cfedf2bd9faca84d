// Thrown when a mail cannot be written as it was given. The message is then held with this error; nothing is ever
// cleaned in silence, because what was meant to become a second header must not become part of the first.

export class ComposeRefused extends Error {
  readonly code = "compose_refused";
  /** The header field or body part, such as `Subject`, `X-Order` or `html`. */
  readonly field: string;
  readonly reason: string;

  constructor(field: string, reason: string) {
    super(`${field}: ${reason}`);
    this.name = "ComposeRefused";
    this.field = field;
    this.reason = reason;
  }
}
