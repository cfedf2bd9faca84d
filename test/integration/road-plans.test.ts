// A prepared plan lives as long as its session, and may have been made while the tables were empty. Then a scan of a
// whole index costs as little as a descent, so the planner has to be left no choice: every statement on the hot tables,
// explained on empty tables that were just analyzed, must still find its rows by a condition on an index, or by ctid.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { PoolClient } from "pg";
import * as controlStore from "../../src/queue/control-store.ts";
import * as leaseStore from "../../src/queue/lease-store.ts";
import * as queueStore from "../../src/queue/queue-store.ts";
import { planForTheQueue } from "../../src/queue/session-store.ts";
import * as unknownStore from "../../src/queue/unknown-store.ts";
import type { Statement } from "../../src/postgres/statement.ts";
import { testDatabase } from "../rig/postgres.ts";

const TABLES: readonly unknown[] = ["queue", "message"];
/** Fewer, and the test looks at the wrong place. */
const STATEMENTS_MIN = 12;

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
  const statements = [queueStore, controlStore, leaseStore, unknownStore]
    .flatMap((store): readonly unknown[] => Object.values(store))
    .filter(isOnTheQueue);
  assert.ok(statements.length >= STATEMENTS_MIN, `only ${statements.length} statements were found`);
  for (const statement of statements) {
    const found = scansWithoutCondition(await explain(client, statement));
    assert.deepEqual(found, [], statement.name);
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

function isOnTheQueue(value: unknown): value is Statement<unknown> {
  if (typeof value !== "object" || value === null || !("text" in value) || !("name" in value)) return false;
  return typeof value.text === "string" && value.text.includes("postlane.queue");
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

function scansWithoutCondition(node: PlanNode): readonly string[] {
  const { "Node Type": type, "Relation Name": table, "Index Name": index, "Index Cond": condition } = node;
  const isScan = type.endsWith("Scan") && TABLES.includes(table);
  const isBad = isScan && type !== "Tid Scan" && condition === undefined;
  return [
    ...(isBad ? [`${type} on ${table} ${index ?? ""}`] : []),
    ...(node.Plans ?? []).flatMap(scansWithoutCondition),
  ];
}
