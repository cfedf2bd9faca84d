import assert from "node:assert/strict";
import { test } from "node:test";
import type { CampaignId, MessageId, SubmissionId } from "../mail/ids.ts";
import type { LaneSettings } from "../mail/lane.ts";
import type { EventRow, MessageRow } from "./message-store.ts";
import { shapeStory } from "./message-story.ts";

const settled: MessageRow = {
  id: 7 as MessageId,
  lane: "bulk",
  recipient: "ann@example.com",
  submission_id: 3 as SubmissionId,
  door: "sql",
  credential: "site",
  metadata: null,
  campaign_id: 0 as CampaignId,
  campaign: null,
  campaign_status: null,
  accepted_at: new Date("2027-01-01T00:00:00Z"),
  expires_at: null,
  queue_state: null,
  due_ms: null,
  attempts: null,
  is_claimed: null,
};
const waiting: MessageRow = {
  ...settled,
  queue_state: "deferred",
  due_ms: 1_800_000_000_000,
  attempts: 2,
  is_claimed: false,
};

test("a row in the queue says the state, whatever the events are", () => {
  const story = shapeStory(waiting, [event("sent"), event("deferred")], {});
  assert.deepEqual([story.state, story.attempts, story.due_at], ["deferred", 2, "2027-01-15T08:00:00.000Z"]);
});

test("a waiting row of a canceled campaign is canceled already, and not due", () => {
  const story = shapeStory({ ...waiting, campaign: "march", campaign_status: "canceled" }, [], {});
  assert.deepEqual([story.state, story.due_at, story.campaign?.name], ["canceled", null, "march"]);
});

test("without a row the last settled state is it; what was told beside it is no state", () => {
  const events = [event("deferred"), event("sent"), event("late_sent"), event("deferred")];
  assert.equal(shapeStory(settled, events, {}).state, "sent");
});

test("sent into a capture outlet is captured", () => {
  assert.equal(shapeStory(settled, [{ ...event("sent"), host: "capture" }], {}).is_captured, true);
  assert.equal(shapeStory(settled, [event("sent")], {}).is_captured, false);
});

test("a history that was dropped leaves no state to tell", () => {
  assert.equal(shapeStory(settled, [], {}).state, null);
});

test("it expires by its lane's time to live or its own limit, whichever ends first", () => {
  const lanes = { bulk: { ttlMs: 86_400_000 } as LaneSettings };
  assert.equal(shapeStory(settled, [], lanes).expires_at, "2027-01-02T00:00:00.000Z");
  const limited = { ...settled, expires_at: new Date("2027-01-01T06:00:00Z") };
  assert.equal(shapeStory(limited, [], lanes).expires_at, "2027-01-01T06:00:00.000Z");
  assert.equal(shapeStory(settled, [], {}).expires_at, null);
});

function event(kind: string): EventRow {
  return {
    at: new Date("2027-01-01T00:00:01Z"),
    attempt: 1,
    kind,
    outlet: "default",
    host: "mx.example.com",
    reply: null,
  };
}
