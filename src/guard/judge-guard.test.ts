// The guard's judgement as a table: what must be held or refused, and what must not be taken for it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { judgeGuard, N_STEP, type GuardCase, type Identity, type Memory, type Sight } from "./judge-guard.ts";

const HOUR_MS = 3_600_000;
const HERE: Identity = { system_id: "7300000000000000001", database_id: 16_384, timeline: 1 };
const AT_MS = Date.parse("2026-11-26T14:02:10Z");

const sightOf = (changes: Partial<Sight> = {}): Sight => ({
  seen: HERE,
  remembered: HERE,
  n: 1000,
  beat_at_ms: AT_MS,
  beat_ago_ms: 2000,
  held: null,
  ...changes,
});
const memoryOf = (changes: Partial<Memory> = {}): Memory => ({ ...HERE, n: 1000, beat_at_ms: AT_MS, ...changes });
const NEVER: Identity = { system_id: null, database_id: null, timeline: null };
const PROMOTED: Identity = { ...HERE, timeline: 2 };
const ELSEWHERE: Identity = { ...HERE, system_id: "7300000000000000002" };

interface Row extends Partial<GuardCase> {
  readonly name: string;
  readonly says: string;
}

const CASES: readonly Row[] = [
  // ---- nothing happened
  { name: "a restart", memory: memoryOf(), says: "sound as_it_was" },
  {
    name: "a restart after a crash: the file is behind by what was not written any more",
    memory: memoryOf({ n: 990 }),
    says: "sound as_it_was",
  },
  { name: "a power cut: the file is gone or torn", says: "sound as_it_was" },
  {
    name: "another machine with a data directory of its own, used last week",
    memory: memoryOf({ n: 3 }),
    says: "sound as_it_was",
  },
  {
    name: "the very first start",
    sight: sightOf({ remembered: NEVER, n: 0, beat_at_ms: null, beat_ago_ms: null }),
    says: "sound first",
  },
  {
    name: "an empty database, and a data directory of another one",
    sight: sightOf({ remembered: NEVER, n: 0, beat_at_ms: null, beat_ago_ms: null }),
    memory: memoryOf(ELSEWHERE),
    says: "sound first",
  },
  {
    name: "a data directory that was used for another database",
    memory: memoryOf({ ...ELSEWHERE, n: 5000 }),
    says: "sound as_it_was",
  },
  {
    name: "a data directory that was used for another database of this server",
    memory: memoryOf({ database_id: 5, n: 5000, timeline: 9 }),
    says: "sound as_it_was",
  },
  {
    name: "a right to ask for the system was granted",
    sight: sightOf({ remembered: { ...HERE, system_id: null } }),
    memory: memoryOf({ system_id: null }),
    says: "sound identity_learnt",
  },
  {
    name: "a right to ask for the system was taken",
    sight: sightOf({ seen: { ...HERE, system_id: null } }),
    memory: memoryOf(),
    says: "sound identity_learnt",
  },
  {
    name: "a standby that cannot be written to",
    sight: sightOf({ seen: { ...HERE, timeline: null } }),
    memory: memoryOf({ timeline: 3 }),
    says: "sound as_it_was",
  },

  // ---- copied
  {
    name: "restored from a dump into another server",
    sight: sightOf({ seen: ELSEWHERE }),
    says: "hold all database_copied",
  },
  {
    name: "and this machine knows the first one",
    sight: sightOf({ seen: ELSEWHERE }),
    memory: memoryOf(),
    says: "hold all database_copied",
  },
  {
    name: "cloned within the server",
    sight: sightOf({ seen: { ...HERE, database_id: 16_999 } }),
    memory: memoryOf(),
    says: "hold all database_copied",
  },
  {
    name: "copied, and nobody may ask for the system",
    sight: sightOf({ seen: { ...ELSEWHERE, system_id: null, database_id: 7 } }),
    says: "hold all database_copied",
  },

  // ---- rewound
  {
    name: "the volume of the database was brought back",
    sight: sightOf({ n: 400, beat_at_ms: AT_MS - 600_000 }),
    memory: memoryOf(),
    says: "hold bulk database_rewound",
  },
  {
    name: "an asynchronous replica took over and lacks the last seconds",
    sight: sightOf({ seen: PROMOTED, n: 998 }),
    memory: memoryOf(),
    says: "hold bulk database_rewound",
  },
  {
    name: "a backup was restored to a point in time",
    sight: sightOf({ seen: { ...HERE, timeline: 3 }, n: 10 }),
    memory: memoryOf({ timeline: 2 }),
    says: "hold bulk database_rewound",
  },
  {
    name: "brought back from before the last confirmation",
    sight: sightOf({ n: 400 }),
    memory: memoryOf({ n: 1000 + N_STEP }),
    says: "hold bulk database_rewound",
  },

  // ---- a replica took over, and nothing is missing
  {
    name: "a synchronous replica took over",
    sight: sightOf({ seen: PROMOTED }),
    memory: memoryOf(),
    says: "sound promoted",
  },
  {
    name: "and the file had not been renewed",
    sight: sightOf({ seen: PROMOTED }),
    memory: memoryOf({ n: 999 }),
    says: "sound promoted",
  },
  { name: "and this machine remembers nothing", sight: sightOf({ seen: PROMOTED }), says: "sound promoted" },

  // ---- an old primary
  { name: "the old primary came back", memory: memoryOf({ timeline: 2 }), says: "refuse 1 of 2" },
  {
    name: "and others went on with it",
    sight: sightOf({ n: 90_000 }),
    memory: memoryOf({ timeline: 2 }),
    says: "refuse 1 of 2",
  },
  {
    name: "somebody has confirmed it, perhaps elsewhere",
    sight: sightOf({ n: 1000 + N_STEP }),
    memory: memoryOf({ timeline: 2 }),
    says: "sound as_it_was",
  },

  // ---- a gap
  {
    name: "the whole machine was brought back",
    sight: sightOf({ beat_ago_ms: 5 * HOUR_MS }),
    memory: memoryOf(),
    wasBulkInFlight: true,
    says: "hold bulk heartbeat_gap",
  },
  {
    name: "and nothing is remembered of it",
    sight: sightOf({ beat_ago_ms: 5 * HOUR_MS }),
    wasBulkInFlight: true,
    says: "hold bulk heartbeat_gap",
  },
  { name: "a weekend off", sight: sightOf({ beat_ago_ms: 60 * HOUR_MS }), memory: memoryOf(), says: "sound as_it_was" },
  {
    name: "an hour to the second",
    sight: sightOf({ beat_ago_ms: HOUR_MS }),
    memory: memoryOf(),
    wasBulkInFlight: true,
    says: "sound as_it_was",
  },
  {
    name: "a database that was away for hours, and a process that waited",
    sight: sightOf({ beat_ago_ms: 5 * HOUR_MS }),
    memory: memoryOf(),
    wasBulkInFlight: true,
    isOwnHeartbeat: true,
    says: "sound as_it_was",
  },
  {
    name: "the clock was set back",
    sight: sightOf({ beat_ago_ms: -2 * HOUR_MS }),
    memory: memoryOf(),
    wasBulkInFlight: true,
    says: "sound as_it_was",
  },
];

for (const { name, says, ...given } of CASES) {
  test(`${name}: ${says}`, () => {
    const verdict = judgeGuard({
      sight: sightOf(),
      gapMs: HOUR_MS,
      wasBulkInFlight: false,
      isOwnHeartbeat: false,
      ...given,
    });
    assert.equal(tell(verdict), says);
  });
}

test("what was lost is told in heartbeats and seconds", () => {
  const sight = sightOf({ n: 940, beat_at_ms: AT_MS - 60_400 });
  const verdict = judgeGuard({
    sight,
    memory: memoryOf(),
    gapMs: HOUR_MS,
    wasBulkInFlight: false,
    isOwnHeartbeat: false,
  });
  assert.deepEqual(verdict.kind === "hold" && verdict.reason.evidence, { heartbeats: 60, behind_s: 60 });
});

function tell(verdict: ReturnType<typeof judgeGuard>): string {
  switch (verdict.kind) {
    case "sound":
      return `sound ${verdict.because}`;
    case "hold":
      return `hold ${verdict.held} ${verdict.reason.code}`;
    case "refuse":
      return `refuse ${verdict.seenTimeline} of ${verdict.knownTimeline}`;
  }
}
