// A child that the machine cannot start for the moment, having no process to give, is started as soon as it can.

import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { silentLog } from "../../src/platform/log.ts";
import { superviseChild } from "../../src/processes/child.ts";
import { until } from "../rig/lane-mail.ts";

test("a child that cannot be started is tried again until it can", async (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "postlane-child-"));
  const logDescriptor = openSync(path.join(folder, "log"), "w");
  t.after(() => {
    closeSync(logDescriptor);
    rmSync(folder, { recursive: true, force: true });
  });
  const modulePath = path.join(folder, "child.mjs");
  writeFileSync(modulePath, `process.send({ kind: "ready" }); process.on("message", () => process.exit(0));`);
  const node = process.execPath;
  t.after(() => void (process.execPath = node));
  const deaths: string[] = [];
  let isReady = false;
  // Of one Node says so, the other it throws.
  const nodes = [path.join(folder, "no-node"), "no\0node", path.join(folder, "no-node")];
  process.execPath = nodes.shift()!;
  const onDied = (how: string): void => {
    deaths.push(how);
    process.execPath = nodes.shift() ?? node;
  };
  const child = superviseChild(
    { name: "child", modulePath, args: [], env: process.env, logDescriptor },
    { onReady: () => (isReady = true), onTold: () => {}, onDied },
    silentLog,
  );
  await until("it is ready", () => isReady);
  await child.stop(5000);
  assert.deepEqual(deaths, Array(3).fill("could not be started"));
});
