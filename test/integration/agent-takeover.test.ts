// An agent takes over where the one before it stood, also when the last step of that one is committed only now: it was
// killed, and its session lives until the server has done what it was asked.

import assert from "node:assert/strict";
import os from "node:os";
import { test } from "node:test";
import type { Pool } from "pg";
import type { LogPosition } from "../../src/gauges/log-position.ts";
import { advanceLogIfNext, takeReadingIfHeldBy, type AgentIdentity } from "../../src/gauges/reading-store.ts";
import { takeOver } from "../../src/processes/agent-process.ts";
import { until } from "../rig/lane-mail.ts";
import { testDatabase } from "../rig/postgres.ts";

const OUTLET = "relay";
/** Of no process: it was killed. */
const killed: AgentIdentity = identityOf("gone");
const next: AgentIdentity = identityOf("next");

test("a step that a killed agent committed late is not read again, and nothing behind it is lost", async (t) => {
  const { pool } = await testDatabase(t);
  const client = await pool.connect();
  t.after(() => client.release());
  assert.ok(await takeReadingIfHeldBy(pool, { outlet: OUTLET, state: { ...killed, uses: null }, seenHolder: null }));
  assert.ok(await advanceLogIfNext(client, { outlet: OUTLET, identity: killed, position: positionAt(1, 1000) }));

  const late = await pool.connect();
  t.after(() => late.release(true));
  await late.query("BEGIN");
  assert.ok(await advanceLogIfNext(late, { outlet: OUTLET, identity: killed, position: positionAt(2, 2000) }));
  const taking = takeOver(pool, OUTLET, next);
  await until("the next agent waits for the row", () => isSomebodyWaiting(pool));
  await late.query("COMMIT");

  assert.deepEqual(await taking, positionAt(2, 2000));
  assert.equal(
    await advanceLogIfNext(client, { outlet: OUTLET, identity: killed, position: positionAt(3, 3000) }),
    false,
    "the killed one has nothing more to say",
  );
  assert.ok(await advanceLogIfNext(client, { outlet: OUTLET, identity: next, position: positionAt(3, 4000) }));
});

function identityOf(name: string): AgentIdentity {
  return { host: os.hostname(), pid: 2 ** 22 + 1, process_start: name, started_at: name };
}

function positionAt(number: number, offset: number): LogPosition {
  return { number, inode: "1", offset, tail: "0123456789abcdef", continuous_since: "2026-11-27T00:00:00.000Z" };
}

async function isSomebodyWaiting(pool: Pool): Promise<boolean> {
  const { rows } = await pool.query("SELECT FROM pg_locks WHERE NOT granted");
  return rows.length > 0;
}
