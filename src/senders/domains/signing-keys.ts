// What mail is signed with now: the active keys of the database and those of the configuration's files, opened, in memory.
// Looked at again every few seconds, so that a key that was activated, retired or removed is known everywhere without a
// restart. Mail never goes out unsigned because a key could not be opened: at the start that is an error; later the keys
// that were good go on signing, and a domain that has none of those answers with an error, which holds that message alone.

import type { Pool } from "pg";
import type { SigningKey, SigningKeys } from "../../compose/signing-key.ts";
import type { Clock, Timer } from "../../platform/clock.ts";
import type { Log } from "../../platform/log.ts";
import { readKeyPair } from "./dkim-key-pair.ts";
import { readActiveKeys, type SealedKeyRow } from "./domain-store.ts";
import type { KeyFromFile } from "./key-files.ts";
import { fingerprintOf, openSealed, type EncryptionKey } from "./seal-key.ts";

export interface SigningKeysAtWork extends SigningKeys {
  /** Once nothing is composed any more. */
  close(): Promise<void>;
}

export class DkimKeysLocked extends Error {
  readonly code = "dkim_keys_locked";

  constructor(problems: readonly string[]) {
    super(problems.join(" "));
    this.name = "DkimKeysLocked";
  }
}

interface Ports {
  readonly pool: Pool;
  readonly clock: Clock;
  readonly log: Log;
  /** Asked only when a key is to be opened. Throws what to do. */
  readonly readEncryptionKey: () => EncryptionKey;
  readonly fileKeys: readonly KeyFromFile[];
}

/** How long a key that was retired may still sign, and mail of a new domain go out without a signature. */
const REFRESH_MS = 5000;

/** Throws when the database fails, or an active key cannot be opened. */
export async function openSigningKeys(ports: Ports): Promise<SigningKeysAtWork> {
  const { clock, log } = ports;
  let held = openRows(await readActiveKeys(ports.pool), new Map(), ports);
  if (held.problems.size > 0) throw new DkimKeysLocked([...new Set(held.problems.values())]);
  let byDomain = arrange(held, ports.fileKeys);
  let timer: Timer | undefined;
  let refreshing: Promise<void> = Promise.resolve();
  let isClosed = false;

  async function refresh(): Promise<void> {
    try {
      const told = textOf(held.problems);
      held = openRows(await readActiveKeys(ports.pool), held.opened, ports);
      byDomain = arrange(held, ports.fileKeys);
      const now = textOf(held.problems);
      if (now !== told && now !== "") log.error("dkim_keys.locked", { detail: now });
      if (now !== told && now === "") log.info("dkim_keys.opened");
    } catch (error) {
      // What is known goes on: the database is away, and so is the mail.
      log.warn("dkim_keys.refresh_failed", { error: error instanceof Error ? error.message : String(error) });
    }
  }

  function schedule(): void {
    timer = clock.after(REFRESH_MS, () => {
      refreshing = refresh().then(() => (isClosed ? undefined : schedule()));
    });
  }
  schedule();

  return {
    keysFor(fromDomain) {
      if (byDomain.size === 0) return NO_KEYS;
      const found = nearest(byDomain, fromDomain.toLowerCase());
      if (typeof found === "string") throw new DkimKeysLocked([found]);
      return found;
    },
    async close() {
      isClosed = true;
      timer?.cancel();
      await refreshing;
    },
  };
}

interface OpenedRow {
  readonly row: SealedKeyRow;
  readonly key: SigningKey;
}

interface Held {
  /** By domain and selector. */
  readonly opened: ReadonlyMap<string, OpenedRow>;
  /** What is wrong with keys that should sign, by their domain. */
  readonly problems: ReadonlyMap<string, string>;
}

/** What was opened before is not opened again. Of a domain with a locked key, those that were good before stay. */
function openRows(rows: readonly SealedKeyRow[], before: ReadonlyMap<string, OpenedRow>, ports: Ports): Held {
  const opened = new Map<string, OpenedRow>();
  const problems = new Map<string, string>();
  let encryptionKey: EncryptionKey | undefined;
  for (const row of rows) {
    const known = before.get(nameOf(row));
    if (known?.row.sealed_key.equals(row.sealed_key)) {
      opened.set(nameOf(row), known);
      continue;
    }
    try {
      encryptionKey ??= ports.readEncryptionKey();
      opened.set(nameOf(row), { row, key: openRow(row, encryptionKey) });
    } catch (error) {
      problems.set(row.domain, error instanceof Error ? error.message : String(error));
    }
  }
  for (const [name, known] of before) {
    if (problems.has(known.row.domain) && !opened.has(name)) opened.set(name, known);
  }
  return { opened, problems };
}

function openRow(row: SealedKeyRow, encryptionKey: EncryptionKey): SigningKey {
  const { domain, selector, algorithm } = row;
  const answer = openSealed(row.sealed_key, row, encryptionKey);
  switch (answer.kind) {
    case "other_key":
      throw new Error(
        `The DKIM keys of ${domain} are sealed under another encryption key (${answer.sealedUnder}) than ${encryptionKey.origin} (${fingerprintOf(encryptionKey)}): bring that key here (dkim.encryption_key_file), or remove the domain and add it again.`,
      );
    case "damaged":
      throw new Error(damaged(row));
    case "opened": {
      const pair = readKeyPair({ pkcs8: answer.pkcs8 });
      if (pair.publicKey !== row.public_key || pair.algorithm !== algorithm) throw new Error(damaged(row));
      return { domain, selector, algorithm, privateKey: pair.privateKey };
    }
  }
}

function damaged({ domain, selector }: SealedKeyRow): string {
  return `The DKIM key ${selector} of ${domain} is damaged in the database: restore it, or remove the domain and add it again.`;
}

/** By domain; a text is why its mail cannot be signed. Of two keys with one name, the file's signs. */
type Arranged = ReadonlyMap<string, readonly SigningKey[] | string>;

function arrange({ opened, problems }: Held, fileKeys: readonly KeyFromFile[]): Arranged {
  const byName = new Map([...opened].map(([name, { key }]) => [name, key]));
  for (const { domain, selector, algorithm, privateKey } of fileKeys) {
    byName.set(nameOf({ domain, selector }), { domain, selector, algorithm, privateKey });
  }
  const byDomain = new Map<string, readonly SigningKey[] | string>(problems);
  for (const key of byName.values()) {
    const others = byDomain.get(key.domain);
    const all = typeof others === "object" ? [...others, key] : [key];
    byDomain.set(
      key.domain,
      all.toSorted((one, other) => rank(one) - rank(other)),
    );
  }
  return byDomain;
}

/** RFC 8463 §3: a verifier that stops at the first good one should have met the stronger one. */
function rank({ algorithm }: SigningKey): number {
  return algorithm === "ed25519" ? 0 : 1;
}

function nearest(byDomain: Arranged, domain: string): readonly SigningKey[] | string {
  for (let name = domain; name !== "";) {
    const found = byDomain.get(name);
    if (found !== undefined) return found;
    const dot = name.indexOf(".");
    name = dot === -1 ? "" : name.slice(dot + 1);
  }
  return NO_KEYS;
}

const NO_KEYS: readonly SigningKey[] = [];

function nameOf({ domain, selector }: { readonly domain: string; readonly selector: string }): string {
  return `${selector}._domainkey.${domain}`;
}

function textOf(problems: ReadonlyMap<string, string>): string {
  return [...new Set(problems.values())].join(" ");
}
