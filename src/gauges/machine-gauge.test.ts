import assert from "node:assert/strict";
import { test } from "node:test";
import { readMachine, type MachinePorts } from "./machine-gauge.ts";

const ports: MachinePorts = {
  readText: async (path) =>
    path === "/proc/pressure/memory" ? undefined : "some avg10=25.00 avg60=0.71 avg300=0.45 total=239612445\n",
  loadOf1Min: () => 1.2345,
  cores: () => 2,
  diskOf: async () => ({ bsize: 4096, blocks: 1000, bavail: 250 }),
};

test("what is there is measured, what is not is absent", async () => {
  assert.deepEqual(await readMachine("/spool", ports), {
    pressure_io: 0.25,
    pressure_cpu: 0.25,
    load_1min: 1.23,
    cores: 2,
    disk_free_bytes: 1_024_000,
    disk_total_bytes: 4_096_000,
  });
});

test("a relay without a spool here has no disk", async () => {
  const reading = await readMachine(undefined, ports);
  assert.equal(reading.disk_free_bytes, undefined);
});

test("a disk that cannot be asked is a problem for people", async () => {
  const diskOf = async (): Promise<never> => await Promise.reject(new Error("ENOENT: no such file"));
  const { problems } = await readMachine("/gone", { ...ports, diskOf });
  assert.deepEqual(problems, ["the disk of /gone cannot be asked: ENOENT: no such file"]);
});
