// Looks at the server before anything is entrusted to it. A server that may lose what it has confirmed is refused, for
// "accepted" means durable; so is one that is too old, or that cannot be written to. Changes nothing.

import type { ClientBase } from "pg";
import { type ServerSettings, readServerSettings } from "./server-store.ts";

type ServerRefusal = "server_too_old" | "server_in_recovery" | "server_fsync_off" | "server_full_page_writes_off";

export class ServerRefused extends Error {
  readonly code: ServerRefusal;

  constructor(code: ServerRefusal, message: string) {
    super(message);
    this.name = "ServerRefused";
    this.code = code;
  }
}

/** The oldest that is tested; as server_version_num has it. */
const VERSION_NUMBER_MIN = 150_000;

export async function checkServer(client: ClientBase): Promise<{ readonly warnings: readonly string[] }> {
  const settings = await readServerSettings(client);
  const refusal = judgeServer(settings);
  if (refusal !== undefined) throw refusal;
  return { warnings: warningsOf(settings) };
}

/** What speaks against this server, the gravest first. */
export function judgeServer(settings: ServerSettings): ServerRefused | undefined {
  if (settings.versionNumber < VERSION_NUMBER_MIN) {
    return new ServerRefused(
      "server_too_old",
      `The database server is PostgreSQL ${settings.version}; Postlane needs 15 or later. Upgrade it, or leave ` +
        "DATABASE_URL unset for the embedded server.",
    );
  }
  if (settings.isInRecovery) {
    return new ServerRefused(
      "server_in_recovery",
      "The database server is a standby: it replays another server and takes no writes. Point DATABASE_URL to the " +
        "primary, or wait until this one is promoted.",
    );
  }
  if (!settings.isFsyncOn) {
    return new ServerRefused(
      "server_fsync_off",
      "The database server runs with fsync = off: a power failure may lose or corrupt everything that Postlane has " +
        "confirmed. Set fsync = on in postgresql.conf and reload the server. A slow disk is no reason: Postlane " +
        "commits in groups.",
    );
  }
  if (!settings.isFullPageWritesOn) {
    return new ServerRefused(
      "server_full_page_writes_off",
      "The database server runs with full_page_writes = off: a power failure may tear pages beyond repair. Set " +
        "full_page_writes = on in postgresql.conf and reload the server.",
    );
  }
  return undefined;
}

function warningsOf({ synchronousCommit }: ServerSettings): readonly string[] {
  if (synchronousCommit === "on" || synchronousCommit === "remote_apply") return [];
  return [
    `The database server's synchronous_commit is ${synchronousCommit}. Postlane's own sessions use on, and ` +
      "postlane.enqueue raises it for the transaction that calls it; other commits of the site may be lost in a crash.",
  ];
}
