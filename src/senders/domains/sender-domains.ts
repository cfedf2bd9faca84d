// What may be done with sender domains: add, rotate, activate, remove. A key that is made is `new`; it becomes `active` when
// its record was seen in DNS, which retires the one before it of its algorithm; a `retired` key signs no more, and its
// record is to stay published for mail that is under way. Knows no DNS: who activates has looked.

import { domainToASCII } from "node:url";
import type { Pool, PoolClient } from "pg";
import { addressProblem } from "../../mail/address.ts";
import { inTransaction } from "../../postgres/transaction.ts";
import { makeKeyPairs, printPrivateKey, type DkimKeyPair } from "./dkim-key-pair.ts";
import {
  activateIfNew,
  addDomainIfNew,
  addKey,
  listKeys,
  lockDomain,
  readSealedKeys,
  type DkimKeyRow,
} from "./domain-store.ts";
import { EncryptionKeyProblem } from "./encryption-key.ts";
import { fingerprintOf, sealedUnderOf, sealKey, type EncryptionKey } from "./seal-key.ts";

export type KeyState = "new" | "active" | "retired";

export function stateOf({ activated_at, retired_at }: Pick<DkimKeyRow, "activated_at" | "retired_at">): KeyState {
  if (retired_at !== null) return "retired";
  return activated_at === null ? "new" : "active";
}

/** As A-labels in lower case; undefined when nothing can be sent from it. */
export function domainNameOf(given: string): string | undefined {
  const name = domainToASCII(given.trim().replace(/\.$/, "")).toLowerCase();
  return name !== "" && addressProblem(`a@${name}`) === undefined ? name : undefined;
}

export type DomainChange =
  | { readonly kind: "done"; readonly keys: readonly DkimKeyRow[] }
  | { readonly kind: "already_there" | "not_there" | "too_many" }
  /** Keys wait for their records already. */
  | { readonly kind: "waits"; readonly keys: readonly DkimKeyRow[] };

export interface MakingPorts {
  readonly pool: Pool;
  readonly encryptionKey: EncryptionKey;
  readonly wallMs: number;
}

/** Throws an EncryptionKeyProblem when other keys are sealed under another one. */
export async function addSenderDomain(name: string, ports: MakingPorts): Promise<DomainChange> {
  const pairs = await makeKeyPairs();
  return await inTransaction(ports.pool, async (client) => {
    await refuseOtherKey(client, ports.encryptionKey);
    if ((await addDomainIfNew(client, name)) === undefined) {
      return { kind: (await lockDomain(client, name)) === undefined ? "too_many" : "already_there" };
    }
    await addPairs(client, name, pairs, ports);
    return { kind: "done", keys: await listKeys(client, name) };
  });
}

/** A new pair beside the one that signs; one at a time. */
export async function rotateSenderDomain(name: string, ports: MakingPorts): Promise<DomainChange> {
  const pairs = await makeKeyPairs();
  return await inTransaction(ports.pool, async (client) => {
    if ((await lockDomain(client, name)) === undefined) return { kind: "not_there" };
    const waiting = (await listKeys(client, name)).filter((key) => stateOf(key) === "new");
    if (waiting.length > 0) return { kind: "waits", keys: waiting };
    await refuseOtherKey(client, ports.encryptionKey);
    await addPairs(client, name, pairs, ports);
    return { kind: "done", keys: await listKeys(client, name) };
  });
}

/** Of `selectors`, those that are still new. Undefined: there is no such domain. */
export async function activateKeys(
  pool: Pool,
  name: string,
  selectors: readonly string[],
): Promise<readonly string[] | undefined> {
  return await inTransaction(pool, async (client) => {
    if ((await lockDomain(client, name)) === undefined) return undefined;
    return await activateIfNew(client, name, selectors);
  });
}

async function addPairs(
  client: PoolClient,
  domain: string,
  pairs: readonly DkimKeyPair[],
  { encryptionKey, wallMs }: MakingPorts,
): Promise<void> {
  const taken = new Set((await listKeys(client, domain)).map(({ selector }) => selector));
  const names = selectorsFor(wallMs, taken);
  for (const { algorithm, publicKey, privateKey } of pairs) {
    const selector = names[algorithm];
    const sealed = sealKey(printPrivateKey(privateKey), { domain, selector }, encryptionKey);
    await addKey(client, { domain, selector, algorithm, public_key: publicKey, sealed_key: sealed });
  }
}

/**
 * `pl20270131-rsa` and `pl20270131-ed`: the day tells how old a key is, and a domain that is removed and added again does
 * not find its old records in caches. A second pair of a day is `pl20270131b-…`.
 */
export function selectorsFor(
  wallMs: number,
  taken: ReadonlySet<string>,
): { readonly rsa: string; readonly ed25519: string } {
  const day = new Date(wallMs).toISOString().slice(0, 10).replaceAll("-", "");
  for (let count = 1; ; count += 1) {
    const stem = `pl${day}${count === 1 ? "" : letterOf(count)}`;
    const names = { rsa: `${stem}-rsa`, ed25519: `${stem}-ed` };
    if (!taken.has(names.rsa) && !taken.has(names.ed25519)) return names;
  }
}

/** 2 → b, 26 → z, 27 → z2. */
function letterOf(count: number): string {
  return count <= 26 ? String.fromCharCode(96 + count) : `z${count - 25}`;
}

/** Keys under two encryption keys could not be opened by any one process. */
async function refuseOtherKey(client: PoolClient, encryptionKey: EncryptionKey): Promise<void> {
  const ours = fingerprintOf(encryptionKey);
  const other = (await readSealedKeys(client)).map(sealedUnderOf).find((fingerprint) => fingerprint !== ours);
  if (other === undefined) return;
  throw new EncryptionKeyProblem(
    `The DKIM keys of this database are sealed under another encryption key (${other}) than ${encryptionKey.origin} (${ours}): bring that key here, or remove the domains and add them again.`,
  );
}
