// What the client throws: the door's own words when it answered, and what went wrong on the way when it did not. `code`
// is for programs, `message` for people, `hint` says what to do. Never holds a key or a mail.

export interface PostlaneErrorFacts {
  /** The door's, from its catalogue (`bad_address`, `lane_full`…); of the client itself: `unreachable`, `not_postlane`. */
  readonly code: string;
  /** Of HTTP, or the reply code of SMTP; absent when there was no answer. */
  readonly status?: number | undefined;
  /** Of the email's fields, the one to blame. */
  readonly field?: string | undefined;
  readonly hint?: string | undefined;
  readonly cause?: unknown;
}

export class PostlaneError extends Error {
  readonly code: string;
  readonly status: number | undefined;
  readonly field: string | undefined;
  readonly hint: string | undefined;

  constructor(message: string, { code, status, field, hint, cause }: PostlaneErrorFacts) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "PostlaneError";
    this.code = code;
    this.status = status;
    this.field = field;
    this.hint = hint;
  }
}
