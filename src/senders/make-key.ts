// Makes a key, or the one that follows it. The secret is in the answer and nowhere else: who loses it makes another.

import type { Pool } from "pg";
import { inTransaction } from "../postgres/transaction.ts";
import { addKey, addSuccessorIfGood, endKeyWithin, type KeyRights, type KeyRow } from "./key-store.ts";
import { hashSecret, makeSecret, printKeyToken } from "./key-token.ts";

export interface MadeKey {
  readonly key: KeyRow;
  /** To be shown once. */
  readonly token: string;
}

/** `endsInMs` null: it does not end by itself. */
export async function makeKey(pool: Pool, rights: KeyRights, endsInMs: number | null = null): Promise<MadeKey> {
  const secret = makeSecret();
  const key = await addKey(pool, rights, { secretHash: hashSecret(secret), endsInMs });
  return { key, token: printKeyToken({ id: key.id, secret }) };
}

export interface Rotation {
  readonly id: number;
  /** The old one ends after so long; both are good until then. */
  readonly keptMs: number;
  readonly endsInMs: number | null;
}

/** Undefined: there is no such key, or it is not good any more. */
export async function rotateKey(
  pool: Pool,
  { id, keptMs, endsInMs }: Rotation,
): Promise<(MadeKey & { readonly old: KeyRow }) | undefined> {
  const secret = makeSecret();
  return await inTransaction(pool, async (client) => {
    const key = await addSuccessorIfGood(client, { id, secretHash: hashSecret(secret), endsInMs });
    if (key === undefined) return undefined;
    const old = await endKeyWithin(client, id, keptMs);
    return { key, token: printKeyToken({ id: key.id, secret }), old };
  });
}
