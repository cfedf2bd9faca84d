// Debian's PostgreSQL 15 with its data on a disk whose power can be cut; Postlane reaches it by DATABASE_URL. Nobody brings it
// up again but the fault.

import path from "node:path";
import pg from "pg";
import { silentLog } from "../../src/platform/log.ts";
import type { BinariesSource } from "../../src/postgres/embedded-binaries.ts";
import { removeEmbedded, startEmbedded, type EmbeddedServer } from "../../src/postgres/embedded.ts";
import { migrate } from "../../src/postgres/migrate.ts";
import type { Scope } from "../../test/rig/scope.ts";

export interface ServerOnVolume {
  /** The same after every start. */
  readonly databaseUrl: string;
  /** After a power cut; resolves when it takes sessions. */
  startAgain(): Promise<void>;
}

const DEBIAN_15: BinariesSource = { kind: "installed", binFolder: "/usr/lib/postgresql/15/bin", major: 15 };
/** For a disk of a few hundred megabytes. Never a word about fsync. */
const SETTINGS = { shared_buffers: "64MB", max_wal_size: "128MB", min_wal_size: "32MB" };

/** With Postlane's tables. `folder`: others may pass through it, since the server does not run as root. */
export async function startServerOnVolume(scope: Scope, folder: string): Promise<ServerOnVolume> {
  const dataDir = path.join(folder, "server");
  const start = async (): Promise<EmbeddedServer> =>
    await startEmbedded({ dataDir, log: silentLog, binaries: DEBIAN_15, settings: SETTINGS });
  scope.after(() => removeEmbedded(dataDir));
  const { user, socketDir, port, database } = await start();
  const databaseUrl = `postgresql://${user}@/${database}?host=${encodeURIComponent(socketDir)}&port=${port}`;
  await migrateAt(databaseUrl);
  return {
    databaseUrl,
    async startAgain() {
      await start();
    },
  };
}

async function migrateAt(connectionString: string): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    await migrate(client);
  } finally {
    await client.end();
  }
}
