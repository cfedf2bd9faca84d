// A way out, as the dispatcher sees it. The outlet pulls: it takes a message when a connection is ready for one, so
// that the next envelope can ride behind the final dot of the one before, and a message is merged only when it goes.
// The folder beside this file holds the implementations: `smtp` and `capture`.

import type { AttemptResult } from "../mail/attempt.ts";
import type { Content, Envelope } from "../mail/envelope.ts";

/** Names one attempt for as long as it is open. Opaque here; the journal and the dispatcher give it its meaning. */
export type AttemptToken = string;

/** A final dot that is about to be written. */
export interface Dot {
  readonly token: AttemptToken;
  /** Our port of its connection, where there is one. */
  readonly clientPort?: number;
}

export interface HandOver {
  readonly token: AttemptToken;
  readonly envelope: Envelope;
  readonly content: Content;
}

/** What an outlet asks of whoever drives it. All three are called synchronously. */
export interface OutletDriver {
  /** The next message, merged and ready, or undefined when there is none now (then `wake` will be called). */
  take(): HandOver | undefined;
  /**
   * Asked before the first octet of content that ends in a final dot is written, for all that are ready in this turn.
   * True: each of them stands in the journal. False (lease over, journal not writable): none may be written.
   */
  permitDots(dots: readonly Dot[]): boolean;
  /** Each taken message ends in exactly one result. */
  finished(token: AttemptToken, result: AttemptResult): void;
}

export interface Outlet {
  readonly name: string;
  /** How many hand-overs may be open at once: taken and not finished. A lower limit lets the open ones finish. */
  setLimit(openMax: number): void;
  /** There may be something to take. */
  wake(): void;
  /** Takes nothing more and resolves when every open hand-over has finished. */
  drain(): Promise<void>;
  /** Ends at once: what is open finishes as `failed` or `not_started`. Idempotent. */
  close(): Promise<void>;
}
