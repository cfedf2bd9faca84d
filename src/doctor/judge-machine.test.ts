import assert from "node:assert/strict";
import { test } from "node:test";
import { loadConfig } from "../platform/config.ts";
import type { FindingCode } from "./finding-catalogue.ts";
import { judgeMachine, needsOf, type MachineNeeds } from "./judge-machine.ts";
import { readMachine, type MachineFacts } from "./machine-facts.ts";

const NOW_MS = Date.parse("2026-11-27T00:00:00Z");
const NEEDS: MachineNeeds = { openFiles: 1700, ports: 40, processes: 4, isEmbedded: true, signs: true };
const WELL: MachineFacts = {
  openFilesMax: 524_288,
  ports: 28_232,
  memoryBytes: 4e9,
  overcommit: 0,
  cores: 2,
  threadPool: 4,
  clock: "synchronised",
  node: "24.11.0",
  zones: "2026a",
};

const rows: readonly (readonly [FindingCode | undefined, Partial<MachineFacts>])[] = [
  [undefined, {}],
  ["open_files_few", { openFilesMax: 1024 }],
  ["ports_few", { ports: 100 }],
  ["threads_few", { tasksMax: 64 }],
  ["memory_small", { memoryBytes: 512e6 }],
  ["overcommit", { overcommit: 1 }],
  ["signing_threads_few", { cores: 16 }],
  ["clock_unsynchronised", { clock: "unsynchronised" }],
  ["clock_service_unknown", { clock: "unknown" }],
  ["node_too_old", { node: "20.18.1" }],
  ["node_too_old", { node: "18.20.0" }],
  ["node_end_of_life", { node: "20.19.5" }],
  [undefined, { node: "22.12.0" }],
  ["time_zones_old", { zones: "2024b" }],
];
for (const [code, changed] of rows)
  test(`${code ?? "all right"}: ${JSON.stringify(changed)}`, () => {
    const found = judgeMachine({ ...WELL, ...changed }, NEEDS, NOW_MS).map((one) => one.code);
    assert.deepEqual(found, code === undefined ? [] : [code]);
  });

test("what the default configuration needs", () => {
  const needs = needsOf(loadConfig({ cwd: "/", env: {} }));
  assert.deepEqual(needs, { openFiles: 1700, ports: 2, processes: 4, isEmbedded: true, signs: false });
});

test("this machine can be read", async () => {
  const machine = await readMachine({ UV_THREADPOOL_SIZE: "7" });
  assert.ok(machine.memoryBytes > 1e8 && machine.cores > 0);
  assert.equal(machine.threadPool, 7);
  if (process.platform === "linux") assert.ok(machine.openFilesMax! > 0 && machine.ports! > 1000);
});
