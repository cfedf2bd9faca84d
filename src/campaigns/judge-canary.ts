// The canary of a campaign: the first part of its list is tried, and the others wait for what becomes of it. More failures
// than its limit stop the campaign, at any moment; when all of it was tried it is watched for a while, since failures come
// home late; then the others go. What relays refuse for policy is held or deferred (dispatcher/fate.ts), and counts so.
// Nothing here looks at replies: the books know.

import type { Pool, PoolClient } from "pg";
import type { CampaignId } from "../mail/ids.ts";
import { inTransaction } from "../postgres/transaction.ts";
import { lockCampaign, moveCampaignIfIn, moveCanary, type PausedBecause } from "./campaign-store.ts";
import { campaignsWithCanary, readCanary, type CanaryFigures } from "./canary-store.ts";

export interface StoppedCampaign {
  readonly name: string;
  readonly because: PausedBecause;
}

/** Answers those that it has stopped. */
export async function judgeCanaries(pool: Pool): Promise<readonly StoppedCampaign[]> {
  const stopped: StoppedCampaign[] = [];
  for (const id of await campaignsWithCanary(pool)) {
    const figures = await readCanary(pool, id);
    // Nothing to be written: no campaign is locked for it, and nothing committed.
    if (figures === undefined || canaryVerdict(figures).kind === "wait") continue;
    const stop = await inTransaction(pool, (client) => judgeCanary(client, id));
    if (stop !== undefined) stopped.push(stop);
  }
  return stopped;
}

async function judgeCanary(client: PoolClient, id: CampaignId): Promise<StoppedCampaign | undefined> {
  const { name, status } = await lockCampaign(client, id);
  const figures = status === "running" ? await readCanary(client, id) : undefined;
  if (figures === undefined) return undefined;
  const verdict = canaryVerdict(figures);
  switch (verdict.kind) {
    case "wait":
      return undefined;
    case "watch":
      await moveCanary(client, id, "watching");
      return undefined;
    case "pass":
      await moveCanary(client, id, "passed");
      return undefined;
    case "stop":
      await moveCanary(client, id, "stopped");
      await moveCampaignIfIn(client, id, "paused", ["running"], verdict.because);
      return { name, because: verdict.because };
  }
}

// ---- the decision, pure ----------------------------------------------------------------------------------------------

/** `watch`: all were tried, and the wait begins. */
type CanaryVerdict =
  | { readonly kind: "wait" | "watch" | "pass" }
  | { readonly kind: "stop"; readonly because: PausedBecause };

export function canaryVerdict(figures: CanaryFigures): CanaryVerdict {
  const { state, rows, made, queued, deferred, bounced, held, expired, limit, wait_ms, watched_ms } = figures;
  const failed = deferred + bounced + held + expired;
  // 29 % of 100 are 29, and not 28.999…
  const mayFail = Math.floor(rows * limit + 1e-9);
  if (failed > mayFail) {
    const evidence = { rows, tried: made - queued, deferred, bounced, held, expired, limit };
    return { kind: "stop", because: { code: "canary_failed", evidence } };
  }
  if (state === "watching") return { kind: (watched_ms ?? 0) >= wait_ms ? "pass" : "wait" };
  // A few that wait behind a dead destination, perhaps for days, hold up nobody if they could fail without changing this.
  return { kind: made >= rows && failed + queued <= mayFail ? "watch" : "wait" };
}

/** For the alarm and the log. */
export function tellCanary({ evidence }: PausedBecause): string {
  const { rows, tried, deferred, bounced, held, expired, limit } = evidence;
  const failed = [
    [deferred, "deferred"],
    [bounced, "bounced"],
    [held, "held"],
    [expired, "expired"],
  ] as const;
  const told = failed.filter(([n]) => n > 0).map(([n, state]) => `${n} ${state}`);
  return `of the first ${rows} recipients ${tried} were tried: ${told.join(", ")}; ${percent(limit)} % may fail`;
}

function percent(share: number): number {
  return Number((share * 100).toPrecision(3));
}
