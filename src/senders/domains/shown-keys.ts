// The keys of a domain, those of the database and those of the configuration's files together, each with its state. Private
// keys are never looked at but to read a file's public half.

import type { Pool } from "pg";
import type { Config } from "../../platform/config.ts";
import { listKeys, type DkimKeyRow } from "./domain-store.ts";
import type { CheckedKey } from "./judge-dkim.ts";
import { readKeyFiles } from "./key-files.ts";
import { stateOf } from "./sender-domains.ts";

export type DkimSettings = Pick<Config, "dkim" | "outlets">;

export interface ShownKey extends CheckedKey {
  /** Absent: it is in the database. */
  readonly file?: string;
  readonly row?: DkimKeyRow;
  /** Of a retired one: until when its record is to stay. */
  readonly keepUntil?: Date;
}

/** Of one domain, or of all. */
export async function readShownKeys(
  pool: Pool,
  config: DkimSettings,
  domain: string | null,
): Promise<readonly ShownKey[]> {
  const keptMs = retiredRecordMs(config);
  const files = readKeyFiles(config.dkim.keys.filter((key) => domain === null || key.domain === domain));
  const rows = await listKeys(pool, domain);
  return [
    ...rows.map((row) => shownRow(row, keptMs)),
    ...files.map(({ privateKey: _hidden, ...key }) => ({ ...key, state: "active", isRemovable: false }) as const),
  ];
}

function shownRow(row: DkimKeyRow, keptMs: number): ShownKey {
  const {
    domain,
    selector,
    algorithm,
    public_key: publicKey,
    retired_at: retiredAt,
    retired_for_ms: retiredForMs,
  } = row;
  return {
    domain,
    selector,
    algorithm,
    publicKey,
    state: stateOf(row),
    isRemovable: retiredForMs !== null && retiredForMs > keptMs,
    row,
    ...(retiredAt === null ? {} : { keepUntil: new Date(retiredAt.getTime() + keptMs) }),
  };
}

const RETIRED_RECORD_MS_MIN = 8 * 86_400_000;

/** For as long as a relay may still hold what was signed with it: the longest `return_window`. */
export function retiredRecordMs({ outlets }: DkimSettings): number {
  const windows = Object.values(outlets).map((outlet) => (outlet.type === "smtp" ? outlet.returnWindowMs : 0));
  return Math.max(RETIRED_RECORD_MS_MIN, ...windows);
}
