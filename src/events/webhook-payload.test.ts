// What a webhook tells of somebody who wants no more.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { CampaignId, MessageId, WebhookId } from "../mail/ids.ts";
import { wordsOfUnsubscribe } from "../mail/unsubscribe-words.ts";
import type { DeliveryRow } from "./delivery-store.ts";
import { webhookPayload } from "./webhook-payload.ts";

const ROW: DeliveryRow = {
  id: 1,
  webhook_id: 1 as WebhookId,
  message_id: 42 as MessageId,
  attempt: 0,
  kind: "unsubscribed",
  at_us: 1_767_225_600_000_000,
  tries: 0,
  recipient: "ann@example.com",
  submission_id: null,
  campaign_id: 7 as CampaignId,
  lane: "bulk",
  accepted_at: new Date(1_767_225_000_000),
  sender: "News <news@news.example>",
  subject: null,
  tags: null,
  head: null,
  metadata: null,
  outlet: null,
  host: "one_click",
  reply: wordsOfUnsubscribe("weekly-news"),
};

function told(row: DeliveryRow): Readonly<Record<string, unknown>> {
  const { body } = webhookPayload(row, "Shop <shop@example.com>")!;
  const { type, data } = JSON.parse(body) as {
    readonly type: string;
    readonly data: Readonly<Record<string, unknown>>;
  };
  assert.equal(type, "email.unsubscribed");
  return data;
}

test("the list, or that it is all bulk mail, and how it was said", () => {
  const ofList = told(ROW);
  assert.deepEqual(ofList["unsubscribe"], { scope: "list", list: "weekly-news", by: "one_click" });
  assert.deepEqual([ofList["to"], ofList["campaign_id"]], [["ann@example.com"], "cmp_7"]);
  const ofAll = told({ ...ROW, host: "page", reply: wordsOfUnsubscribe("") });
  assert.deepEqual(ofAll["unsubscribe"], { scope: "bulk", by: "page" });
});
