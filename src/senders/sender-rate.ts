// What senders may submit per second, over all fronts together. The tokens are in a small unlogged table, one row for each
// credential that has a rate; a front takes some ahead, a tenth of a second's worth, and gives submissions of those. So
// most submissions ask nobody, none waits for a row's lock within its own transaction, and what is granted by n fronts
// in t seconds is at most rate × (t + 1 + n / 10): the bucket holds one second. Tokens that a front has taken stay with it
// until they are used: given back or forgotten, they would be lost to the others as well.
//
// A batch that is larger than the bucket passes when the bucket is full, and is paid off afterwards: else it never could.

import type { Pool } from "pg";
import type { Clock } from "../platform/clock.ts";
import { takeTokens } from "./key-store.ts";
import { within } from "./silent-database.ts";

export type RateAnswer = { readonly kind: "granted" } | { readonly kind: "limited"; readonly retryAfterS: number };

export interface SenderRate {
  /** Throws when the database fails. */
  take(credential: string, perS: number, count: number): Promise<RateAnswer>;
}

/** Seconds of the rate that the shared bucket holds, and that a front takes ahead. */
const RATE_BUCKET_S = 1;
const RATE_AHEAD_S = 0.1;
/** Of a slow rate the bucket holds one, or nobody could ever submit. */
const RATE_BUCKET_TOKENS_MIN = 1;
/** Credentials that a front has tokens of; the one that came first is forgotten, with its tokens. */
const RATED_CREDENTIALS_MAX = 10_000;

interface Share {
  tokens: number;
  /** One asks the database at a time; who comes meanwhile looks again at what that one brought, or fails with it. */
  turn: Promise<unknown>;
  waiting: number;
  /** The last answer was that there is not enough for so many before that time: nobody is asked again until then. */
  dry: { readonly needed: number; readonly untilMs: number };
}

export function createSenderRate(pool: Pool, clock: Clock): SenderRate {
  const shares = new Map<string, Share>();

  function shareOf(credential: string): Share {
    const known = shares.get(credential);
    if (known !== undefined) return known;
    const share: Share = { tokens: 0, turn: Promise.resolve(), waiting: 0, dry: { needed: Infinity, untilMs: 0 } };
    shares.set(credential, share);
    if (shares.size > RATED_CREDENTIALS_MAX) shares.delete(shares.keys().next().value!);
    return share;
  }

  async function takeInTurn(credential: string, share: Share, perS: number, count: number): Promise<RateAnswer> {
    if (hasTaken(share, count)) return { kind: "granted" };
    const needed = count - share.tokens;
    const nowMs = clock.monotonicMs();
    if (needed >= share.dry.needed && nowMs < share.dry.untilMs) return limited(share.dry.untilMs - nowMs);
    const tokensMax = Math.max(perS * RATE_BUCKET_S, RATE_BUCKET_TOKENS_MIN);
    const ahead = Math.floor(perS * RATE_AHEAD_S);
    const asked = { credential, perS, tokensMax, needed, ahead };
    const { granted, tokens } = await within(clock, takeTokens(pool, asked));
    share.tokens += granted;
    if (hasTaken(share, count)) return { kind: "granted" };
    const waitMs = ((Math.min(needed, tokensMax) - tokens) / perS) * 1000;
    share.dry = { needed, untilMs: nowMs + waitMs };
    return limited(waitMs);
  }

  return {
    take(credential, perS, count) {
      const share = shareOf(credential);
      if (share.waiting === 0 && hasTaken(share, count)) return Promise.resolve({ kind: "granted" });
      share.waiting++;
      const answer = share.turn
        .then(() => takeInTurn(credential, share, perS, count))
        .finally(() => {
          share.waiting--;
          if (share.waiting === 0) share.turn = Promise.resolve();
        });
      share.turn = answer;
      return answer;
    },
  };
}

function hasTaken(share: Share, count: number): boolean {
  if (share.tokens < count) return false;
  share.tokens -= count;
  return true;
}

/** In whole seconds, as Retry-After has them (RFC 9110 §10.2.3). */
function limited(waitMs: number): RateAnswer {
  return { kind: "limited", retryAfterS: Math.max(1, Math.ceil(waitMs / 1000)) };
}
