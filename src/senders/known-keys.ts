// The keys that a front has in mind. A key is asked for again when what is known of it is a second old, so that a revoked
// one is refused within a second, without a restart; one that is in use is asked for a little earlier, so that nobody waits.
// While the database says nothing, a key that was good lately is believed for a while: its owner then hears "not now" of
// the submission, and not that the key is wrong. Keys are asked for in groups, one group at a time: a flood of made-up
// ids takes one connection and one statement at once, never the pool.

import type { Pool } from "pg";
import type { Clock } from "../platform/clock.ts";
import { readKeysToCheck, type CheckedKeyRow } from "./key-store.ts";
import { within } from "./silent-database.ts";

export interface KnownKey {
  readonly row: CheckedKeyRow;
  /** From before it was asked for: what is known is at least so old. */
  readonly askedAtMs: number;
}

export interface KnownKeys {
  /** Undefined: there is no such key. Throws when the database fails and the key is not in mind. */
  find(id: number): Promise<KnownKey | undefined>;
}

/** How long a revoked key may still be taken. */
const KEY_KEPT_MS_MAX = 1000;
/** One that is used after that is asked for in the background. */
const KEY_ASKED_AGAIN_MS = 500;
/** Without the database. Long enough for its restart; a key that is revoked while it is away may live so long. */
const KEY_BELIEVED_MS_MAX = 60_000;
/** Some 500 octets each. The one that was asked for longest ago is forgotten. */
const KEYS_KEPT_MAX = 10_000;
/** In one statement. */
const KEYS_ASKED_MAX = 1000;

interface Asked {
  readonly id: number;
  readonly resolve: (key: KnownKey | undefined) => void;
  readonly reject: (error: unknown) => void;
}

export function createKnownKeys(pool: Pool, clock: Clock): KnownKeys {
  const known = new Map<number, KnownKey>();
  const waiting: Asked[] = [];
  /** One promise for each id that waits, or is being asked for. */
  const open = new Map<number, Promise<KnownKey | undefined>>();
  let isAsking = false;

  function ask(id: number): Promise<KnownKey | undefined> {
    const already = open.get(id);
    if (already !== undefined) return already;
    const answer = new Promise<KnownKey | undefined>((resolve, reject) => waiting.push({ id, resolve, reject }));
    open.set(id, answer);
    if (!isAsking) void askInGroups();
    return answer;
  }

  async function askInGroups(): Promise<void> {
    isAsking = true;
    while (waiting.length > 0) await askFor(waiting.splice(0, KEYS_ASKED_MAX));
    isAsking = false;
  }

  async function askFor(group: readonly Asked[]): Promise<void> {
    const askedAtMs = clock.monotonicMs();
    const ids = group.map(({ id }) => id);
    try {
      const rows = await within(clock, readKeysToCheck(pool, ids));
      const found = new Map(rows.map((row) => [row.id, { row, askedAtMs }]));
      for (const { id, resolve } of group) resolve(keep(id, found.get(id)));
    } catch (error) {
      for (const { reject } of group) reject(error);
    } finally {
      for (const id of ids) open.delete(id);
    }
  }

  function keep(id: number, key: KnownKey | undefined): KnownKey | undefined {
    known.delete(id);
    if (key === undefined) return undefined;
    known.set(id, key);
    if (known.size > KEYS_KEPT_MAX) known.delete(known.keys().next().value!);
    return key;
  }

  return {
    async find(id) {
      const key = known.get(id);
      const ageMs = key === undefined ? Infinity : clock.monotonicMs() - key.askedAtMs;
      if (ageMs > KEY_KEPT_MS_MAX) {
        // Bounded by itself: before its own group it may have to wait for the end of another one.
        const answer = within(clock, ask(id));
        return await answer.catch((error: unknown) => believed(known.get(id), clock, error));
      }
      // Who comes once the key is too old hears the error.
      if (ageMs > KEY_ASKED_AGAIN_MS) ask(id).catch(() => {});
      return key;
    },
  };
}

function believed(key: KnownKey | undefined, clock: Clock, error: unknown): KnownKey {
  if (key === undefined || clock.monotonicMs() - key.askedAtMs > KEY_BELIEVED_MS_MAX) throw error;
  return key;
}
