// The demo with fewer readers: its verdict, its words, and that nothing is left behind, also when it is interrupted.

import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, it, type TestContext } from "node:test";
import { processesOf } from "../../bench/running-processes.ts";
import { explainUnknown, printFigures } from "../../demo/demo-figures.ts";
import { runDemo } from "../../demo/demo-run.ts";
import type { LiveProgress } from "../../demo/live-progress.ts";
import { inventReader } from "../../demo/readers.ts";

const READERS = 2000;
const RESETS = 40;

function ownFolder(t: TestContext): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), "postlane-demo-test-"));
  chmodSync(folder, 0o711);
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function collector(onShow: () => void = () => {}): LiveProgress & { readonly said: string[] } {
  const said: string[] = [];
  return { said, show: onShow, say: (line) => void said.push(line), end() {} };
}

describe("the demo", { timeout: 240_000 }, () => {
  it("kills a dispatcher half way, and loses and doubles nothing", async (t) => {
    const inFolder = ownFolder(t);
    const progress = collector();
    const interrupted = new Promise<never>(() => {});
    const figures = await runDemo({ readers: READERS, resets: RESETS, progress, interrupted, inFolder });
    const { verdict, unknowns, waiting } = figures;
    assert.deepEqual(verdict.complaints, []);
    assert.equal(verdict.isClean, true);
    assert.equal(verdict.accepted, READERS + RESETS);
    assert.equal((verdict.byState["sent"] ?? 0) + verdict.unknown, READERS + RESETS);
    assert.equal(unknowns.length, verdict.unknown);
    assert.ok(figures.perS > 0 && waiting["transactional"]!.p50Ms > 0);
    assert.match(progress.said.join("\n"), /SIGKILL to the dispatcher of lane bulk/);
    assert.match(printFigures(figures).join("\n"), /accepted +2,040 = .*\n +lost +0\n +duplicates +0$/);
    assert.deepEqual(readdirSync(inFolder), []);
    assert.deepEqual(processesOf(inFolder), []);
  });

  it("leaves nothing behind when it is interrupted while mail goes out", async (t) => {
    const inFolder = ownFolder(t);
    let interrupt: (reason: Error) => void = () => {};
    const interrupted = new Promise<never>((_, reject) => (interrupt = reject));
    const progress = collector(() => interrupt(new Error("somebody pressed Ctrl-C")));
    await assert.rejects(runDemo({ readers: READERS, resets: RESETS, progress, interrupted, inFolder }), /Ctrl-C/);
    assert.deepEqual(readdirSync(inFolder), []);
    assert.deepEqual(processesOf(inFolder), []);
  });

  it("explains an unknown message by the ledger", () => {
    const message = { id: 7, recipient: "a@b.example", lane: "bulk", acceptedAtMs: 0 };
    const entry = { ...message, waiting: "unknown", settled: [], unknownAttempts: 1, attempts: 1 };
    const reception = {
      atMs: 1,
      connection: 1,
      messageIdHeader: "",
      returnPath: "",
      recipient: "a@b.example",
      noted: "",
    };
    assert.match(explainUnknown(entry, []), /^msg_7 to a@b\.example: the sink never got it/);
    assert.match(explainUnknown(entry, [reception]), /the sink has it once/);
    assert.match(explainUnknown(entry, [reception, reception]), /2 times, which must not happen/);
  });

  it("invents readers with one address each", () => {
    const addresses = Array.from({ length: 5000 }, (_, index) => inventReader(index + 1).email);
    assert.equal(new Set(addresses).size, 5000);
    assert.ok(addresses.every((address) => address.endsWith(".example")));
  });
});
