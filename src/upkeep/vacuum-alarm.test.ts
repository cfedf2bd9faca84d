// When it is told that vacuum is held back: by whom, since when, and that it is over.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createVacuumWatch } from "./vacuum-alarm.ts";
import type { Holder, VacuumState } from "./vacuum-store.ts";

const LIMITS = { deadRows: 1000, heldForMs: 30_000, slotWalBytes: 5e9 };
const holderOf = (changes: Partial<Holder> = {}): Holder => ({
  kind: "session",
  pid: 4711,
  name: null,
  application: "psql",
  user_name: "ann",
  open_ms: 95_000,
  horizon: "800",
  transactions: 500,
  wal_bytes: null,
  is_active: true,
  ...changes,
});
const stateOf = (changes: Partial<VacuumState> = {}): VacuumState => ({
  dead_rows: 5000,
  table: "queue",
  is_autovacuum_on: true,
  tables_without_autovacuum: [],
  sees_all: true,
  holders: [holderOf()],
  ...changes,
});
/** Looks a second apart: what each told. */
function tell(...states: readonly (readonly [atS: number, state: VacuumState])[]): readonly (readonly string[])[] {
  const watch = createVacuumWatch(LIMITS);
  return states.map(([atS, state]) =>
    watch.look(state, atS * 1000).map(({ isRaised, detail }) => `${isRaised ? "ALARM" : "over"}: ${detail}`),
  );
}

test("who holds on for long while much is dead is named, once, with what ends it; and its end is told", () => {
  const told = tell([0, stateOf()], [29, stateOf()], [30, stateOf()], [35, stateOf()], [40, stateOf({ holders: [] })]);
  assert.deepEqual(told, [
    [],
    [],
    [
      "ALARM: 5000 dead rows, most in table queue, are not cleaned up; vacuum is held back for 30 s or longer by a " +
        "transaction (server process 4711, psql, user ann, open for 95 s); end it: SELECT pg_terminate_backend(4711)",
    ],
    [],
    ["over: vacuum can clean up again"],
  ]);
});

test("few dead rows are nobody's trouble, and an alarm holds until they are half as many", () => {
  const told = tell(
    [0, stateOf({ dead_rows: 999 })],
    [60, stateOf({ dead_rows: 999 })],
    [61, stateOf()],
    [62, stateOf({ dead_rows: 501 })],
    [63, stateOf({ dead_rows: 499 })],
  );
  assert.deepEqual(
    told.map(({ length }) => length),
    [0, 0, 1, 0, 1],
  );
});

test("a session that takes a new snapshot each time holds nothing, however old its transaction is", () => {
  const told = tell(
    ...[0, 20, 40, 60].map((atS) => [atS, stateOf({ holders: [holderOf({ horizon: `${800 + atS}` })] })] as const),
  );
  assert.deepEqual(told.flat(), []);
});

test("of several the one that holds the oldest is named, and the next when it is gone", () => {
  const older = holderOf({ kind: "slot", pid: null, name: "old", horizon: "7", transactions: 9000, is_active: false });
  const both = stateOf({ holders: [holderOf(), older] });
  const told = tell([0, both], [30, both], [31, stateOf()], [32, stateOf()]);
  assert.match(told[1]!.join(), /the replication slot old \(nobody uses it\); .*pg_drop_replication_slot\('old'\)/);
  assert.match(told[2]!.join(), /server process 4711/);
  assert.deepEqual(told[3], []);
});

test("a prepared transaction and autovacuum that is off are named, too", () => {
  const prepared = holderOf({ kind: "prepared", pid: null, name: "it's", application: null, open_ms: 3_600_000 });
  const one = stateOf({ holders: [prepared] });
  assert.match(
    tell([0, one], [30, one])[1]!.join(),
    /prepared transaction "it's" \(user ann, open for 3600 s\); end it: ROLLBACK PREPARED 'it''s'/,
  );
  const off = stateOf({ holders: [], is_autovacuum_on: false });
  assert.match(
    tell([0, off], [30, off])[1]!.join(),
    /by nobody: autovacuum is off; .*ALTER SYSTEM SET autovacuum = on/,
  );
  const without = stateOf({ holders: [], tables_without_autovacuum: ["queue"] });
  assert.match(tell([0, without], [30, without])[1]!.join(), /autovacuum is off for queue; .*postlane\.queue RESET/);
});

test("a role without rights says what it cannot see, and control characters of a name stay out", () => {
  const state = stateOf({ sees_all: false, holders: [holderOf({ open_ms: null, application: "a\u001b[2Jb" })] });
  assert.match(
    tell([0, state], [30, state])[1]!.join(),
    /server process 4711, a \[2Jb, user ann, since when cannot be seen without the role pg_read_all_stats/,
  );
});

test("a slot that keeps much of the log is told whatever is dead, and when it keeps less than half of that", () => {
  const slot = (bytes: number): VacuumState =>
    stateOf({
      dead_rows: 0,
      holders: [holderOf({ kind: "slot", name: "old", horizon: null, wal_bytes: bytes, is_active: false })],
    });
  const told = tell(
    [0, slot(4e9)],
    [1, slot(6e9)],
    [2, slot(7e9)],
    [3, slot(3e9)],
    [4, slot(2e9)],
    [5, slot(6e9)],
    [6, stateOf({ holders: [] })],
  );
  assert.deepEqual(
    told.map((some) => some.map((line) => line.split(":")[0])),
    [[], ["ALARM"], [], [], ["over"], ["ALARM"], ["over"]],
  );
  assert.match(
    told[1]!.join(),
    /replication slot old, which nobody uses, keeps 6\.0 GB of the server's log of changes; bring its replica back/,
  );
});
