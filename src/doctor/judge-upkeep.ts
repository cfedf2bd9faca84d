// What holds back vacuum, and what it has left behind: transactions, slots, dead rows, indexes, partitions. Pure.

import type { SchemaStanding } from "../postgres/inspect-schema.ts";
import { finding, foundIf, type Finding } from "./finding.ts";
import type { HorizonRow, PartitionsRow, SlotRow, TableRow } from "./upkeep-facts-store.ts";

/** Claims stay flat for about as long at a thousand messages a second: 300,000 dead rows. */
const TRANSACTION_S_MAX = 300;
const TRANSACTION_S_LONG = 3600;
/** Whoever prepares a transaction finishes it at once. */
const PREPARED_S_MAX = 60;
/** A quarter of what the embedded server keeps by itself. */
const SLOT_BYTES_MAX = 1024 ** 3;
/** Transactions; a slot whose reader keeps up stays within thousands. */
const SLOT_AGE_MAX = 1_000_000;
/** PostgreSQL warns from 40 million before the end (2,147 million) on; autovacuum begins at 200 million. */
const FREEZE_AGE_MAX = 1_000_000_000;

export function judgeHorizon(horizon: HorizonRow): readonly Finding[] {
  const { transaction, prepared, slots, standby_age: standbyAge, freeze_age: freezeAge } = horizon;
  return [
    ...judgeTransaction(transaction),
    ...prepared.filter(({ open_s: openS }) => openS > PREPARED_S_MAX).map(tellPrepared),
    ...slots.flatMap(judgeSlot),
    ...foundIf(standbyAge !== null && standbyAge > SLOT_AGE_MAX, () =>
      finding("slot_holds_vacuum", `a standby holds back vacuum by ${standbyAge} transactions`, { age: standbyAge! }),
    ),
    ...foundIf(freezeAge > FREEZE_AGE_MAX, () =>
      finding("wraparound_near", `the oldest transaction id is ${freezeAge} ids old, of 2,147,483,648`, {
        age: freezeAge,
      }),
    ),
  ];
}

function judgeTransaction(transaction: HorizonRow["transaction"]): readonly Finding[] {
  if (transaction === null || transaction.open_s < TRANSACTION_S_MAX) return [];
  const { pid, open_s: openS, application } = transaction;
  const code = openS >= TRANSACTION_S_LONG ? "transaction_very_old" : "transaction_old";
  const found = `session ${pid} ("${application}") has a transaction open for ${Math.round(openS)} s`;
  return [finding(code, found, { pid, open_s: Math.round(openS) })];
}

function tellPrepared({ gid, open_s: openS, database }: HorizonRow["prepared"][number]): Finding {
  const found = `transaction "${gid}" was prepared ${Math.round(openS)} s ago in database ${database}`;
  return finding("prepared_transaction_old", found, { gid, open_s: Math.round(openS) });
}

function judgeSlot({ name, is_active: isActive, held_bytes: held, age }: SlotRow): readonly Finding[] {
  const state = isActive ? "in use" : "not in use";
  return [
    ...foundIf(held !== null && held > SLOT_BYTES_MAX, () =>
      finding("slot_holds_wal", `slot "${name}" (${state}) keeps ${held} bytes of WAL`, { slot: name, bytes: held! }),
    ),
    ...foundIf(age !== null && age > SLOT_AGE_MAX, () =>
      finding("slot_holds_vacuum", `slot "${name}" (${state}) holds back vacuum by ${age} transactions`, {
        slot: name,
        age: age!,
      }),
    ),
  ];
}

/** Measured: 500,000 dead rows make a claim of 200 without a cursor take 120 ms. */
const DEAD_ROWS_MAX = 200_000;
const DEAD_SHARE_MAX = 0.5;
/** Less is memory's in any case. */
const INDEX_BYTES_MIN = 256 * 1024 ** 2;
/** An estimate: ten times what the three indexes of `queue` should need when they are new, and no table has more. */
const INDEX_BYTES_PER_ROW_MAX = 1500;

export function judgeTables(tables: readonly TableRow[]): readonly Finding[] {
  return [...tables.flatMap(judgeTable), ...judgeQueueSetting(tables.find(({ name }) => name === "queue"))];
}

function judgeTable({ name, options, live_rows: live, dead_rows: dead, index_bytes: bytes }: TableRow) {
  return [
    ...foundIf(options.includes("autovacuum_enabled=false") || options.includes("autovacuum_enabled=off"), () =>
      finding("table_autovacuum_off", `postlane.${name} has autovacuum_enabled = off`, { table: name }),
    ),
    ...foundIf(dead > DEAD_ROWS_MAX && dead > (live + dead) * DEAD_SHARE_MAX, () =>
      finding("dead_rows_many", `postlane.${name} has ${dead} dead rows beside ${live} live ones`, {
        table: name,
        dead_rows: dead,
        live_rows: live,
      }),
    ),
    ...foundIf(bytes > INDEX_BYTES_MIN && bytes > (live + dead) * INDEX_BYTES_PER_ROW_MAX, () =>
      finding("index_bloated", `the indexes of postlane.${name} have ${bytes} bytes for ${live} rows`, {
        table: name,
        index_bytes: bytes,
        live_rows: live,
      }),
    ),
  ];
}

/** The share from which on vacuum begins; the migration sets 0.02, and the server's default is 0.2. */
const SCALE_MAX = 0.1;

function judgeQueueSetting(queue: TableRow | undefined): readonly Finding[] {
  if (queue === undefined) return [];
  const [, scale] = /^autovacuum_vacuum_scale_factor=(.+)$/m.exec(queue.options.join("\n")) ?? [];
  return foundIf(!(Number(scale ?? NaN) <= SCALE_MAX), () =>
    finding("autovacuum_lazy", `autovacuum_vacuum_scale_factor of postlane.queue is ${scale ?? "the server's"}`),
  );
}

export function judgePartitions(partitions: PartitionsRow): readonly Finding[] {
  const { has_today: hasToday, has_tomorrow: hasTomorrow, is_default_used: isDefaultUsed } = partitions;
  return [
    // The first day of a database may be without one: events that came before upkeep's first round are in the default.
    ...foundIf(!hasTomorrow, () =>
      finding("partition_missing", `there is no partition for tomorrow${hasToday ? "" : ", and none for today"}`),
    ),
    ...foundIf(isDefaultUsed, () => finding("default_partition_used", "postlane.event_default has rows")),
  ];
}

export function judgeSchema(schema: SchemaStanding): readonly Finding[] {
  switch (schema.kind) {
    case "current":
      return [];
    case "missing":
      return [finding("schema_missing", "there is no schema postlane")];
    case "older":
    case "newer": {
      const { version, ownVersion } = schema;
      const found = `the schema has version ${version}, this Postlane ${ownVersion}`;
      return [finding(`schema_${schema.kind}`, found, { version, own_version: ownVersion })];
    }
    case "changed": {
      const found = `migration ${schema.version} (${schema.name}) was applied with other content`;
      return [finding("schema_changed", found, { version: schema.version })];
    }
  }
}
