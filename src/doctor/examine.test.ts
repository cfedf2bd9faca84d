import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { loadConfig } from "../platform/config.ts";
import { ConfigError } from "../platform/config-error.ts";
import { examineWithoutConfig } from "./examine.ts";

test("each problem of the configuration is a finding", (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), "postlane-examine-"));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(path.join(folder, "postlane.yaml"), "lease: never\nlanes: { bulk: { outlets: [nowhere] } }\n");
  const { findings, worst } = examineWithoutConfig(thrownBy(() => loadConfig({ cwd: folder, env: {} })));
  assert.deepEqual(
    findings.map(({ code }) => code as string),
    ["config_invalid", "config_invalid"],
  );
  assert.match(findings.map(({ found }) => found).join("\n"), /lease: .*\n.*lanes\.bulk\.outlets/);
  assert.equal(worst, "problem");
});

test("a file that this user may not read is told as such", () => {
  const origin = { kind: "file", file: "/etc/postlane/postlane.yaml", line: 1 } as const;
  const problem = { origin, key: "", found: "a file that cannot be read (EACCES)", expected: "a file" };
  assert.deepEqual(
    examineWithoutConfig(new ConfigError([problem])).findings.map(({ code }) => code as string),
    ["config_unreadable"],
  );
});

test("what is no problem of the configuration is not hidden", () => {
  assert.throws(() => examineWithoutConfig(new TypeError("a bug")), TypeError);
});

function thrownBy(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return assert.fail("nothing was thrown");
}
