// Outlets and destinations that a person or a rule stops, what a rule has held, and the shape of the queue: by the store
// and by the command line.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { LaneId } from "../../src/mail/ids.ts";
import type { Reason } from "../../src/mail/reasons.ts";
import { EVERY_LANE, listPauses, pauseTarget, resumeTarget } from "../../src/queue/pause-store.ts";
import { testDatabase, type TestDatabase } from "../rig/postgres.ts";
import { enqueue, jsonOf, runCommand } from "./cli-command.ts";

const BULK = 2 as LaneId;
const REFUSED: Reason = {
  code: "policy_refusals",
  limits: "stop",
  limit: 0,
  evidence: {
    scope: "destination",
    name: "big.example",
    refusals: 30,
    answers: 200,
    max_percent: 5,
    reply: "550 5.7.1 no",
  },
};

test("the first pause of a target stays, with its reason; lanes are paused and resumed apart", async (t) => {
  const { pool } = await testDatabase(t);
  const target = { kind: "destination", name: "big.example", laneId: BULK } as const;
  assert.equal(await pauseTarget(pool, target, REFUSED), true);
  assert.equal(await pauseTarget(pool, target), false);
  assert.equal(await pauseTarget(pool, { ...target, laneId: 1 as LaneId }), true);
  const rows = (await listPauses(pool)).toSorted((one, other) => one.lane_id - other.lane_id);
  assert.deepEqual(
    rows.map(({ lane_id, reason }) => [lane_id, reason]),
    [
      [1, null],
      [2, REFUSED],
    ],
  );
  assert.equal((await resumeTarget(pool, target)).length, 1);
  assert.equal((await resumeTarget(pool, { ...target, laneId: EVERY_LANE })).length, 1);
  assert.deepEqual(await listPauses(pool), []);
});

test("pause, list and resume by the command line, for one lane and for every one", async (t) => {
  const database = await testDatabase(t);
  await enqueue(database, { to: "ann@example.com", lane: "bulk" });
  const say = async (...args: string[]): Promise<string> => {
    const { exitCode, stdout, stderr } = await runCommand(database, args);
    return `${exitCode} ${stdout}${stderr}`;
  };
  assert.equal(
    await say("destination", "pause", "Example.COM", "--lane", "bulk"),
    "0 destination example.com in lane bulk is paused; in force within a second\n",
  );
  assert.match(
    await say("destination", "pause", "example.com", "--lane", "bulk"),
    /^0 destination example\.com in lane bulk is paused already: by a person, since /,
  );
  assert.match(
    await say("destination", "list"),
    /^0 destination +lane +waiting +why\nexample\.com +paused +bulk +1 +destination example\.com is paused since /,
  );
  assert.match(await say("outlet", "pause", "default"), /^0 outlet default is paused/);
  assert.match(
    await say("outlet", "list"),
    /^default +capture +transactional, bulk +0 +0 +outlet default is paused since/m,
  );
  assert.match(
    await say("outlet", "resume", "default", "--lane", "bulk"),
    /^1 .*paused for every lane.*without --lane/,
  );
  assert.equal(await say("outlet", "resume", "default"), "0 outlet default is resumed; in force within a second\n");
  assert.equal(await say("outlet", "resume", "default"), "0 outlet default was not paused\n");
  assert.match(await say("outlet", "pause", "nope"), /^1 postlane: There is no outlet "nope"\. Outlets: default\./);
  assert.match(await say("destination", "pause", "ann@example.com"), /^2 .*is no recipient domain/);
  assert.match(await say("destination", "pause", "a.example", "--lane", "x"), /^1 .*There is no lane "x"/);
});

test("what a rule has held is listed, counted at the resume, and released at once; a person's hold stays", async (t) => {
  const database = await testDatabase(t);
  const ids = [];
  for (const to of ["a@big.example", "b@big.example", "c@big.example", "d@other.example"]) {
    ids.push(await enqueue(database, { to, lane: "bulk" }));
  }
  await holdAsRule(database, [ids[0]!, ids[1]!, ids[3]!]);
  await runCommand(database, ["message", "hold", ids[2]!]);
  await pauseTarget(database.pool, { kind: "destination", name: "big.example", laneId: BULK }, REFUSED);
  const { destinations } = await jsonOf<{ destinations: readonly { state: string; code: string; waiting: number }[] }>(
    database,
    ["destination", "list"],
  );
  assert.deepEqual(
    destinations.map(({ state, code, waiting }) => [state, code, waiting]),
    [["stopped_by_rule", "policy_refusals", 3]],
  );
  const resumed = await runCommand(database, ["destination", "resume", "big.example"]);
  assert.match(
    resumed.stdout,
    /2 messages that were refused by policy are held: `postlane message release --destination big\.example`/,
  );
  const { released } = await jsonOf<{ released: number }>(database, [
    "message",
    "release",
    "--destination",
    "big.example",
  ]);
  assert.equal(released, 2);
  assert.deepEqual(await statesOf(database), ["deferred", "deferred", "held", "held"]);
  const rest = await runCommand(database, ["message", "release", "--outlet", "relay", "--lane", "bulk"]);
  assert.equal(rest.stdout, "1 message released\n");
  assert.deepEqual(await statesOf(database), ["deferred", "deferred", "held", "deferred"]);
  const counted = await runCommand(database, ["status", "--count"]);
  assert.match(counted.stdout, /the books are right/);
  assert.equal((await runCommand(database, ["message", "release"])).exitCode, 2);
  assert.equal((await runCommand(database, ["message", "release", ids[2]!, "--outlet", "relay"])).exitCode, 2);
});

