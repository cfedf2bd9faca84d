import assert from "node:assert/strict";
import { test } from "node:test";
import { judgeDisk, type DiskFacts, type DiskVerdict, type FsyncFigures } from "./judge-disk.ts";

const figures = (per_s: number): FsyncFigures => ({
  per_s,
  p50_ms: 1000 / per_s,
  p95_ms: 2000 / per_s,
  p99_ms: 3000 / per_s,
  max_ms: 5000 / per_s,
  fsyncs: Math.round(per_s * 2),
});

const metal = { path: "/var/spool/postfix", fileSystem: "ext4", isVirtual: false } as const;

const rows: readonly (readonly [what: string, facts: DiskFacts, verdict: DiskVerdict, finding: RegExp])[] = [
  ["a disk that turns", { ...metal, isRotational: true, single: figures(118) }, "honest", /a disk that turns can do/],
  [
    "a disk that turns and answers before it has written",
    { ...metal, isRotational: true, single: figures(4000) },
    "too_good",
    /too good to be true: 4000 .* at most 250 .*battery/i,
  ],
  [
    "turning, as a virtual machine was told",
    { ...metal, isVirtual: true, isRotational: true, single: figures(1100) },
    "honest",
    /an honest disk/,
  ],
  ["flash", { ...metal, isRotational: false, single: figures(900) }, "honest", /an honest disk/],
  [
    "protected flash",
    { ...metal, isRotational: false, single: figures(25_000) },
    "protected_or_lying",
    /protected from power loss/,
  ],
  [
    "faster than any bus",
    { ...metal, isRotational: false, single: figures(400_000) },
    "too_good",
    /more than any device/,
  ],
  ["memory", { ...metal, fileSystem: "tmpfs", single: figures(400_000) }, "not_a_disk", /tmpfs: memory/],
  ["memory that does not answer", { ...metal, fileSystem: "tmpfs" }, "not_a_disk", /tmpfs: memory/],
  ["a container's layer", { ...metal, fileSystem: "overlay", single: figures(900) }, "honest", /Mount a volume/],
  ["a network", { ...metal, fileSystem: "nfs4", single: figures(900) }, "honest", /another machine or program/],
  ["a busy disk", { ...metal, single: figures(12) }, "slow", /Slow: 12 /],
  ["a disk that stands still", metal, "frozen", /no answer/],
];

for (const [what, facts, verdict, finding] of rows) {
  test(`${what}: ${verdict}`, () => {
    const judgement = judgeDisk(facts);
    assert.equal(judgement.verdict, verdict);
    assert.match(judgement.findings.join("\n"), finding);
  });
}

test("writers that share flushes are told from those that wait for each other", () => {
  const parallel = (per_s: number) => ({ ...figures(per_s), writers: 8 });
  const findingsOf = (per_s: number) =>
    judgeDisk({ ...metal, single: figures(100), parallel: parallel(per_s) }).findings.join("\n");
  assert.match(findingsOf(700), /8 writers at once make 700 .*share/);
  assert.match(findingsOf(110), /waits for the one before it/);
});

test("on a virtual machine it says that the host may lie", () => {
  assert.match(judgeDisk({ ...metal, isVirtual: true, single: figures(900) }).findings.join("\n"), /its host decides/);
  assert.doesNotMatch(judgeDisk({ ...metal, single: figures(900) }).findings.join("\n"), /virtual/);
});
