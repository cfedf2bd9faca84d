// A campaign that is edited while a dispatcher is at work: who was not handed over yet gets the new version, and every event
// says which one it was, also after a crash.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import PostalMime from "postal-mime";
import type { Pool } from "pg";
import { controlCampaign } from "../../src/campaigns/control-campaign.ts";
import { editCampaign } from "../../src/campaigns/edit-campaign.ts";
import type { CampaignId } from "../../src/mail/ids.ts";
import type { TemplateSource } from "../../src/templates/compiled-template.ts";
import { prepareTemplate } from "../../src/templates/prepare-template.ts";
import { NO_PLACES } from "../../src/templates/parse-template.ts";
import { journalLines, startLane, type LaneAtWork, type LaneOptions } from "../rig/lane.ts";
import {
  addRecipient,
  createCampaign,
  fillCampaign,
  until,
  untilEmpty,
  untilEvent,
  untilPulse,
} from "../rig/lane-mail.ts";
import { testDatabase } from "../rig/postgres.ts";
import { readAttachments } from "../rig/read-attachments.ts";
import { startScriptedSink, type ScriptedSink, type SinkMessage, type SinkScript } from "../rig/scripted-sink.ts";

const RETRY_AT_ONCE = { kind: "list", delaysMs: [200] } as const;

test("messages that go out before the edit are of the first version, those after it of the second", async (t) => {
  const { pool, sink, campaign, start } = await rig(t);
  await fillCampaign(pool, campaign, { rows: 3, destinations: 2, domain: "before.example" });
  const lane = await start();
  await untilEmpty(pool);
  await controlCampaign(pool, campaign, "pause");
  await untilPulse(pool, lane.leaseId);
  // These wait as the first version was in force.
  await fillCampaign(pool, campaign, { rows: 4, destinations: 2, domain: "after.example" });
  assert.deepEqual(await edit(pool, campaign, "Second"), { kind: "edited", version: 2 });
  await controlCampaign(pool, campaign, "resume");
  await untilEmpty(pool);
  assert.equal(sink.accepted.length, 7);
  const versions = await sentVersions(pool);
  for (const message of sink.accepted) {
    const [recipient] = message.recipients as [string];
    const isAfter = recipient.endsWith(".after.example");
    assert.match(textOf(message), isAfter ? /^Second, Ann\d/ : /^First, Ann\d/);
    assert.equal(versions.get(recipient), isAfter ? 2 : null);
  }
});

test("edited twice at full speed, each message's event has the version that was on the wire", async (t) => {
  const { pool, sink, campaign, start } = await rig(t);
  const rows = 3_000;
  const late = 300;
  await start({ lane: { name: "bulk", claimAheadMax: 50 }, limits: { maxRatePerS: 1_500 } });
  await fillCampaign(pool, campaign, { rows, destinations: 60, domain: "fast.example" });
  await sink.waitFor(() => sink.accepted.length >= 300);
  await edit(pool, campaign, "Second");
  // Made of an edited campaign, and perhaps claimed by a dispatcher that has not heard of it.
  await fillCampaign(pool, campaign, { rows: late, destinations: 60, domain: "late.example" });
  await sink.waitFor(() => sink.accepted.some((message) => textOf(message).startsWith("Second")));
  await edit(pool, campaign, "Third");
  await untilEmpty(pool);
  assert.equal(sink.accepted.length, rows + late);
  const versions = await sentVersions(pool);
  const counts = { First: 0, Second: 0, Third: 0 };
  for (const message of sink.accepted) {
    const [word] = /^\w+/.exec(textOf(message)) as unknown as [keyof typeof counts];
    counts[word]++;
    assert.equal(versions.get(message.recipients[0]!), { First: null, Second: 2, Third: 3 }[word]);
  }
  assert.ok(counts.First >= 300 && counts.Second > 0 && counts.Third > 0, JSON.stringify(counts));
  assert.match(textOf(sink.accepted.at(-1)!), /^Third/);
});

test("a message that was deferred before the edit goes out with the new version", async (t) => {
  let isEdited = false;
  const { pool, sink, campaign, start } = await rig(t, {
    answer: ({ verb }) => (verb === "DOT" && !isEdited ? "451 4.3.0 try again later" : undefined),
  });
  await start({ lane: { name: "bulk", retry: RETRY_AT_ONCE } });
  const id = await addRecipient(pool, campaign, "ann@example.com");
  await untilEvent(pool, id, "deferred");
  await edit(pool, campaign, "Second");
  isEdited = true;
  await untilEvent(pool, id, "sent");
  const events = await versionsOf(pool, id);
  assert.deepEqual(events[0], ["deferred", null]);
  assert.deepEqual(events.at(-1), ["sent", 2]);
  assert.match(textOf(sink.accepted.at(-1)!), /^Second, Ann/);
});

