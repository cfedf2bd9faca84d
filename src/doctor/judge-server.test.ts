import assert from "node:assert/strict";
import { test } from "node:test";
import type { FindingCode } from "./finding-catalogue.ts";
import { judgeClock, judgeServer, type ServerFacts } from "./judge-server.ts";
import type { ServerRow } from "./server-facts-store.ts";

const WELL: ServerRow = {
  version_number: 180_000,
  version: "18.0",
  is_in_recovery: false,
  settings: {
    fsync: "on",
    full_page_writes: "on",
    synchronous_standby_names: "",
    data_checksums: "on",
    default_transaction_read_only: "off",
    default_transaction_isolation: "read committed",
    max_connections: "100",
    superuser_reserved_connections: "3",
    max_locks_per_transaction: "64",
    shared_buffers: "16384",
    statement_timeout: "0",
    idle_in_transaction_session_timeout: "600000",
    jit: "off",
    autovacuum: "on",
    track_counts: "on",
  },
  synchronous_commit: "on",
  sees_others: true,
  at_ms: 0,
  up_s: 1_000_000,
  sessions: 20,
  own_sessions: 10,
  session_limit: null,
  is_superuser: false,
  replicas: [],
};
const replica = { name: "standby", sync_state: "async", state: "streaming", gap_bytes: 4096 };

const settings = (changed: Readonly<Record<string, string>>): Partial<ServerRow> => ({
  settings: { ...WELL.settings, ...changed },
});

function codesOf(server: Partial<ServerRow>, facts: Partial<ServerFacts> = {}): readonly string[] {
  const given = { connectionsNeeded: 60, isEmbedded: false, today: "2026-11-27", ...facts };
  return judgeServer({ server: { ...WELL, ...server }, ...given }).map(({ code }) => code);
}

test("a server that is well has no findings", () => {
  assert.deepEqual(codesOf({}), []);
  assert.deepEqual(
    codesOf({ replicas: [{ ...replica, sync_state: "sync" }], ...settings({ synchronous_standby_names: "standby" }) }),
    [],
  );
});

const rows: readonly (readonly [FindingCode, Partial<ServerRow>])[] = [
  ["server_too_old", { version_number: 140_000, version: "14.1" }],
  ["server_in_recovery", { is_in_recovery: true }],
  ["fsync_off", settings({ fsync: "off" })],
  ["full_page_writes_off", settings({ full_page_writes: "off" })],
  ["synchronous_commit_off", { synchronous_commit: "off" }],
  ["checksums_off", settings({ data_checksums: "off" })],
  ["read_only_by_default", settings({ default_transaction_read_only: "on" })],
  ["isolation_raised", settings({ default_transaction_isolation: "serializable" })],
  ["replica_asynchronous", { replicas: [replica] }],
  ["synchronous_standby_missing", { replicas: [], ...settings({ synchronous_standby_names: "standby" }) }],
  ["synchronous_standby_missing", { replicas: [replica], ...settings({ synchronous_standby_names: "other" }) }],
  ["connections_short", settings({ max_connections: "50" })],
  ["connections_short", { session_limit: 20 }],
  ["connections_tight", { sessions: 60 }],
  ["locks_few", settings({ max_locks_per_transaction: "10" })],
  ["buffers_small", settings({ shared_buffers: "4096" })],
  ["statement_timeout_short", settings({ statement_timeout: "5000" })],
  ["statement_timeout_short", settings({ transaction_timeout: "30000" })],
  ["idle_timeout_short", settings({ idle_in_transaction_session_timeout: "1000" })],
  ["idle_transactions_unbounded", settings({ idle_in_transaction_session_timeout: "0" })],
  ["snapshot_too_old_on", settings({ old_snapshot_threshold: "60" })],
  ["jit_on", settings({ jit: "on" })],
  ["autovacuum_off", settings({ autovacuum: "off" })],
  ["autovacuum_off", settings({ track_counts: "off" })],
  ["server_restarted", { up_s: 120 }],
  ["statistics_hidden", { sees_others: false }],
];

for (const [code, changed] of rows)
  test(`${code}: ${JSON.stringify(changed).slice(0, 60)}`, () => {
    assert.deepEqual(codesOf(changed), [code]);
  });

test("server_end_of_life by the day", () => {
  const old = { version_number: 150_010, version: "15.10" };
  assert.deepEqual(codesOf(old, { today: "2027-11-11" }), []);
  assert.deepEqual(codesOf(old, { today: "2027-11-12" }), ["server_end_of_life" satisfies FindingCode]);
});

test("the gap of an asynchronous replica is told in bytes", () => {
  const facts = { server: { ...WELL, replicas: [replica] }, connectionsNeeded: 1, isEmbedded: false, today: "" };
  assert.match(judgeServer(facts)[0]!.found, /"standby" is asynchronous, and 4096 bytes of WAL behind/);
});

test("the embedded server's sessions are all ours, and `up` starts it", () => {
  assert.deepEqual(
    codesOf({ up_s: 1, ...settings({ idle_in_transaction_session_timeout: "0" }) }, { isEmbedded: true }),
    [],
  );
});

const clocks: readonly (readonly [server: number, round: number, code: FindingCode | undefined])[] = [
  [900, 5, undefined],
  [1500, 800, undefined],
  [1500, 5, "database_clock_differs"],
  [-30_000, 5, "database_clock_differs"],
  [-7_200_000, 5, "database_clock_far_off"],
];
for (const [serverAtMs, roundMs, code] of clocks) {
  test(`a clock ${serverAtMs} ms away, in a round of ${roundMs} ms: ${code ?? "all right"}`, () => {
    assert.deepEqual(
      judgeClock(serverAtMs, 0, roundMs).map((one) => one.code),
      code === undefined ? [] : [code],
    );
  });
}
