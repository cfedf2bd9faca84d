import assert from "node:assert/strict";
import { test } from "node:test";
import type { CampaignId, LaneId, LeaseId, MessageId } from "../mail/ids.ts";
import type { LaneSettings } from "../mail/lane.ts";
import type { ClaimedUnderLease } from "../queue/lease-store.ts";
import { KEEP_DUE } from "../queue/queue-store.ts";
import type { JournalAnswer, JournalEvidence, JournalVerdict } from "./journal.ts";
import { believedUnder, rescueRow, RESCUES_MAX } from "./rescue-decision.ts";

const LANE: LaneSettings = {
  name: "bulk",
  priority: "bulk",
  outlets: ["news"],
  ttlMs: 1_000_000,
  unknownPolicy: "hold",
  unknownGraceMs: 600_000,
  dispatchers: 1,
  retry: { kind: "list", delaysMs: [1000] },
  claimAheadMax: 10,
};
const CLAIMED: ClaimedUnderLease = {
  message_id: 9 as MessageId,
  campaign_id: 3 as CampaignId,
  lane_id: 2 as LaneId,
  accepted_on: "2026-11-23",
  attempts: 1,
  tries: 1,
  rescues: 0,
  state: "deferred",
  accepted_ms: 0,
  expires_ms: null,
  version: null,
};
const HEAD = { bootId: "this", leaseId: 1 as LeaseId, laneId: 2 as LaneId, pid: 1, processStart: "1" };

const says = (verdict: JournalVerdict, bootId = "this"): JournalEvidence => ({
  head: { ...HEAD, bootId },
  verdictOn: () => verdict,
  answered: [],
});
const answer = (kind: JournalAnswer["kind"], isOwnFault = true): JournalAnswer => ({
  kind,
  outlet: "news",
  host: "relay.example:25",
  reply: "what was said",
  isOwnFault,
});
const decide = (evidence: JournalEvidence | undefined, claimed: ClaimedUnderLease = CLAIMED) =>
  rescueRow(claimed, evidence, { lane: LANE, nowMs: 5000, random: () => 0.5 });

test("no line: it goes back as it was, and is watched from now on", () => {
  const { becomes, event } = decide(says({ kind: "no_line" }));
  assert.deepEqual(becomes, {
    kind: "waiting",
    state: "deferred",
    delayMs: KEEP_DUE,
    attempts: 1,
    tries: 1,
    rescues: 1,
  });
  assert.equal(event, undefined);
  const watched = decide(says({ kind: "no_line" }), { ...CLAIMED, rescues: 2 }).becomes;
  assert.equal(watched.kind === "waiting" ? watched.rescues : undefined, 2);
});

test("a dot without a reply is unknown, by the attempt that was open", () => {
  const { attempt, becomes, event } = decide(says({ kind: "dot" }));
  assert.equal(attempt, 2);
  assert.deepEqual(becomes, { kind: "waiting", state: "unknown", delayMs: null, attempts: 2, tries: 1, rescues: 0 });
  assert.equal(event?.kind, "unknown");
});

test("a known reply settles", () => {
  assert.equal(decide(says({ kind: "answered", answer: answer("sent") })).becomes.state, "sent");
  assert.equal(decide(says({ kind: "answered", answer: answer("bounced") })).becomes.state, "bounced");
  assert.equal(decide(says({ kind: "answered", answer: answer("unknown") })).becomes.state, "unknown");
  const own = decide(says({ kind: "answered", answer: answer("deferred") })).becomes;
  const others = decide(says({ kind: "answered", answer: answer("deferred", false) })).becomes;
  assert.deepEqual(
    [own, others].map((one) => one.kind === "waiting" && [one.state, one.attempts, one.tries]),
    [
      ["deferred", 2, 2],
      ["deferred", 2, 1],
    ],
  );
});

test("a message whose merge kills the dispatcher again and again is set aside", () => {
  let rescues = 1;
  for (let deaths = 1; deaths < RESCUES_MAX; deaths++) {
    const { becomes } = decide(says({ kind: "composing" }), { ...CLAIMED, rescues });
    assert.equal(becomes.state, "deferred");
    rescues = becomes.kind === "waiting" ? becomes.rescues : 0;
    assert.equal(rescues, deaths + 1);
  }
  const { becomes, event } = decide(says({ kind: "composing" }), { ...CLAIMED, rescues });
  assert.equal(becomes.state, "held");
  assert.match(event?.reply ?? "", /died 3 times/);
});

test("without a journal, or with one of another boot, all but what is shown answered is unknown", () => {
  assert.equal(believedUnder("this", undefined), undefined);
  assert.equal(decide(undefined).becomes.state, "unknown");
  for (const verdict of [{ kind: "no_line" }, { kind: "composing" }, { kind: "dot" }] as const) {
    assert.equal(decide(believedUnder("this", says(verdict, "earlier"))).becomes.state, "unknown", verdict.kind);
  }
  const shown = says({ kind: "answered", answer: answer("sent") }, "earlier");
  assert.equal(decide(believedUnder("this", shown)).becomes.state, "sent");
  const believed = says({ kind: "no_line" });
  assert.equal(believedUnder("this", believed), believed);
});
