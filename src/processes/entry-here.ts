// What the doors of the front share: sessions of their own, so that a door never waits behind a report; the station that
// accepts; and the keys of those who submit. Close the doors first.

import type { Pool } from "pg";
import { systemClock } from "../platform/clock.ts";
import type { Config } from "../platform/config.ts";
import type { Log } from "../platform/log.ts";
import { SESSIONS_MAX } from "../platform/session-limits.ts";
import { connectDatabase } from "../postgres/database.ts";
import { createKeyring, type Keyring } from "../senders/keyring.ts";
import { createAcceptance, type Acceptance } from "../submission/accept-submission.ts";
import { admitHere } from "./guard-here.ts";
import { bulkLanesOf } from "./lanes.ts";

export interface EntryHere {
  readonly pool: Pool;
  readonly acceptance: Acceptance;
  readonly keyring: Keyring;
  close(): Promise<void>;
}

export async function openEntry(config: Config, log: Log): Promise<EntryHere> {
  const { databaseUrl, dataDir } = config;
  const settings = {
    databaseUrl,
    dataDir,
    log,
    role: "front entry",
    connectionsMax: SESSIONS_MAX.frontEntry,
    onConnect: admitHere(config),
  };
  const { pool, close } = await connectDatabase(settings);
  const keyring = createKeyring({ pool, clock: systemClock, log });
  return {
    pool,
    acceptance: createAcceptance(pool, systemClock, bulkLanesOf(config)),
    keyring,
    async close() {
      await keyring.close();
      await close();
    },
  };
}
