// Bulk gives way: on the CPU with all of its threads, and in the database too: where the server's processes run on this
// machine under our rights (the embedded server), the sessions of a bulk dispatcher get its niceness. Elsewhere it is not
// possible, and that is said once.

import { readdirSync } from "node:fs";
import os from "node:os";
import type { Log } from "../platform/log.ts";
import type { Database } from "../postgres/database.ts";

const BACKEND_NICENESS = 10;
/** Niceness of a bulk dispatcher: when the CPU gets short, it is the one that waits. */
const OWN_NICENESS = 10;

// Linux keeps a niceness for each thread. Those that sign and collect garbage were started before: left as they are, they
// would compete with mail that somebody waits for, and would starve our own main thread.
export function giveWayOnCpu(log: Log): void {
  os.setPriority(OWN_NICENESS);
  if (process.platform !== "linux") return;
  for (const thread of readdirSync("/proc/self/task")) {
    try {
      os.setPriority(Number(thread), OWN_NICENESS);
    } catch (error) {
      // It may have ended meanwhile.
      log.debug("give_way.refused", { error: String(error) });
    }
  }
}

export function giveWayInDatabase(database: Database, log: Log): void {
  if (!database.isEmbedded) {
    log.info("give_way.database_not_ours", { effect: "bulk sessions run at the server's own priority" });
    return;
  }
  database.pool.on("connect", (client) => {
    // The driver keeps the server process's id from the connection's start (PostgreSQL protocol, BackendKeyData).
    const pid = (client as unknown as { readonly processID: number | null }).processID;
    try {
      if (pid !== null) os.setPriority(pid, BACKEND_NICENESS);
    } catch (error) {
      log.debug("give_way.refused", { error: String(error) });
    }
  });
}
