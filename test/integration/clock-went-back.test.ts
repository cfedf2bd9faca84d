// When the database's clock has gone back, what was due lies ahead of it: what was never tried goes all the same.

import assert from "node:assert/strict";
import { test } from "node:test";
import { listLanes } from "../../src/queue/lane-store.ts";
import { bringQueuedForward } from "../../src/queue/queue-store.ts";
import { startLane } from "../rig/lane.ts";
import { databaseMs, enqueue, queueRow, until, untilEvent } from "../rig/lane-mail.ts";
import { testDatabase } from "../rig/postgres.ts";
import { startScriptedSink } from "../rig/scripted-sink.ts";

const AHEAD = "UPDATE postlane.queue SET due_at = clock_timestamp() + interval '2 hours'";

test("only what was never tried is brought forward: not what is scheduled, deferred or held", async (t) => {
  const { pool } = await testDatabase(t);
  const at = new Date((await databaseMs(pool)) + 3_600_000).toISOString();
  const scheduled = await enqueue(pool, { to: "scheduled@example.com", scheduled_at: at });
  const [queued, deferred, held] = await Promise.all(
    ["queued", "deferred", "held"].map((name) => enqueue(pool, { to: `${name}@example.com` })),
  );
  await pool.query(AHEAD);
  await pool.query("UPDATE postlane.queue SET state = 'deferred' WHERE message_id = $1", [deferred]);
  await pool.query("UPDATE postlane.queue SET state = 'held', due_at = 'infinity' WHERE message_id = $1", [held]);
  const lane = (await listLanes(pool)).find(({ name }) => name === "transactional")!;
  assert.equal(await bringQueuedForward(pool, lane.id), 1);
  assert.ok((await queueRow(pool, queued!))!.due_in_ms! <= 0);
  for (const id of [scheduled, deferred!]) assert.ok((await queueRow(pool, id))!.due_in_ms! > 3_500_000);
  assert.equal((await queueRow(pool, held!))!.due_in_ms, null);
});

test("a running dispatcher notices that the clock went back", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const sink = await startScriptedSink(t);
  // What a clock that goes back looks like to a dispatcher: orders of an earlier time, and due times that lie ahead.
  await pool.query("CREATE TABLE public.behind AS SELECT interval '0' AS time");
  await pool.query(`CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
    'SELECT pg_catalog.clock_timestamp() - time FROM public.behind'`);
  const first = {
    ...database,
    clientConfig: { ...database.clientConfig, options: "-c search_path=public,pg_catalog" },
  };
  await startLane(t, { database: first, relay: sink });
  await untilEvent(pool, await enqueue(pool, { to: "before@example.com" }), "sent");
  await pool.query("UPDATE public.behind SET time = '2 hours'");
  const id = await enqueue(pool, {
    to: "after@example.com",
    scheduled_at: new Date(Date.now() + 7_000_000).toISOString(),
  });
  await pool.query("UPDATE postlane.queue SET state = 'queued' WHERE message_id = $1", [id]);
  await until("it is brought forward", async () => ((await queueRow(pool, id))?.due_in_ms ?? 0) <= 0);
});
