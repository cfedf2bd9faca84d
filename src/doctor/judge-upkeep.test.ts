import assert from "node:assert/strict";
import { test } from "node:test";
import type { SchemaStanding } from "../postgres/inspect-schema.ts";
import type { FindingCode } from "./finding-catalogue.ts";
import { judgeHorizon, judgePartitions, judgeSchema, judgeTables } from "./judge-upkeep.ts";
import type { HorizonRow, TableRow } from "./upkeep-facts-store.ts";

const HORIZON: HorizonRow = { transaction: null, prepared: [], slots: [], standby_age: null, freeze_age: 5_000_000 };
const slot = { name: "old", is_active: false, held_bytes: 100, age: null };
const transaction = { pid: 1, open_s: 10, application: "psql" };

const horizons: readonly (readonly [FindingCode | undefined, Partial<HorizonRow>])[] = [
  [undefined, { transaction, slots: [slot], prepared: [{ gid: "a", open_s: 1, database: "site" }] }],
  ["transaction_old", { transaction: { ...transaction, open_s: 600 } }],
  ["transaction_very_old", { transaction: { ...transaction, open_s: 7200 } }],
  ["prepared_transaction_old", { prepared: [{ gid: "a", open_s: 100, database: "site" }] }],
  ["slot_holds_wal", { slots: [{ ...slot, held_bytes: 5e9 }] }],
  ["slot_holds_vacuum", { slots: [{ ...slot, age: 2_000_000 }] }],
  ["slot_holds_vacuum", { standby_age: 2_000_000 }],
  ["wraparound_near", { freeze_age: 1_500_000_000 }],
];
for (const [code, changed] of horizons)
  test(`${code ?? "all right"}: ${JSON.stringify(changed)}`, () => {
    const found = judgeHorizon({ ...HORIZON, ...changed }).map((one) => one.code);
    assert.deepEqual(found, code === undefined ? [] : [code]);
  });

const QUEUE: TableRow = {
  name: "queue",
  live_rows: 1000,
  dead_rows: 1000,
  index_bytes: 1e6,
  table_bytes: 1e6,
  options: ["fillfactor=60", "autovacuum_vacuum_scale_factor=0.02"],
};
const tables: readonly (readonly [FindingCode | undefined, Partial<TableRow>])[] = [
  [undefined, {}],
  [undefined, { live_rows: 10_000_000, dead_rows: 300_000, index_bytes: 4e9 }],
  ["dead_rows_many", { dead_rows: 500_000 }],
  ["index_bloated", { index_bytes: 1e9 }],
  ["table_autovacuum_off", { options: [...QUEUE.options, "autovacuum_enabled=false"] }],
  ["autovacuum_lazy", { options: [] }],
  ["autovacuum_lazy", { options: ["autovacuum_vacuum_scale_factor=0.5"] }],
];
for (const [code, changed] of tables)
  test(`${code ?? "all right"}: ${JSON.stringify(changed)}`, () => {
    const found = judgeTables([{ ...QUEUE, ...changed }]).map((one) => one.code);
    assert.deepEqual(found, code === undefined ? [] : [code]);
  });

test("partitions", () => {
  const codesOf = (has_tomorrow: boolean, is_default_used: boolean) =>
    judgePartitions({ has_today: true, has_tomorrow, is_default_used }).map(({ code }) => code as string);
  assert.deepEqual(codesOf(true, false), []);
  assert.deepEqual(codesOf(false, false), ["partition_missing"]);
  assert.deepEqual(codesOf(true, true), ["default_partition_used"]);
});

const schemas: readonly (readonly [FindingCode | undefined, SchemaStanding])[] = [
  [undefined, { kind: "current", version: 13 }],
  ["schema_missing", { kind: "missing" }],
  ["schema_older", { kind: "older", version: 12, ownVersion: 13 }],
  ["schema_newer", { kind: "newer", version: 14, ownVersion: 13 }],
  ["schema_changed", { kind: "changed", version: 13, name: "preflight" }],
];
for (const [code, standing] of schemas)
  test(`a schema that is ${standing.kind}`, () => {
    assert.deepEqual(
      judgeSchema(standing).map((one) => one.code),
      code === undefined ? [] : [code],
    );
  });
