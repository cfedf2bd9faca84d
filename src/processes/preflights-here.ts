// Preflights that were asked for by HTTP: one at a time, in a thread of its own with a bounded heap. Whatever ends the thread
// before it has kept its report, an error of its own included, is kept as the reason why there is none.

import path from "node:path";
import { Worker } from "node:worker_threads";
import type { Pool } from "pg";
import type { PreflightOrder, Preflights } from "../doors/http/http-api.ts";
import type { Config } from "../platform/config.ts";
import type { Log } from "../platform/log.ts";
import { beginPreflight, keepPreflight } from "../preflight/preflight-store.ts";
import type { PreflightThreadData } from "./preflight-thread.ts";

export interface PreflightsHere extends Preflights {
  close(): Promise<void>;
}

/** A chunk of recipients and what was found take far less; what a template makes grow ends the thread, and not the front. */
const HEAP_MB_MAX = 512;

export function openPreflights(config: Config, pool: Pool, log: Log): PreflightsHere {
  let isBusy = false;
  let underWay: { readonly worker: Worker; readonly ended: Promise<void> } | undefined;

  async function follow(worker: Worker, { campaignId }: PreflightOrder): Promise<void> {
    const error = await endOf(worker);
    if (error !== undefined) {
      log.error("preflight.failed", { campaign_id: campaignId, error });
      await keepPreflight(pool, campaignId, { error }).catch((failure: unknown) =>
        log.error("preflight.not_kept", { campaign_id: campaignId, error: String(failure) }),
      );
    }
    underWay = undefined;
    isBusy = false;
  }

  return {
    async begin(order) {
      if (isBusy) return false;
      isBusy = true;
      try {
        await beginPreflight(pool, order.campaignId, order.version);
        const worker = startThread({ config, order });
        underWay = { worker, ended: follow(worker, order) };
        return true;
      } catch (error) {
        isBusy = false;
        throw error;
      }
    },
    async close() {
      if (underWay === undefined) return;
      const { worker, ended } = underWay;
      await worker.terminate();
      await ended;
    },
  };
}

function startThread(workerData: PreflightThreadData): Worker {
  return new Worker(new URL(`./preflight-thread${path.extname(import.meta.filename)}`, import.meta.url), {
    workerData,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB_MAX },
  });
}

/** Undefined: it has kept its report. */
async function endOf(worker: Worker): Promise<string | undefined> {
  let [isKept, failure] = [false, "the front was stopped meanwhile: ask for it again"];
  worker.once("message", () => (isKept = true));
  worker.once("error", (error) => (failure = error.message));
  await new Promise<void>((resolve) => void worker.once("exit", () => resolve()));
  return isKept ? undefined : failure;
}
