import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { POSSIBLE } from "../campaigns/control-campaign.ts";
import { ALSO } from "../campaigns/send-rest.ts";
import { STATES } from "../mail/state.ts";
import { parsePeopleWanted } from "./export-people.ts";
import { REASONS_RECIPIENTS_MAX } from "./family-report.ts";

test("each number has a name, and what is none is not taken", () => {
  for (const state of STATES) assert.deepEqual(parsePeopleWanted(state), { kind: "state", state });
  assert.deepEqual(parsePeopleWanted("double"), { kind: "left_out", which: "double" });
  assert.deepEqual(parsePeopleWanted("not_accepted"), { kind: "not_accepted" });
  assert.deepEqual(parsePeopleWanted("version:12"), { kind: "version", version: 12 });
  for (const bad of ["", "sents", "version:", "version:0", "version:1x", "version:-1", "complained", "SENT"]) {
    assert.equal(parsePeopleWanted(bad), undefined, bad);
  }
});

test("docs/reference/campaigns.md has every status, number and limit", () => {
  const text = readFileSync(path.resolve(import.meta.dirname, "../../../docs/reference/campaigns.md"), "utf8");
  for (const status of Object.keys(POSSIBLE)) assert.match(text, new RegExp(`\\n\\| \`${status}\` \\|`), status);
  for (const word of [...STATES, ...ALSO, "rejected", "double", "accepted", "not_accepted"]) {
    assert.ok(text.includes(word), word);
  }
  assert.ok(text.includes(REASONS_RECIPIENTS_MAX.toLocaleString("en")));
});