interface Shape {
  readonly here: {
    readonly is_sample: boolean;
    readonly destinations: readonly { destination: string; messages: number; ages: readonly number[] }[];
    readonly total: { readonly messages: number };
  };
  readonly relays: readonly { outlet: string; queue: number; destinations: readonly { destination: string }[] }[];
}

test("queue shape counts by destination and age, here and in each relay", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  for (const [to, minutes] of [
    ["a@one.example", 0],
    ["b@one.example", 7],
    ["c@one.example", 3000],
    ["d@two.example", 100],
  ] as const) {
    const id = await enqueue(database, { to, lane: minutes === 100 ? "transactional" : "bulk" });
    await pool.query(
      "UPDATE postlane.message SET accepted_at = accepted_at - $1 * interval '1 minute' WHERE 'msg_' || id = $2",
      [minutes, id],
    );
  }
  const reading = {
    queue: 7,
    deferred: 2,
    shape: [{ destination: "one.example", queue: 7, deferred: 2, oldest_age_s: 90 }],
  };
  await pool.query("INSERT INTO postlane.reading VALUES ('relay', 1, now(), $1, '{}')", [reading]);
  const { here, relays } = await jsonOf<Shape>(database, ["queue", "shape"]);
  assert.deepEqual(
    here.destinations.map(({ destination, messages, ages }) => [destination, messages, ages.join()]),
    [
      ["one.example", 3, "1,1,0,0,0,0,0,0,0,1"],
      ["two.example", 1, "0,0,0,0,0,1,0,0,0,0"],
    ],
  );
  assert.deepEqual([here.is_sample, here.total.messages], [false, 4]);
  assert.deepEqual([relays[0]!.queue, relays[0]!.destinations[0]!.destination], [7, "one.example"]);
  const { stdout } = await runCommand(database, ["queue", "shape", "--lane", "bulk", "--limit", "1"]);
  assert.match(stdout, /^here, by age in minutes +total +5 +10 +20 .* 1280\+\nTOTAL +3 +1 +1 /);
  assert.doesNotMatch(stdout, /two\.example/);
  assert.match(stdout, /^relay of relay +working +deferred +oldest\nTOTAL +7 +2 +–\none\.example +7 +2 +1 min 30 s$/m);
});

test("queue shape says that nothing waits", async (t) => {
  assert.equal((await runCommand(await testDatabase(t), ["queue", "shape"])).stdout, "nothing waits here\n");
});

/** As a dispatcher settles what the rule has held: with the outlet and the reply that it was refused with. */
async function holdAsRule({ pool }: TestDatabase, ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    const { rows } = await pool.query<{ readonly message_id: number }>(
      `UPDATE postlane.queue SET state = 'held', due_at = 'infinity', attempts = 1 WHERE 'msg_' || message_id = $1
       RETURNING message_id`,
      [id],
    );
    await pool.query(
      `INSERT INTO postlane.event (message_id, attempt, kind, outlet, host, reply)
       VALUES ($1, 1, 'held', 'relay', 'mx', '550 5.7.1 no')`,
      [rows[0]!.message_id],
    );
    await pool.query(
      `INSERT INTO postlane.balance_delta SELECT lane_id, campaign_id, accepted_on, change.state, change.n
       FROM postlane.queue, (VALUES ('queued', -1), ('held', 1)) AS change (state, n) WHERE message_id = $1`,
      [rows[0]!.message_id],
    );
  }
}

async function statesOf({ pool }: TestDatabase): Promise<readonly string[]> {
  const { rows } = await pool.query<{ readonly state: string }>("SELECT state FROM postlane.queue ORDER BY message_id");
  return rows.map(({ state }) => state);
}
