// A prepared plan lives as long as its session, and may have been made while the tables were empty. Then a scan of a
// whole index costs as little as a descent, so the planner has to be left no choice: every statement on the hot tables,
// explained on empty tables that were just analyzed, must still find its rows by a condition on an index, or by ctid.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { PoolClient } from "pg";
import * as campaignStore from "../../src/campaigns/campaign-store.ts";
import * as controlStore from "../../src/queue/control-store.ts";
import * as emailStore from "../../src/reports/email-store.ts";
import * as leaseStore from "../../src/queue/lease-store.ts";
import * as queueStore from "../../src/queue/queue-store.ts";
import * as returnedStore from "../../src/queue/returned-store.ts";
import { planForTheQueue } from "../../src/queue/session-store.ts";
import * as unknownStore from "../../src/queue/unknown-store.ts";
import * as destinationStore from "../../src/returns/destination-store.ts";
import * as returnStore from "../../src/returns/return-store.ts";
import * as standingStore from "../../src/returns/standing-store.ts";
import * as unaccountedStore from "../../src/returns/unaccounted-store.ts";
import * as deliveryStore from "../../src/events/delivery-store.ts";
import { APPEND, createPartitionsAhead } from "../../src/events/event-store.ts";
import type { Statement } from "../../src/postgres/statement.ts";
import { testDatabase } from "../rig/postgres.ts";

/** What grows with the mail; of events each day's partition. */
const TABLES = /^(?:queue|message|submission|content|return|unaccounted|destination|webhook_delivery|event(?:_\w+)?)$/;
/** Fewer, and the test looks at the wrong place. */
const STATEMENTS_MIN = 12;
const RETURN_STATEMENTS_MIN = 10;
const EMAIL_STATEMENTS_MIN = 7;

/** Only after the database's clock has gone back, once; no index has the order that it asks for. */
const WALKS = new Set(["queue_bring_forward"]);

interface PlanNode {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Index Name"?: string;
  readonly "Index Cond"?: string;
  readonly Plans?: readonly PlanNode[];
}

test("every statement on the hot tables descends an index, also when it is planned while they are empty", async (t) => {
  const { pool } = await testDatabase(t);
  await pool.query("VACUUM (ANALYZE) postlane.queue, postlane.message, postlane.lease, postlane.claim_batch");
  const client = await pool.connect();
  t.after(() => client.release());
  await planForTheQueue(client);
  const statements = [queueStore, controlStore, leaseStore, unknownStore, returnedStore, campaignStore]
    .flatMap((store): readonly unknown[] => Object.values(store))
    .filter(isOnTheQueue);
  assert.ok(statements.length >= STATEMENTS_MIN, `only ${statements.length} statements were found`);
  for (const statement of statements) {
    const found = scansWithoutCondition(await explain(client, statement));
    assert.equal(found.length > 0, WALKS.has(statement.name), `${statement.name}: ${found.join()}`);
  }
});

test("the look for arrivals goes by the transaction alone: any other index is a walk through the whole lane", async (t) => {
  const { pool } = await testDatabase(t);
  const client = await pool.connect();
  t.after(() => client.release());
  await planForTheQueue(client);
  const few = `INSERT INTO postlane.queue (message_id, lane_id, campaign_id, destination, due_at, state, accepted_on)
    SELECT id, 2, 0, 'd' || id % 20, now(), 'queued', current_date FROM generate_series(1, 300) AS id`;
  // Never analyzed, empty, and with the few rows that were there when somebody looked.
  for (const state of ["SELECT", "ANALYZE postlane.queue", few, "ANALYZE postlane.queue"]) {
    await client.query(state);
    const scans = scansOfQueue(await explain(client, queueStore.LOOK));
    assert.deepEqual([...new Set(scans)], ["queue_arrival"], state);
    await client.query("DEALLOCATE ALL");
  }
});

test("every statement on what comes back descends an index, too", async (t) => {
  const { pool } = await testDatabase(t);
  await createPartitionsAhead(pool, 2);
  await pool.query("VACUUM (ANALYZE) postlane.event, postlane.return, postlane.destination, postlane.unaccounted");
  const client = await pool.connect();
  t.after(() => client.release());
  await planForTheQueue(client);
  const statements = [returnStore, standingStore, destinationStore]
    .flatMap((store): readonly unknown[] => Object.values(store))
    .filter(isStatement);
  assert.ok(statements.length >= RETURN_STATEMENTS_MIN, `only ${statements.length} statements were found`);
  for (const statement of statements) {
    assert.deepEqual(scansWithoutCondition(await explain(client, statement)), [], statement.name);
  }
});