for (const isReplyKnown of [true, false]) {
  test(`killed ${isReplyKnown ? "behind the reply" : "behind the dot"}, the event has the version that was sent, whatever is in force by then`, async (t) => {
    const kept = keptBack();
    t.after(() => kept.release());
    const { pool, sink, campaign, start } = await rig(t, {
      answer: ({ verb }) => (verb === "DOT" ? kept.ask() : undefined),
    });
    await edit(pool, campaign, "Second");
    const lane = await start({ lane: { name: "bulk", unknownPolicy: "hold" } });
    const id = await addRecipient(pool, campaign, "ann@example.com");
    await kept.asked;
    if (isReplyKnown) await killBehindReply(pool, lane, () => kept.release());
    else await lane.kill();
    await edit(pool, campaign, "Third");
    await lane.rescue();
    assert.deepEqual(await versionsOf(pool, id), [[isReplyKnown ? "sent" : "unknown", 2]]);
    assert.match(textOf(sink.messages[0]!), /^Second, Ann/);
  });
}

test("attachments of a new version are found, and those of the old one are gone from the mails", async (t) => {
  const { pool, sink, campaign, start } = await rig(t);
  const [first, second] = [Buffer.from("first terms"), Buffer.from("second terms")];
  const attached = (octets: Buffer, name: string) => ({
    attachments: [{ filename: name, content_type: "text/plain", bytes: octets.length }],
  });
  await edit(pool, campaign, "Second", attached(first, "a.txt"), [first]);
  const lane = await start();
  await addRecipient(pool, campaign, "ann@example.com");
  await untilEmpty(pool);
  await edit(pool, campaign, "Third", attached(second, "b.txt"), [second]);
  await untilPulse(pool, lane.leaseId);
  const lastId = await addRecipient(pool, campaign, "bob@example.com");
  await untilEvent(pool, lastId, "sent");
  const mails = await Promise.all(
    sink.accepted.map(({ content }) => PostalMime.parse(content, { attachmentEncoding: "arraybuffer" })),
  );
  assert.deepEqual(
    mails.map((mail) => [mail.text!.split(",")[0], readAttachments(mail).map(([name, , , , hex]) => [name, hex])]),
    [
      ["Second", [["a.txt", first.toString("hex")]]],
      ["Third", [["b.txt", second.toString("hex")]]],
    ],
  );
});

// ---- the rig -----------------------------------------------------------------------------------------------------------

interface Rig {
  readonly pool: Pool;
  readonly sink: ScriptedSink;
  readonly campaign: CampaignId;
  start(options?: Partial<LaneOptions>): Promise<LaneAtWork>;
}

async function rig(t: TestContext, script: SinkScript = {}): Promise<Rig> {
  const database = await testDatabase(t);
  const sink = await startScriptedSink(t, script);
  const campaign = await createCampaign(database.pool, { name: "news", template: { text: "First, {{ first_name }}" } });
  return {
    pool: database.pool,
    sink,
    campaign,
    start: (options = {}) => startLane(t, { database, relay: sink, lane: { name: "bulk" }, ...options }),
  };
}

async function edit(
  pool: Pool,
  id: CampaignId,
  word: string,
  more: Partial<TemplateSource> = {},
  octets: readonly Buffer[] = [],
) {
  const source = { subject: "News", text: `${word}, {{ first_name }}`, ...more };
  const prepared = prepareTemplate(source, NO_PLACES, octets);
  return await editCampaign(pool, id, { template: { prepared }, unsubscribe: "offered" });
}

function textOf({ content }: SinkMessage): string {
  return content.toString("latin1").split("\r\n\r\n").slice(1).join("\r\n\r\n");
}

async function sentVersions(pool: Pool): Promise<ReadonlyMap<string, number | null>> {
  const { rows } = await pool.query(
    `SELECT m.recipient, e.version FROM postlane.event AS e JOIN postlane.message AS m ON m.id = e.message_id
     WHERE e.kind = 'sent'`,
  );
  return new Map(rows.map(({ recipient, version }) => [recipient, version]));
}

async function versionsOf(pool: Pool, id: number): Promise<readonly (readonly [string, number | null])[]> {
  const { rows } = await pool.query("SELECT kind, version FROM postlane.event WHERE message_id = $1 ORDER BY at", [id]);
  return rows.map(({ kind, version }) => [kind, version]);
}

/** The first who asks is kept waiting. */
function keptBack() {
  let isAsked: () => void = () => undefined;
  let release: () => void = () => undefined;
  const asked = new Promise<void>((resolve) => (isAsked = resolve));
  const released = new Promise<undefined>((resolve) => (release = () => resolve(undefined)));
  return {
    asked,
    release: () => release(),
    ask(): Promise<undefined> {
      isAsked();
      return released;
    },
  };
}

/** Whoever holds the lease's row keeps every settle waiting, so the reply is in the journal alone. */
async function killBehindReply(pool: Pool, lane: LaneAtWork, release: () => void): Promise<void> {
  const other = await pool.connect();
  await other.query("BEGIN");
  await other.query("SELECT FROM postlane.lease WHERE id = $1 FOR UPDATE", [lane.leaseId]);
  release();
  await until("the reply is in the journal", () =>
    journalLines(lane.journalFile).some((line) => line.startsWith("a ")),
  );
  await lane.kill();
  await other.query("ROLLBACK");
  other.release();
}
