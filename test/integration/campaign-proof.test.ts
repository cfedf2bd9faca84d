// A small campaign run: a real Postlane, a campaign with pauses, edits, a suppression, two crashes and a cancel in the middle,
// and the rest of it. The sheets add up at every sample, nobody gets two, and everybody has one at the end.

import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { runCampaign } from "../../bench/campaign-run.ts";
import { processesOf } from "../../bench/running-processes.ts";

const ROWS = 2_500;
const SUPPRESSED = 60;
const RUN_MS_MAX = 220_000;
/** A pause is in force within a second; the machine that tests run on has other things to do. */
const PAUSED_WITHIN_MS_MAX = 2_000;

test("everyone of a campaign gets it once, whatever happens in the middle", { timeout: 240_000 }, async (t) => {
  const inFolder = mkdtempSync(path.join(os.tmpdir(), "postlane-campaign-test-"));
  chmodSync(inFolder, 0o711);
  t.after(() => rmSync(inFolder, { recursive: true, force: true }));
  const said: string[] = [];
  const report = await runCampaign({
    rows: ROWS,
    suppressed: SUPPRESSED,
    shareDuringCommand: 0.02,
    msMax: RUN_MS_MAX,
    say: (line) => void said.push(line),
    interrupted: new Promise<never>(() => {}),
    inFolder,
  });
  const story = said.join("\n");
  t.diagnostic(story);
  assert.deepEqual(report.verdict, {
    received: report.listed - SUPPRESSED,
    lost: 0,
    duplicates: 0,
    suppressedGot: 0,
    versionsWrong: 0,
    sentWrong: 0,
    strangers: 0,
    unknown: 0,
    complaints: [],
  });
  assert.deepEqual(report.told, [], story);
  assert.equal(report.violations, 0);
  assert.ok(report.samples > 30, `${report.samples} samples are too few to prove anything`);
  assert.ok(report.rest > 0 && report.rest < report.listed, story);
  assert.equal(report.pauses.length, 2);
  for (const { ms, isDisturbed } of report.pauses)
    assert.ok(isDisturbed || ms <= PAUSED_WITHIN_MS_MAX, `something came ${Math.round(ms)} ms after a pause\n${story}`);
  assert.deepEqual(readdirSync(inFolder), []);
  assert.deepEqual(processesOf(inFolder), []);
});
