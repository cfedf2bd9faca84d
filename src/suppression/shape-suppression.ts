// A suppression as programs see it, by `--json` and by HTTP, and the place in the list that the next page begins behind. Pure.

import type { SuppressionPlace, SuppressionRow } from "./suppression-store.ts";

export function shapeSuppression(row: SuppressionRow) {
  return {
    address: row.address,
    hash: row.hash,
    scope: row.scope,
    list: row.list === "" ? null : row.list,
    reason: row.reason,
    source: row.source,
    created_at: row.created_at.toISOString(),
    expires_at: row.expires_at?.toISOString() ?? null,
  };
}

/** One word, to be given back as it is. */
export function printPlace({ created_us, hash, scope, list }: SuppressionRow): string {
  return Buffer.from(JSON.stringify([created_us, hash, scope, list])).toString("base64url");
}

export function parsePlace(text: string): SuppressionPlace | undefined {
  if (text.length > PLACE_CHARS_MAX) return undefined;
  try {
    const parts: unknown = JSON.parse(Buffer.from(text, "base64url").toString());
    if (!Array.isArray(parts) || parts.length !== 4) return undefined;
    const [createdUs, hash, scope, list] = parts as readonly unknown[];
    if (!Number.isSafeInteger(createdUs) || typeof hash !== "string" || !/^[0-9a-f]{64}$/.test(hash)) return undefined;
    if (typeof scope !== "string" || typeof list !== "string" || /\0/.test(scope + list)) return undefined;
    return { createdUs: createdUs as number, hash, scope, list };
  } catch {
    return undefined;
  }
}

const PLACE_CHARS_MAX = 1000;
