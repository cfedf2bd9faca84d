// The units of `postlane service install` before systemd's own tools: they are well formed, and they expose no more than
// docs/guides/service.md says. Only files are judged: no systemd is asked or started.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { serviceUnits } from "../../src/setup/service-unit.ts";
import { needs } from "../rig/needs.ts";
import { projectRoot } from "../tidy/source-tree.ts";

const GUIDE = path.join(projectRoot, "docs/guides/service.md");

test("the units are well formed, and as closed as the guide says", { timeout: 60_000 }, (t) => {
  if (!needs(t, "systemd")) return;
  for (const file of writeUnits(t)) {
    execFileSync("systemd-analyze", ["verify", file], { stdio: ["ignore", "pipe", "pipe"] });
    const name = path.basename(file);
    const figure = exposureOf(file);
    t.diagnostic(`exposure of ${name}: ${figure}`);
    const stated = statedFor(name);
    assert.ok(figure <= stated, `${name} exposes ${figure}, and the guide says ${stated}`);
  }
});

function writeUnits(t: TestContext): readonly string[] {
  const folder = mkdtempSync(path.join(os.tmpdir(), "postlane-units-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const units = serviceUnits({
    nodePath: process.execPath,
    mainPath: path.join(projectRoot, "dist/src/doors/cli/main.js"),
    configFile: "/etc/postlane/postlane.yaml",
    dataDir: "/var/lib/postlane",
    user: "postlane",
    agentOutlets: ["postfix"],
    agentWrites: ["/var/spool/postlane-postfix/bulk/returns"],
  });
  return units.map(({ name, text }) => {
    const file = path.join(folder, name);
    writeFileSync(file, text);
    return file;
  });
}

/** Its last line: "→ Overall exposure level for postlane.service: 1.2 OK". */
function exposureOf(file: string): number {
  const told = execFileSync("systemd-analyze", ["security", "--offline=true", "--no-pager", file], {
    encoding: "utf8",
  });
  const [, figure] = /Overall exposure level for \S+: (\d+\.\d)/.exec(told) ?? [];
  assert.ok(figure !== undefined, told);
  return Number(figure);
}

/** A row of the guide's table: | `postlane.service` | 1.2 | */
function statedFor(name: string): number {
  const figures = readFileSync(GUIDE, "utf8").matchAll(/^\| `([^`]+)` \| (\d+\.\d) \|$/gm);
  const [, , figure] = [...figures].find(([, unit]) => unit === name) ?? [];
  assert.ok(figure !== undefined, `the guide gives no figure for ${name}`);
  return Number(figure);
}
