// How the schema in the database stands to the migrations of this version. Looks only: nothing is made, and no lock is
// taken, so that it answers also while a migration runs.

import type { ClientBase, Pool } from "pg";
import { ownMigrations } from "./migrate.ts";
import { readAppliedMigrations, readWhatIsThere } from "./migration-store.ts";

export type SchemaStanding =
  | { readonly kind: "missing" }
  | { readonly kind: "current"; readonly version: number }
  | { readonly kind: "older" | "newer"; readonly version: number; readonly ownVersion: number }
  | { readonly kind: "changed"; readonly version: number; readonly name: string };

export async function inspectSchema(on: Pool | ClientBase): Promise<SchemaStanding> {
  if (!(await readWhatIsThere(on)).hasTable) return { kind: "missing" };
  const own = await ownMigrations();
  const applied = await readAppliedMigrations(on);
  const changed = applied.find(({ checksum }, index) => own[index] !== undefined && own[index].checksum !== checksum);
  if (changed !== undefined) return { kind: "changed", version: changed.version, name: changed.name };
  const [version, ownVersion] = [applied.length, own.length];
  if (version === 0) return { kind: "missing" };
  if (version === ownVersion) return { kind: "current", version };
  return { kind: version < ownVersion ? "older" : "newer", version, ownVersion };
}