test("a minute of hand-overs is found by the index on the time, and each story by the message's", async (t) => {
  const { pool } = await testDatabase(t);
  await createPartitionsAhead(pool, 2);
  await pool.query("VACUUM (ANALYZE) postlane.event, postlane.unaccounted");
  const client = await pool.connect();
  t.after(() => client.release());
  await client.query("BEGIN");
  await unaccountedStore.planByIndex(client);
  for (const statement of [unaccountedStore.FIND, unaccountedStore.CONFIRM, unaccountedStore.LIST]) {
    assert.deepEqual(scansWithoutCondition(await explain(client, statement)), [], statement.name);
  }
  await client.query("ROLLBACK");
});

test("what the HTTP door reads of submissions descends an index, too", async (t) => {
  const { pool } = await testDatabase(t);
  await createPartitionsAhead(pool, 2);
  await pool.query("VACUUM (ANALYZE) postlane.submission, postlane.content, postlane.message, postlane.queue");
  const client = await pool.connect();
  t.after(() => client.release());
  await planForTheQueue(client);
  const statements = Object.values(emailStore as Readonly<Record<string, unknown>>).filter(isStatement);
  assert.ok(statements.length >= EMAIL_STATEMENTS_MIN, `only ${statements.length} statements were found`);
  for (const statement of statements) {
    assert.deepEqual(scansWithoutCondition(await explain(client, statement)), [], statement.name);
  }
});

test("who is told of an event, and what waits for an endpoint, is found by an index", async (t) => {
  const { pool } = await testDatabase(t);
  await createPartitionsAhead(pool, 2);
  await pool.query(
    "VACUUM (ANALYZE) postlane.event, postlane.message, postlane.submission, postlane.webhook_delivery, postlane.webhook",
  );
  const client = await pool.connect();
  t.after(() => client.release());
  await planForTheQueue(client);
  const { LOOK, CLAIM, TAKEN, FAILED, STANDING, GIVE_UP, PRUNE } = deliveryStore;
  for (const statement of [APPEND, LOOK, CLAIM, TAKEN, FAILED, STANDING, GIVE_UP, PRUNE]) {
    assert.deepEqual(scansWithoutCondition(await explain(client, statement)), [], statement.name);
  }
});

test("a planted join that leaves the choice is seen", async (t) => {
  const { pool } = await testDatabase(t);
  await pool.query("VACUUM (ANALYZE) postlane.queue");
  const client = await pool.connect();
  t.after(() => client.release());
  await planForTheQueue(client);
  const text = `DELETE FROM postlane.queue AS q USING unnest($1::bigint[]) AS given (id) WHERE q.message_id = given.id`;
  assert.notDeepEqual(scansWithoutCondition(await explain(client, { name: "planted", text })), []);
});

function isStatement(value: unknown): value is Statement<unknown> {
  return typeof value === "object" && value !== null && "text" in value && "name" in value;
}

function isOnTheQueue(value: unknown): value is Statement<unknown> {
  return isStatement(value) && value.text.includes("postlane.queue");
}

async function explain(client: PoolClient, { name, text }: Statement<unknown>): Promise<PlanNode> {
  await client.query(`PREPARE "${name}" AS ${text}`);
  const { rows } = await client.query(
    "SELECT cardinality(parameter_types) AS n FROM pg_prepared_statements WHERE name = $1",
    [name],
  );
  const nulls = Array.from({ length: rows[0].n as number }, () => "NULL").join(", ");
  const explained = await client.query(`EXPLAIN (FORMAT JSON) EXECUTE "${name}"${nulls === "" ? "" : `(${nulls})`}`);
  return explained.rows[0]["QUERY PLAN"][0].Plan as PlanNode;
}

function scansOfQueue({ "Relation Name": table, "Index Name": index, Plans = [] }: PlanNode): readonly string[] {
  return [...(table === "queue" ? [index ?? "none"] : []), ...Plans.flatMap(scansOfQueue)];
}

function scansWithoutCondition(node: PlanNode): readonly string[] {
  const { "Node Type": type, "Relation Name": table, "Index Name": index, "Index Cond": condition } = node;
  const isScan = type.endsWith("Scan") && table !== undefined && TABLES.test(table);
  // A bitmap of a heap is filled by the scan of an index below it, which is looked at itself.
  const isBad = isScan && type !== "Tid Scan" && type !== "Bitmap Heap Scan" && condition === undefined;
  return [
    ...(isBad ? [`${type} on ${table} ${index ?? ""}`] : []),
    ...(node.Plans ?? []).flatMap(scansWithoutCondition),
  ];
}
