// Who comes onto a list by themselves, and the campaigns of that list: what has started is not changed, what starts later has
// them; and a campaign that starts in the very moment knows how far its list reaches.

import assert from "node:assert/strict";
import { test } from "node:test";
import { admitRecipient } from "../../src/campaigns/admission-store.ts";
import { createCampaign, type NewCampaign } from "../../src/campaigns/campaign-store.ts";
import { emptyListData } from "../../src/campaigns/list-data.ts";
import { takeTurn } from "../../src/campaigns/list-store.ts";
import { startCampaign, type StartAnswer } from "../../src/campaigns/start-campaign.ts";
import type { CampaignId } from "../../src/mail/ids.ts";
import { insertTemplate } from "../../src/templates/template-store.ts";
import { booksOf, until } from "../rig/lane-mail.ts";
import { startQuietUpkeep } from "../rig/quiet-upkeep.ts";
import { LIST_COLUMNS, recipientsOf, startSubscriptions, type SubscriptionRig } from "./subscription-rig.ts";

async function subscribed(rig: SubscriptionRig, ...addresses: readonly string[]): Promise<void> {
  for (const address of addresses) {
    await rig.subscribe(address);
    assert.equal((await rig.confirm(await rig.linkTo(address))).status, 200);
  }
}

async function draft({ pool, listId }: SubscriptionRig, name: string): Promise<CampaignId> {
  const source = { from: "News <news@example.com>", subject: "News", text: "Hello {{ first_name }}" };
  const contentId = await insertTemplate(pool, { source, octets: [] });
  const given: NewCampaign = { name, lane: "bulk", listId, contentId, status: "draft", list: "weekly-news" };
  return (await createCampaign(pool, given))!;
}

async function recipientsIn({ pool }: SubscriptionRig, id: CampaignId): Promise<readonly string[]> {
  const { rows } = await pool.query<{ recipient: string }>(
    "SELECT recipient FROM postlane.message WHERE campaign_id = $1 ORDER BY id",
    [id],
  );
  return rows.map(({ recipient }) => recipient).toSorted();
}

test("a campaign that runs keeps its recipients; a later one has who was confirmed meanwhile, too", async (t) => {
  const rig = await startSubscriptions(t);
  await subscribed(rig, "a@example.com", "b@example.com");
  const first = await draft(rig, "first");
  const started = await startCampaign(rig.pool, first, { when: { kind: "now" } });
  assert.deepEqual(acceptedBy(started), [2, "running"]);
  await subscribed(rig, "c@example.com");
  startQuietUpkeep(t, rig.pool);
  await until("the first is made", async () => (await recipientsIn(rig, first)).length === 2);
  const second = await draft(rig, "second");
  await startCampaign(rig.pool, second, { when: { kind: "now" } });
  await until("the second is made", async () => (await recipientsIn(rig, second)).length === 3);
  assert.deepEqual(await recipientsIn(rig, first), ["a@example.com", "b@example.com"]);
  assert.deepEqual(await recipientsIn(rig, second), ["a@example.com", "b@example.com", "c@example.com"]);
  assert.deepEqual([await booksOf(rig.pool, first), await booksOf(rig.pool, second)], [{ queued: 2 }, { queued: 3 }]);
});

test("a campaign that starts while somebody is coming in waits for them, and counts them", async (t) => {
  const rig = await startSubscriptions(t);
  await subscribed(rig, "a@example.com");
  const id = await draft(rig, "news");
  const client = await rig.pool.connect();
  try {
    await client.query("BEGIN");
    const empty = emptyListData(LIST_COLUMNS, "b@example.com");
    await admitRecipient(client, { listId: rig.listId, address: "b@example.com", empty, given: "{}" });
    const starting = startCampaign(rig.pool, id, { when: { kind: "now" } });
    await until("the start waits", async () => {
      const { rows } = await rig.pool.query("SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted");
      return rows.length === 1;
    });
    await client.query("COMMIT");
    assert.deepEqual(acceptedBy(await starting), [2, "running"]);
  } finally {
    client.release();
  }
});

test("while an import is under way, people still confirm", async (t) => {
  const rig = await startSubscriptions(t);
  const client = await rig.pool.connect();
  try {
    assert.equal(await takeTurn(client, rig.listId), true);
    await subscribed(rig, "a@example.com");
    assert.equal((await recipientsOf(rig)).length, 1);
  } finally {
    client.release(true);
  }
});

function acceptedBy(started: StartAnswer): readonly unknown[] {
  assert.ok(started.kind === "started");
  return [started.accepted, started.status];
}
