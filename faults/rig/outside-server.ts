// A PostgreSQL that Postlane did not start and does not watch: the embedded binaries on a folder of the fault's own, a disk
// whose power can be cut or that can be full, reached by DATABASE_URL. Its programs lie on the ordinary disk, where a
// machine has them for long. Nobody brings it up again but the fault.

import path from "node:path";
import pg from "pg";
import { silentLog } from "../../src/platform/log.ts";
import { layOut, majorOf, packagedBinaries, type BinariesSource } from "../../src/postgres/embedded-binaries.ts";
import { removeEmbedded, startEmbedded, type EmbeddedServer } from "../../src/postgres/embedded.ts";
import { migrate } from "../../src/postgres/migrate.ts";
import type { Scope } from "../../test/rig/scope.ts";
import { makePassableFolder } from "./passable-folder.ts";
import { createTurns } from "./turns.ts";

export interface OutsideServer {
  /** The same after every start. */
  readonly databaseUrl: string;
  /** Starts it again, after its end; resolves when it takes sessions. */
  startAgain(): Promise<void>;
  /** Makes Postlane's tables before Postlane does. */
  migrate(): Promise<void>;
}

/**
 * For a disk of a few hundred megabytes: WAL stays below 128 MB, and checkpoints come all the time, so that a cut meets
 * them too. Never a word about fsync or full_page_writes: they are on.
 */
const SETTINGS = { shared_buffers: "64MB", max_wal_size: "128MB", min_wal_size: "32MB", checkpoint_timeout: "30s" };

/** `folder`: others may pass through it, since the server does not run as root. */
export async function startOutsideServer(scope: Scope, folder: string): Promise<OutsideServer> {
  const dataDir = path.join(folder, "server");
  const binaries = programs(scope);
  const start = async (): Promise<EmbeddedServer> =>
    await startEmbedded({ dataDir, log: silentLog, binaries, settings: SETTINGS });
  const turns = createTurns();
  scope.after(() => turns.end(() => removeEmbedded(dataDir)));
  const { user, socketDir, port, database } = await turns.take(start);
  const databaseUrl = `postgresql://${user}@/${database}?host=${encodeURIComponent(socketDir)}&port=${port}`;
  return {
    databaseUrl,
    async startAgain() {
      await turns.take(start);
    },
    migrate: () => migrateAt(databaseUrl),
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

function programs(scope: Scope): BinariesSource {
  const packaged = packagedBinaries();
  const home = makePassableFolder(scope, "programs");
  return { kind: "installed", binFolder: layOut(packaged, home).binFolder, major: majorOf(packaged) };
}
