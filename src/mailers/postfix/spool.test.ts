// Spools made by hand: which files count where, and what is said when there is nothing to count. A real Postfix's spool
// is counted in test/integration.

import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { seededRandom } from "../../platform/random.ts";
import { senderOfQueueFile } from "./queue-file.ts";
import { createSpoolGauge } from "./spool-gauge.ts";
import { findInSpool, readSpool } from "./spool.ts";

/** 1795712421.230074 s, in folder 3. */
const LONG = "4jb2q91d4VzJrh9";
const ARRIVED_MS = 1_795_712_421_230;
const ports = { random: seededRandom(7), wallMs: () => ARRIVED_MS + 42_000 };

async function makeSpool(t: TestContext): Promise<string> {
  const dir = await mkdtemp(path.join(os.tmpdir(), "postlane-spool-"));
  t.after(() => rm(dir, { recursive: true }));
  for (const queue of ["incoming", "active", "deferred/3", "deferred/A", "hold", "maildrop"]) {
    await mkdir(path.join(dir, queue), { recursive: true });
  }
  return dir;
}

const record = (type: string, data: string): Buffer =>
  Buffer.concat([Buffer.from(type), Buffer.from([data.length]), Buffer.from(data)]);

async function addFile(spool: string, file: string, recipient = "u@one.test", mode = 0o700): Promise<void> {
  const content = Buffer.concat([record("S", "b+x@returns.test"), record("R", recipient), record("M", "")]);
  await writeFile(path.join(spool, file), content);
  await chmod(path.join(spool, file), mode);
}

test("every queue counts apart, hashed or flat", async (t) => {
  const spool = await makeSpool(t);
  await addFile(spool, "incoming/AAAAAAA1");
  await addFile(spool, "active/AAAAAAA2", "u@two.test");
  await addFile(spool, "active/AAAAAAA3", "u@two.test");
  await addFile(spool, `deferred/3/${LONG}`, "U@Dead.Test");
  await addFile(spool, "deferred/A/AAAAAAA4");
  await addFile(spool, "deferred/AAAAAAA5");
  await addFile(spool, "hold/AAAAAAA6");
  await addFile(spool, "maildrop/AAAAAAA7");
  assert.deepEqual(await readSpool(spool, ports), {
    kind: "read",
    queue: 3,
    deferred: 3,
    hold: 1,
    maildrop: 1,
    oldest_age_s: 42,
    shape: [
      { destination: "one.test", queue: 1, deferred: 2, oldest_age_s: 0 },
      { destination: "two.test", queue: 2, deferred: 0, oldest_age_s: 0 },
      { destination: "dead.test", queue: 0, deferred: 1, oldest_age_s: 42 },
    ],
  });
});

test("a file that is met in incoming and again in active counts once", async (t) => {
  const spool = await makeSpool(t);
  await addFile(spool, `incoming/${LONG}`);
  await addFile(spool, `active/${LONG}`);
  const reading = await readSpool(spool, ports);
  assert.ok(reading.kind === "read");
  assert.equal(reading.queue, 1);
});

test("the shape of a large queue is scaled up from a sample", async (t) => {
  const spool = await makeSpool(t);
  for (let index = 0; index < 1000; index++) {
    await addFile(spool, `deferred/A/${String(1_000_000 + index)}`, index % 4 === 0 ? "u@few.test" : "u@most.test");
  }
  const reading = await readSpool(spool, ports);
  assert.ok(reading.kind === "read");
  assert.equal(reading.deferred, 1000);
  const [most, few] = reading.shape;
  assert.equal(most!.destination, "most.test");
  assert.equal(most!.deferred + few!.deferred, 1000);
  // 75 of 100 sampled are expected, with a standard deviation of 4.3: five of them to both sides.
  assert.ok(most!.deferred > 530 && most!.deferred < 970, String(most!.deferred));
});

test("a spool that is not there is said to be missing", async (t) => {
  const spool = await makeSpool(t);
  const missing = path.join(spool, "nowhere");
  assert.deepEqual(await readSpool(missing, ports), { kind: "missing", path: path.join(missing, "incoming") });
  assert.deepEqual(await findInSpool(missing, LONG), { kind: "missing", path: path.join(missing, "active") });
});

test("a queue file is found with its mode, wherever it lies", async (t) => {
  const spool = await makeSpool(t);
  assert.deepEqual(await findInSpool(spool, LONG), { kind: "absent" });
  assert.deepEqual(await findInSpool(spool, "../../etc/passwd"), { kind: "absent" });
  await addFile(spool, `incoming/${LONG}`, "u@one.test", 0o600);
  const file = path.join(spool, "incoming", LONG);
  assert.deepEqual(await findInSpool(spool, LONG), { kind: "found", queue: "incoming", mode: 0o600, path: file });
  assert.equal(await senderOfQueueFile(file), "b+x@returns.test");
  await rm(file);
  assert.equal(await senderOfQueueFile(file), undefined);
  await addFile(spool, `deferred/3/${LONG}`);
  const deferred = path.join(spool, "deferred/3", LONG);
  assert.deepEqual(await findInSpool(spool, LONG), { kind: "found", queue: "deferred", mode: 0o700, path: deferred });
});

test("what is parked is walked again only when fifty times its cost has passed", async (t) => {
  const spool = await makeSpool(t);
  let monotonicMs = 0;
  // Each look at the clock costs 1 ms, so that each part costs a little.
  const gauge = createSpoolGauge(spool, { ...ports, monotonicMs: () => (monotonicMs += 1) });
  const counts = async (): Promise<readonly [number, number]> => {
    const reading = await gauge.read();
    assert.ok(reading.kind === "read");
    return [reading.queue, reading.deferred];
  };
  assert.deepEqual(await counts(), [0, 0]);
  await addFile(spool, "active/AAAAAAA1");
  await addFile(spool, "deferred/A/AAAAAAA2");
  monotonicMs += 12;
  assert.deepEqual(await counts(), [1, 0]);
  monotonicMs += 100;
  assert.deepEqual(await counts(), [1, 1]);
});

test("a gauge's fault is not kept", async (t) => {
  const spool = await makeSpool(t);
  await rm(path.join(spool, "active"), { recursive: true });
  const gauge = createSpoolGauge(spool, { ...ports, monotonicMs: () => 0 });
  assert.equal((await gauge.read()).kind, "missing");
  await mkdir(path.join(spool, "active"));
  assert.equal((await gauge.read()).kind, "read");
});
