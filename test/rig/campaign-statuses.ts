// A campaign in each status, brought there by what the program does; and what the real command line says to an order.

import assert from "node:assert/strict";
import type { Pool } from "pg";
import { finishCampaigns, type CampaignStatus } from "../../src/campaigns/campaign-store.ts";
import { controlCampaign } from "../../src/campaigns/control-campaign.ts";
import { startCampaign } from "../../src/campaigns/start-campaign.ts";
import type { CampaignId } from "../../src/mail/ids.ts";
import { runCommand, type CommandPlace } from "../integration/cli-command.ts";
import { fillList, insertCampaign } from "./campaign-list.ts";

/** Called by its status, with three recipients; of the finished one all have left the list. */
export async function campaignIn(pool: Pool, status: CampaignStatus): Promise<CampaignId> {
  const template = { from: "news@news.example", subject: "News", text: "Hello!" };
  const id = await insertCampaign(pool, { name: status, lane: "bulk", status: "draft", template });
  await fillList(pool, id, "SELECT n, 'user' || n || '@example.com', '{}', NULL FROM generate_series(1, 3) AS n");
  switch (status) {
    case "importing":
      await pool.query("UPDATE postlane.campaign SET status = 'importing' WHERE id = $1", [id]);
      return id;
    case "draft":
      return id;
    case "scheduled":
      await startCampaign(pool, id, { when: { kind: "at", atMs: Date.parse("2099-01-01T00:00:00Z") } });
      return id;
    case "running":
      await startCampaign(pool, id, { when: { kind: "now" } });
      return id;
    case "paused":
    case "canceled":
      await startCampaign(pool, id, { when: { kind: "now" } });
      await controlCampaign(pool, id, status === "paused" ? "pause" : "cancel");
      return id;
    case "finished":
      await startCampaign(pool, id, { when: { kind: "now" } });
      await pool.query("UPDATE postlane.campaign_wave SET withdrawn = rows WHERE campaign_id = $1", [id]);
      await pool.query("UPDATE postlane.balance_delta SET state = 'canceled' WHERE campaign_id = $1", [id]);
      assert.equal((await finishCampaigns(pool)).length, 1);
      return id;
  }
}

export interface Said {
  readonly exitCode: number | null;
  /** Of a failure: its code and message, as programs get them. */
  readonly code?: string;
  readonly message?: string;
  /** Else the status that it has now. */
  readonly status?: string;
}

/** `postlane campaign …`, as a program calls it. */
export async function campaignSays(place: CommandPlace, ...args: readonly string[]): Promise<Said> {
  const { exitCode, stdout, stderr } = await runCommand(place, ["campaign", ...args, "--json"]);
  assert.match(stdout, /^\{.*\}\n$/, `${args.join(" ")}: ${stdout}${stderr}`);
  const { error, status } = JSON.parse(stdout) as {
    readonly error?: { readonly code: string; readonly message: string };
    readonly status?: string;
  };
  return error === undefined ? { exitCode, status: status! } : { exitCode, ...error };
}

/** Of an order that a campaign in this status does not take. */
export async function assertRefused(
  place: CommandPlace,
  order: string,
  status: CampaignStatus,
  possible: RegExp,
): Promise<void> {
  const { exitCode, code, message } = await campaignSays(place, order, status);
  assert.deepEqual([exitCode, code], [1, "campaign_refused"], `${order} of ${status}`);
  const is = status === "draft" ? "a draft" : status;
  assert.ok(message!.startsWith(`Campaign "${status}" is ${is}: ${order} is not possible. `), message);
  assert.match(message!, possible);
}
