// Who submits, by the key that the client gave; and how much it may submit. Never says why a key is refused, never logs a
// secret, and writes nothing on the way but, at most once a minute, that a key was used.

import type { Pool } from "pg";
import type { Clock } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import { noteUseIfOld, type CheckedKeyRow } from "./key-store.ts";
import { isSecretOf, parseKeyToken } from "./key-token.ts";
import { createKnownKeys, type KnownKey } from "./known-keys.ts";
import { createRefusedAttempts } from "./refused-attempts.ts";
import type { Sender } from "./sender.ts";
import { createSenderRate, type RateAnswer } from "./sender-rate.ts";
import { within } from "./silent-database.ts";

export type KeyAnswer =
  | { readonly kind: "admitted"; readonly sender: Sender }
  /** Which reason is only in our log, never told to the client. */
  | { readonly kind: "refused" };

export interface Keyring {
  /**
   * `token`: the secret as the client gave it. `from`: the client's address. A refusal is answered late, the later the
   * more of them the address has got, and logged without the secret. Throws when the database fails and the key is not
   * in mind.
   */
  check(token: string, from: string): Promise<KeyAnswer>;
  /** Takes `count` submissions out of the sender's rate, which all fronts share. Throws when the database fails. */
  take(sender: Sender, count: number): Promise<RateAnswer>;
  /** Answers what is kept back. The pool is the caller's. */
  close(): Promise<void>;
}

interface Ports {
  readonly pool: Pool;
  readonly clock: Clock;
  readonly log: Log;
}

export function createKeyring({ pool, clock, log }: Ports): Keyring {
  const keys = createKnownKeys(pool, clock);
  const attempts = createRefusedAttempts(clock);
  const rate = createSenderRate(pool, clock);
  const uses = createUseNotes(pool, clock, log);

  async function refuse(why: Refusal, from: string): Promise<KeyAnswer> {
    const { attempts: count, isTime } = attempts.note(from);
    if (isLogged(count)) log.warn("key.refused", { ...why, from, attempts: count });
    await isTime;
    return { kind: "refused" };
  }

  return {
    async check(token, from) {
      const given = parseKeyToken(token);
      if (given === undefined) return await refuse({ reason: "not_a_key" }, from);
      const key = await keys.find(given.id);
      const isRight = isSecretOf(key?.row.secret_hash, given.secret);
      if (key === undefined) return await refuse({ reason: "unknown_key", key: given.id }, from);
      if (!isRight) return await refuse({ reason: "wrong_secret", key: given.id }, from);
      const reason = whyEnded(key, clock.monotonicMs());
      if (reason !== undefined) return await refuse({ reason, key: given.id }, from);
      uses.note(key.row);
      return { kind: "admitted", sender: senderOf(key.row) };
    },
    async take({ credential, maxRatePerS }, count) {
      if (maxRatePerS === undefined || count <= 0) return { kind: "granted" };
      return await rate.take(credential, maxRatePerS, count);
    },
    async close() {
      attempts.close();
      await uses.written();
    },
  };
}

interface Refusal {
  readonly reason: "not_a_key" | "unknown_key" | "wrong_secret" | "revoked" | "expired";
  readonly key?: number;
}

/** Of an address: the first ones, and then each time that they have doubled. A flood fills no disk. */
const REFUSALS_LOGGED = 10;

function isLogged(attempts: number): boolean {
  return attempts <= REFUSALS_LOGGED || Number.isInteger(Math.log2(attempts));
}

/** It may end while it is in mind, also while the database says nothing. */
function whyEnded({ row, askedAtMs }: KnownKey, nowMs: number): "revoked" | "expired" | undefined {
  if (row.is_revoked) return "revoked";
  return row.ends_in_ms !== null && askedAtMs + row.ends_in_ms <= nowMs ? "expired" : undefined;
}

/** `key:7` for all keys that were rotated from the seventh. No credential of another kind begins like that. */
export function senderOf(row: Omit<CheckedKeyRow, "secret_hash">): Sender {
  return {
    credential: `key:${row.owner_id}`,
    scope: row.scope,
    ...(row.lanes === null ? {} : { lanes: row.lanes }),
    ...(row.from_domains === null ? {} : { fromDomains: row.from_domains }),
    ...(row.max_rate === null ? {} : { maxRatePerS: row.max_rate }),
    getsNotices: row.gets_notices,
    isDeduplicated: row.is_deduplicated,
  };
}

const KEY_USE_NOTED_EVERY_MS = 60_000;

/** Writes down that a key is used, without anybody waiting for it: other fronts may have done so. */
function createUseNotes(pool: Pool, clock: Clock, log: Log) {
  const notedAtMs = new Map<number, number>();
  const open = new Set<Promise<void>>();
  return {
    note({ id, is_use_noted }: CheckedKeyRow): void {
      const nowMs = clock.monotonicMs();
      if (is_use_noted || nowMs - (notedAtMs.get(id) ?? -Infinity) < KEY_USE_NOTED_EVERY_MS) return;
      notedAtMs.set(id, nowMs);
      const write = within(clock, noteUseIfOld(pool, id))
        .catch((error: unknown) => log.warn("key.use_note_failed", { key: id, error: String(error) }))
        .finally(() => void open.delete(write));
      open.add(write);
    },
    async written(): Promise<void> {
      await Promise.all(open);
    },
  };
}
