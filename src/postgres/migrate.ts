// Brings the schema `postlane` up to date: numbered files in `migrations/`, each applied once, in order, in a
// transaction of its own. Several processes may start at once: a lock lets one work, and the others then find nothing
// to do. Refuses what it would have to guess about: a schema newer than its own, and a file that was changed after it
// had been applied. Assumes that the client is a session of its own, not behind a transaction pooler.

import { createHash } from "node:crypto";
import { readFile, readdir } from "node:fs/promises";
import type { ClientBase } from "pg";
import {
  type AppliedMigration,
  applyMigration,
  lockMigrations,
  prepareMigrationTable,
  readAppliedMigrations,
  unlockMigrations,
} from "./migration-store.ts";

type SchemaRefusal = "schema_newer" | "schema_migration_changed" | "schema_not_permitted" | "schema_migration_failed";

export class SchemaRefused extends Error {
  readonly code: SchemaRefusal;

  constructor(code: SchemaRefusal, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "SchemaRefused";
    this.code = code;
  }
}

interface Migration {
  readonly version: number;
  readonly name: string;
  readonly sql: string;
  /** SHA-256 of the file, in hex. */
  readonly checksum: string;
}

const MIGRATIONS = new URL("./migrations/", import.meta.url);

/** `from` and `to` are versions of the schema; 0 is none. */
export async function migrate(
  client: ClientBase,
  folder: URL = MIGRATIONS,
): Promise<{ readonly from: number; readonly to: number }> {
  const own = await readMigrations(folder);
  await lockMigrations(client);
  try {
    await prepareTable(client);
    const applied = await readAppliedMigrations(client);
    refuseNewer(own, applied);
    refuseChanged(own, applied);
    for (const migration of own.slice(applied.length)) await applyOne(client, migration);
    return { from: applied.length, to: own.length };
  } finally {
    await unlockMigrations(client);
  }
}

export async function ownMigrations(): Promise<readonly Migration[]> {
  return await readMigrations(MIGRATIONS);
}

/** `0001_the_road.sql`, `0002_….sql`, without a gap: the version of the schema is their count. */
export async function readMigrations(folder: URL): Promise<readonly Migration[]> {
  const files = (await readdir(folder)).filter((name) => name.endsWith(".sql")).sort();
  if (files.length === 0) throw new Error(`no migrations in ${folder.pathname}: the build did not copy them`);
  return Promise.all(files.map((file, index) => readMigration(folder, file, index + 1)));
}

async function readMigration(folder: URL, file: string, version: number): Promise<Migration> {
  const [, number, name] = /^(\d{4})_([a-z0-9_]+)\.sql$/.exec(file) ?? [];
  if (name === undefined || Number(number) !== version) {
    throw new Error(`migration ${file} is out of order: expected ${String(version).padStart(4, "0")}_name.sql`);
  }
  const bytes = await readFile(new URL(file, folder));
  return { version, name, sql: bytes.toString("utf8"), checksum: createHash("sha256").update(bytes).digest("hex") };
}

async function prepareTable(client: ClientBase): Promise<void> {
  try {
    await prepareMigrationTable(client);
  } catch (cause) {
    if ((cause as { code?: string }).code !== INSUFFICIENT_PRIVILEGE) throw cause;
    throw new SchemaRefused(
      "schema_not_permitted",
      "The database user may not create the schema `postlane`, or does not own it. Start again after the owner of the " +
        "database has run: CREATE SCHEMA postlane AUTHORIZATION <user of DATABASE_URL>",
      { cause },
    );
  }
}

const INSUFFICIENT_PRIVILEGE = "42501";

function refuseNewer(own: readonly Migration[], applied: readonly AppliedMigration[]): void {
  const newest = applied.at(-1)?.version ?? 0;
  if (newest <= own.length) return;
  throw new SchemaRefused(
    "schema_newer",
    `The schema postlane in this database has version ${newest}, and this Postlane knows versions up to ${own.length}: ` +
      "a newer Postlane was here. Install that version or a later one; a schema is never taken back.",
  );
}

function refuseChanged(own: readonly Migration[], applied: readonly AppliedMigration[]): void {
  for (const [index, { version, name, checksum }] of applied.entries()) {
    if (own[index]?.version === version && own[index].checksum === checksum) continue;
    throw new SchemaRefused(
      "schema_migration_changed",
      `Migration ${version} (${name}) was applied to this database with other content than this Postlane has ` +
        `(SHA-256 ${checksum.slice(0, 12)}… then, ${own[index]?.checksum.slice(0, 12)}… now). Install the release that ` +
        "the database was made by, or one after it; a database of a development version is best made anew.",
    );
  }
}

async function applyOne(client: ClientBase, migration: Migration): Promise<void> {
  try {
    await applyMigration(client, migration);
  } catch (cause) {
    const { message, position } = cause as { message: string; position?: string };
    const line = position === undefined ? "" : `, line ${lineAt(migration.sql, Number(position))}`;
    throw new SchemaRefused(
      "schema_migration_failed",
      `Migration ${migration.version} (${migration.name}${line}) failed and was rolled back: ${message}`,
      { cause },
    );
  }
}

function lineAt(sql: string, position: number): number {
  return sql.slice(0, position).split("\n").length;
}
