// Webhooks, put together in the front: the sender with its sockets and its sessions of its own, planned for tables that
// may have grown a thousandfold since.

import type { Config } from "../platform/config.ts";
import { systemClock } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import { createPoster } from "../platform/poster.ts";
import { readVersion } from "../platform/version.ts";
import { SESSIONS_MAX } from "../platform/session-limits.ts";
import { connectDatabase, inOrder } from "../postgres/database.ts";
import { createReachable } from "../events/reachable-address.ts";
import { startWebhookSender } from "../events/webhook-sender.ts";
import { planForTheQueue } from "../queue/session-store.ts";
import { admitHere } from "./guard-here.ts";
import { tellSupervisor } from "./supervision.ts";

/** The scheme asks for 15 to 30 s. */
export const POST_MS_MAX = 20_000;

export interface WebhooksHere {
  stop(): Promise<void>;
}

export async function openWebhooks(config: Config, log: Log): Promise<WebhooksHere> {
  const { databaseUrl, dataDir, webhookAllow, from } = config;
  const limits = { connectionsMax: SESSIONS_MAX.frontWebhooks, onConnect: inOrder(admitHere(config), planForTheQueue) };
  const { pool, close } = await connectDatabase({ databaseUrl, dataDir, log, role: "front webhooks", ...limits });
  const poster = createPoster({ isReachable: createReachable(webhookAllow), timeoutMs: POST_MS_MAX });
  const sender = startWebhookSender({
    pool,
    clock: systemClock,
    log,
    poster,
    defaultFrom: from,
    userAgent: `Postlane/${readVersion()}`,
    onDisabled: (line) => tellSupervisor({ kind: "told", line: `WARNING: ${line}` }),
  });
  return {
    async stop() {
      await sender.stop();
      poster.close();
      await close();
    },
  };
}
