import assert from "node:assert/strict";
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { letter, letters, listDriver } from "../../test/rig/handover-rig.ts";
import { systemClock } from "../platform/clock.ts";
import { silentLog } from "../platform/log.ts";
import { seededRandom } from "../platform/random.ts";
import { CAPTURE_WRITES_MAX, createCaptureOutlet } from "./capture-outlet.ts";
import { listCaptured, readCaptured } from "./list-captured.ts";
import type { HandOver } from "./outlet.ts";

async function startCapture(t: TestContext, queue: readonly HandOver[]) {
  const folder = await mkdtemp(path.join(tmpdir(), "capture-"));
  t.after(() => rm(folder, { recursive: true }));
  const dir = path.join(folder, "mail");
  const driver = listDriver(queue);
  const outlet = createCaptureOutlet(
    { name: "default", dir },
    { clock: systemClock, random: seededRandom(1), log: silentLog },
    driver,
  );
  t.after(() => outlet.close());
  return { folder, dir, driver, outlet };
}

test("each message becomes a file of the Maildir with its envelope on top", async (t) => {
  const { dir, driver, outlet } = await startCapture(t, letters(50));
  outlet.setLimit(10);
  const results = await driver.whenFinished(50);
  assert.ok([...results.values()].every((result) => result.kind === "replied" && result.reply.code === 250));
  assert.ok(driver.openCountMax <= CAPTURE_WRITES_MAX);
  const names = await readdir(path.join(dir, "new"));
  assert.equal(names.length, 50);
  assert.deepEqual(await readdir(path.join(dir, "tmp")), []);
  const seventh = names.find((name) => name.endsWith(".token-7"));
  assert.equal(
    await readFile(path.join(dir, "new", seventh!), "utf8"),
    "Return-Path: <bounce-7@example.org>\r\nDelivered-To: person-7@example.net\r\nSubject: letter 7\r\n\r\nHello 7\r\n",
  );
});

test("one attempt captured twice is two files with one token", async (t) => {
  const { dir, driver, outlet } = await startCapture(t, [letter(1)]);
  outlet.setLimit(1);
  await driver.whenFinished(1);
  driver.add(letter(1), letter(2));
  outlet.wake();
  await driver.whenFinished(2);
  const tokens = (await readdir(path.join(dir, "new"))).map((name) => name.split(".")[2] ?? "");
  assert.deepEqual(tokens.toSorted(), ["token-1", "token-1", "token-2"]);
});

test("the limit holds, and zero takes nothing", async (t) => {
  const { driver, outlet } = await startCapture(t, letters(5));
  outlet.setLimit(0);
  outlet.wake();
  await new Promise((resolve) => void setImmediate(resolve));
  assert.equal(driver.takenCount, 0);
  outlet.setLimit(1);
  await driver.whenFinished(5);
  assert.equal(driver.openCountMax, 1);
});

test("without permission nothing is written", async (t) => {
  const { dir, driver, outlet } = await startCapture(t, letters(1));
  driver.isPermitted = false;
  outlet.setLimit(1);
  const results = await driver.whenFinished(1);
  assert.deepEqual(results.get("token-1")?.kind, "not_started");
  assert.deepEqual(await listCaptured(dir, 10), []);
});

test("an envelope that would break out of its header line is refused", async (t) => {
  const { driver, outlet } = await startCapture(t, [letter(1, { recipient: "a@b.example\r\nBcc: c@d.example" })]);
  outlet.setLimit(1);
  const result = (await driver.whenFinished(1)).get("token-1");
  assert.equal(result?.kind === "refused_here" && result.reply.enhanced, "5.1.3");
});

test("a folder that cannot be written is a failure that is safe to repeat", async (t) => {
  const { folder, dir, driver, outlet } = await startCapture(t, [letter(1)]);
  await writeFile(dir, "a file where the folder should be");
  outlet.setLimit(1);
  const result = (await driver.whenFinished(1)).get("token-1");
  assert.deepEqual(result?.kind === "failed" && [result.phase, result.isPastDot], ["connect", false]);
  await rm(dir);
  await chmod(folder, 0o700);
  driver.add(letter(2));
  outlet.wake();
  assert.equal((await driver.whenFinished(2)).get("token-2")?.kind, "replied");
});

test("what was captured is listed, newest first, and read by name only", async (t) => {
  const subject = "Subject: =?utf-8?B?WsO2?= =?utf-8?Q?=C3=AB_says?=\r\n hi\r\n\r\nx\r\n";
  const { dir, driver, outlet } = await startCapture(t, [letter(1), letter(2, { text: subject })]);
  outlet.setLimit(1);
  await driver.whenFinished(2);
  const [newest, ...older] = await listCaptured(dir, 10);
  assert.deepEqual(
    [newest?.subject, newest?.sender, newest?.recipient],
    ["Zöë says hi", "bounce-2@example.org", "person-2@example.net"],
  );
  assert.equal(older.length, 1);
  assert.equal((await listCaptured(dir, 1)).length, 1);
  assert.match((await readCaptured(dir, newest!.name)) ?? "", /^Return-Path: <bounce-2@example\.org>\r\n/);
  assert.equal(await readCaptured(dir, "../../etc/passwd"), undefined);
  assert.equal(await readCaptured(dir, newest!.name.replace("token", "other")), undefined);
});

test("drain waits for the writes that have begun", async (t) => {
  const { dir, driver, outlet } = await startCapture(t, letters(100));
  outlet.setLimit(4);
  await driver.whenFinished(1);
  await outlet.drain();
  assert.equal(driver.openCount, 0);
  assert.equal((await readdir(path.join(dir, "new"))).length, driver.results.size);
});
