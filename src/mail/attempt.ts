// What one try to hand one message to one host came to, as hand-over saw it and before anyone judged it.

import type { Phase, Reply } from "./reply.ts";

export type AttemptResult = AttemptReplied | AttemptFailed | AttemptRefusedHere | AttemptNotStarted;

/** The server's reply decided the attempt: a refusal in some phase, or any reply to the final dot. */
export interface AttemptReplied {
  readonly kind: "replied";
  readonly phase: Phase;
  readonly reply: Reply;
  readonly host: string;
}

/** No reply decided it: refused or lost connection, a timeout, TLS trouble, a reply that is not SMTP. */
export interface AttemptFailed {
  readonly kind: "failed";
  readonly phase: Phase;
  /** Stable, for programs: `ECONNREFUSED`, `timeout`, `tls`, `connection_lost`, `bad_reply`, `no_auth_over_plaintext` … */
  readonly code: string;
  readonly detail: string;
  readonly host: string;
  /** The final dot may have reached the server, and no reply to it is known (RFC 5321 §6.1). */
  readonly isPastDot: boolean;
  /** Past the dot: our port of the connection, by which a relay's log names its sessions. */
  readonly clientPort?: number;
}

/** The message cannot go by this server and was never offered: over SIZE (5.3.4), or needs SMTPUTF8 (5.6.7). */
export interface AttemptRefusedHere {
  readonly kind: "refused_here";
  readonly reply: Reply;
  readonly host: string;
}

/** Nothing of it was written, or the transaction was closed before its content: the outlet drains, the lease is gone. */
export interface AttemptNotStarted {
  readonly kind: "not_started";
  readonly reason: string;
}
