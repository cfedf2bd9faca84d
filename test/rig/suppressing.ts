// Suppressions for tests: put on the list as the doors put them, and told as the database has them.

import type { Pool } from "pg";
import { createMac } from "../../src/platform/mac.ts";
import { readSuppressionKey } from "../../src/postgres/secret-store.ts";
import type { NewSuppression } from "../../src/suppression/suppression.ts";
import { addSuppressions } from "../../src/suppression/suppression-store.ts";

/** For bulk, by hand and without an end, unless told otherwise. */
export async function suppress(
  pool: Pool,
  address: string,
  given: Partial<Omit<NewSuppression, "address">> = {},
): Promise<void> {
  const mac = createMac(await readSuppressionKey(pool));
  const usual = { scope: { kind: "bulk" }, reason: "manual", source: "test" } as const;
  await addSuppressions(pool, mac, [{ address, ...usual, ...given }]);
}

/** `scope address reason source`, in that order; an erased address is a dash. */
export async function suppressions(pool: Pool): Promise<readonly string[]> {
  const { rows } = await pool.query<{ line: string }>(
    `SELECT concat_ws(' ', scope, nullif(list, ''), coalesce(address, '-'), reason, source) AS line
     FROM postlane.suppression ORDER BY line`,
  );
  return rows.map(({ line }) => line);
}

/** Days until it ends, rounded; null: it does not. */
export async function endsInDays(pool: Pool, scope: string): Promise<number | null> {
  const { rows } = await pool.query<{ days: number | null }>(
    `SELECT round(extract(epoch FROM expires_at - clock_timestamp()) / 86400)::integer AS days
     FROM postlane.suppression WHERE scope = $1`,
    [scope],
  );
  return rows[0]!.days;
}
