// The API of the front, put together. The door listens from the start and says that the database is not there until it
// is; sessions of its own, so that a batch never keeps single submissions waiting, and a report neither.

import type { HttpApi, HttpEntry } from "../doors/http/http-api.ts";
import { removeLeftUploads } from "../doors/http/upload-file.ts";
import { systemClock } from "../platform/clock.ts";
import type { Config } from "../platform/config.ts";
import type { Log } from "../platform/log.ts";
import { SESSIONS_MAX } from "../platform/session-limits.ts";
import { createPool, inOrder, type Database } from "../postgres/database.ts";
import { planForTheQueue } from "../queue/session-store.ts";
import { createBatchAcceptance } from "../submission/accept-batch.ts";
import type { EntryHere } from "./entry-here.ts";
import { admitHere } from "./guard-here.ts";
import { bulkLanesOf } from "./lanes.ts";
import { openPreflights } from "./preflights-here.ts";
import { subscriptionsOf, unsubscriberOf } from "./unsubscribe-here.ts";

export interface HttpHere {
  readonly api: HttpApi;
  /** From now on it takes mail. */
  open(entry: EntryHere): void;
  /** Once the door is closed. */
  close(): Promise<void>;
}

/** Who asked has been answered by then (`DATABASE_MS_MAX`). */
const READ_MS_MAX = 3000;

export function prepareHttp(config: Config, { clientConfig }: Database, log: Log): HttpHere {
  let entry: HttpEntry | undefined;
  const admit = admitHere(config);
  const reads = createPool(
    {
      ...clientConfig,
      query_timeout: READ_MS_MAX,
      connectionTimeoutMillis: READ_MS_MAX,
      application_name: "postlane front http",
    },
    log,
    { connectionsMax: SESSIONS_MAX.frontReads, onConnect: inOrder(admit, planForTheQueue) },
  );
  const batches = createPool({ ...clientConfig, application_name: "postlane front batches" }, log, {
    connectionsMax: SESSIONS_MAX.frontBatches,
    onConnect: admit,
  });
  const longWork = createPool({ ...clientConfig, application_name: "postlane front long work" }, log, {
    connectionsMax: SESSIONS_MAX.frontLongWork,
    onConnect: admit,
  });
  const preflights = openPreflights(config, longWork.pool, log);
  removeLeftUploads(config.dataDir);
  return {
    api: { entry: () => entry, config, clock: systemClock, log },
    open({ keyring, acceptance }) {
      const accepting = createBatchAcceptance(batches.pool, bulkLanesOf(config));
      const pages = { unsubscriber: unsubscriberOf(reads.pool), subscriptions: subscriptionsOf(reads.pool) };
      const pools = { longWork: longWork.pool, pool: reads.pool };
      entry = { keyring, acceptance, batches: accepting, ...pages, preflights, ...pools };
    },
    async close() {
      entry = undefined;
      await preflights.close();
      await Promise.all([reads.close(), batches.close(), longWork.close()]);
    },
  };
}
