// Lets a new session in, or not: one of an old primary that came back is of no use to anybody, and no door may take mail
// with it. Asked at every connection of a pool, by what this machine knows; where it may not ask, every session is let in.

import type { ClientBase } from "pg";
import type { GuardMemory } from "./guard-memory.ts";
import { GuardRefused } from "./guard-refused.ts";
import { readHeartbeats, readIdentity } from "./guard-store.ts";
import { isOlderTimeline, isSameDatabase, wasConfirmedSince } from "./judge-guard.ts";

/** To be given to a pool as what prepares each of its sessions. */
export function admitSessions(memory: GuardMemory): (client: ClientBase) => Promise<void> {
  return async (client) => {
    const seen = await readIdentity(client);
    if (seen === undefined) return;
    const known = memory.read();
    if (known === undefined || !isSameDatabase(known, seen) || !isOlderTimeline(seen.timeline, known.timeline)) {
      return memory.sawTimeline(seen);
    }
    const n = await readHeartbeats(client);
    if (n !== undefined && wasConfirmedSince(known, { n })) return;
    throw new GuardRefused(seen.timeline!, known.timeline!);
  };
}
