// What mail is signed with, on a real database: keys that are activated, rotated, retired and removed are known within
// seconds; and a key that cannot be opened never makes mail go out unsigned.

import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes, sign, verify, createPublicKey } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { systemClock, type Clock } from "../../src/platform/clock.ts";
import { silentLog } from "../../src/platform/log.ts";
import { listKeys, readActiveKeys, removeDomainIfThere } from "../../src/senders/domains/domain-store.ts";
import type { EncryptionKey } from "../../src/senders/domains/seal-key.ts";
import { KeyFileUnreadable, readKeyFiles, type KeyFromFile } from "../../src/senders/domains/key-files.ts";
import {
  activateKeys,
  addSenderDomain,
  rotateSenderDomain,
  stateOf,
} from "../../src/senders/domains/sender-domains.ts";
import { isDomainSigned } from "../../src/senders/domains/signed-domain.ts";
import { DkimKeysLocked, openSigningKeys, type SigningKeysAtWork } from "../../src/senders/domains/signing-keys.ts";
import { until } from "../rig/lane-mail.ts";
import { testDatabase, type TestDatabase } from "../rig/postgres.ts";

const DAY = Date.parse("2027-01-31T09:00:00Z");

test("keys sign from their activation on, for the domains below too, Ed25519 before RSA", async (t) => {
  const { database, key, open, refresh } = await rig(t);
  const keys = await open();
  await add(database, "example.com", key);
  await refresh();
  assert.deepEqual(keys.keysFor("example.com"), [], "no record was seen yet");
  await activateAll(database, "example.com");
  await refresh();
  assert.deepEqual(namesOf(keys, "example.com"), ["pl20270131-ed ed25519", "pl20270131-rsa rsa"]);
  assert.deepEqual(namesOf(keys, "News.Example.COM"), namesOf(keys, "example.com"));
  for (const domain of ["example.net", "notexample.com", "com", ""]) assert.deepEqual(keys.keysFor(domain), []);
  for (const { domain, privateKey } of keys.keysFor("a.b.example.com")) {
    assert.equal(domain, "example.com");
    const digest = privateKey.asymmetricKeyType === "rsa" ? "sha256" : null;
    const signature = sign(digest, Buffer.from("mail"), privateKey);
    assert.ok(verify(digest, Buffer.from("mail"), createPublicKey(privateKey), signature));
  }
  await add(database, "news.example.com", key);
  await activateAll(database, "news.example.com");
  await refresh();
  assert.ok(
    keys.keysFor("x.news.example.com").every(({ domain }) => domain === "news.example.com"),
    "the nearest",
  );
});

test("a rotation: the old pair signs until the new one is active, and is retired then; a removed domain is unsigned", async (t) => {
  const { database, key, open, refresh } = await rig(t);
  const { pool } = database;
  await add(database, "example.com", key);
  await activateAll(database, "example.com");
  const keys = await open();
  const rotated = await rotateSenderDomain("example.com", { pool, encryptionKey: key, wallMs: DAY });
  assert.equal(rotated.kind, "done");
  assert.equal((await rotateSenderDomain("example.com", { pool, encryptionKey: key, wallMs: DAY })).kind, "waits");
  await refresh();
  assert.deepEqual(namesOf(keys, "example.com"), ["pl20270131-ed ed25519", "pl20270131-rsa rsa"]);
  // Of the new pair the RSA record is there first.
  assert.deepEqual(await activateKeys(pool, "example.com", ["pl20270131b-rsa", "pl20270131-rsa"]), ["pl20270131b-rsa"]);
  await refresh();
  assert.deepEqual(namesOf(keys, "example.com"), ["pl20270131-ed ed25519", "pl20270131b-rsa rsa"]);
  await activateAll(database, "example.com");
  await refresh();
  assert.deepEqual(namesOf(keys, "example.com"), ["pl20270131b-ed ed25519", "pl20270131b-rsa rsa"]);
  const states = (await listKeys(pool, "example.com")).map((row) => `${row.selector} ${stateOf(row)}`);
  assert.deepEqual(states.toSorted(), [
    "pl20270131-ed retired",
    "pl20270131-rsa retired",
    "pl20270131b-ed active",
    "pl20270131b-rsa active",
  ]);
  assert.ok(await removeDomainIfThere(pool, "example.com"));
  await refresh();
  assert.deepEqual(keys.keysFor("example.com"), []);
});

test("two who rotate at once make one new pair", async (t) => {
  const { database, key } = await rig(t);
  const { pool } = database;
  await add(database, "example.com", key);
  await activateAll(database, "example.com");
  const ports = { pool, encryptionKey: key, wallMs: DAY };
  const kinds = await Promise.all([1, 2, 3].map(async () => (await rotateSenderDomain("example.com", ports)).kind));
  assert.deepEqual(kinds.toSorted(), ["done", "waits", "waits"]);
  const added = await Promise.all([1, 2].map(async () => (await addSenderDomain("example.net", ports)).kind));
  assert.deepEqual(added.toSorted(), ["already_there", "done"]);
});

test("under a wrong encryption key nothing starts, and the error says so", async (t) => {
  const { database, key, open } = await rig(t);
  await add(database, "example.com", key);
  await open();
  await activateAll(database, "example.com");
  const wrong = anyKey("/etc/postlane/dkim.key");
  const said =
    /DKIM keys of example\.com are sealed under another encryption key \([0-9a-f]{16}\) than \/etc\/postlane\/dkim\.key \([0-9a-f]{16}\)/;
  await assert.rejects(
    open(() => wrong),
    (error) => error instanceof DkimKeysLocked && said.test(error.message),
  );
  const missing = () => {
    throw new Error("the key is not on this machine");
  };
  await assert.rejects(open(missing), /the key is not on this machine/);
  await assert.rejects(
    addSenderDomain("example.net", { pool: database.pool, encryptionKey: wrong, wallMs: DAY }),
    /sealed under another encryption key/,
  );
  await database.pool.query(
    "UPDATE postlane.dkim_key SET sealed_key = set_byte(sealed_key, 40, 1 - least(get_byte(sealed_key, 40), 1))",
  );
  await assert.rejects(open(), /The DKIM key pl20270131-\w+ of example\.com is damaged/);
});

test("a key that cannot be opened later: what was good goes on, and where nothing was good the mail is not let go", async (t) => {
  const { database, key, open, refresh } = await rig(t);
  const { pool } = database;
  let current: EncryptionKey = key;
  await add(database, "example.com", key);
  await activateAll(database, "example.com");
  const keys = await open(() => current);
  current = anyKey("another");
  await add(database, "example.net", key);
  await activateAll(database, "example.net");
  await rotateSenderDomain("example.com", { pool, encryptionKey: key, wallMs: DAY });
  await activateAll(database, "example.com");
  await refresh();
  assert.deepEqual(namesOf(keys, "example.com"), ["pl20270131-ed ed25519", "pl20270131-rsa rsa"]);
  assert.throws(() => keys.keysFor("shop.example.net"), DkimKeysLocked);
  assert.deepEqual(keys.keysFor("example.org"), [], "what is never signed is not held up");
  current = key;
  await refresh();
  assert.deepEqual(namesOf(keys, "example.com"), ["pl20270131b-ed ed25519", "pl20270131b-rsa rsa"]);
  assert.equal(keys.keysFor("shop.example.net").length, 2);
});

test("while the database is away the keys in mind go on signing", async (t) => {
  const { database, key, open, refresh } = await rig(t);
  await add(database, "example.com", key);
  await activateAll(database, "example.com");
  const keys = await open();
  await database.pool.query("ALTER TABLE postlane.dkim_key RENAME TO dkim_key_away");
  await refresh();
  assert.equal(keys.keysFor("example.com").length, 2);
  await database.pool.query("ALTER TABLE postlane.dkim_key_away RENAME TO dkim_key");
});

test("keys from files sign beside those of the database, and before one of the same name", async (t) => {
  const { database, key, open } = await rig(t);
  const file = path.join(database.dataDir, "s1.pem");
  writeFileSync(file, generateKeyPairSync("ed25519").privateKey.export({ format: "pem", type: "pkcs8" }));
  const rsa = path.join(database.dataDir, "s2.pem");
  writeFileSync(
    rsa,
    generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "pem", type: "pkcs1" }),
  );
  await add(database, "example.com", key);
  await activateAll(database, "example.com");
  const files = [
    { domain: "example.com", selector: "s1", file },
    { domain: "example.com", selector: "pl20270131-rsa", file: rsa },
    { domain: "example.net", selector: "s2", file: rsa },
  ];
  const keys = await open(() => key, readKeyFiles(files));
  assert.deepEqual(namesOf(keys, "example.com"), ["pl20270131-ed ed25519", "s1 ed25519", "pl20270131-rsa rsa"]);
  const [, , replaced] = keys.keysFor("example.com");
  assert.ok(createPublicKey(replaced!.privateKey).equals(createPublicKey(keys.keysFor("example.net")[0]!.privateKey)));
  rmSync(file);
  assert.throws(
    () => readKeyFiles(files),
    (error) => error instanceof KeyFileUnreadable && /s1 of example\.com.*ENOENT/.test(error.message),
  );
  writeFileSync(file, "no key");
  assert.throws(() => readKeyFiles(files), /expected a private key in PEM/);
});

test("whether a domain is signed: by its own key or one above it, once that is active, or by a file", async (t) => {
  const { database, key } = await rig(t);
  const isSigned = (files: readonly { readonly domain: string }[] = []) =>
    isDomainSigned(database.pool, "news.example.com", files);
  assert.equal(await isSigned(), false);
  await add(database, "example.com", key);
  assert.equal(await isSigned(), false);
  assert.equal(await isSigned([{ domain: "news.example.com" }]), true);
  await activateAll(database, "example.com");
  assert.equal(await isSigned(), true);
});

test("no private key is in the database in the clear", async (t) => {
  const { database, key } = await rig(t);
  await add(database, "example.com", key);
  await activateAll(database, "example.com");
  for (const row of await readActiveKeys(database.pool)) {
    // What every PKCS #8 of that kind begins with.
    const head = row.algorithm === "rsa" ? "2a864886f70d010101" : "2b6570";
    assert.ok(!row.sealed_key.toString("hex").includes(head));
  }
});

interface Rig {
  readonly database: TestDatabase;
  readonly key: EncryptionKey;
  open(read?: () => EncryptionKey, files?: readonly KeyFromFile[]): Promise<SigningKeysAtWork>;
  /** The next look at the database, which comes by itself every few seconds. */
  refresh(): Promise<void>;
}

async function rig(t: TestContext): Promise<Rig> {
  const database = await testDatabase(t);
  const key = anyKey("a test");
  const { clock, fire } = hurriedClock();
  return {
    database,
    key,
    async open(read = () => key, fileKeys = []) {
      const keys = await openSigningKeys({
        pool: database.pool,
        clock,
        log: silentLog,
        readEncryptionKey: read,
        fileKeys,
      });
      t.after(() => keys.close());
      return keys;
    },
    refresh: fire,
  };
}

/** Its timers ring when the test says so. */
function hurriedClock(): { readonly clock: Clock; fire(): Promise<void> } {
  const waiting = new Set<() => void>();
  const clock: Clock = {
    ...systemClock,
    after(_ms, ring) {
      waiting.add(ring);
      return { cancel: () => void waiting.delete(ring) };
    },
  };
  return {
    clock,
    async fire() {
      const rung = [...waiting];
      waiting.clear();
      for (const ring of rung) ring();
      await until("they look again later", () => waiting.size >= rung.length);
    },
  };
}

function anyKey(origin: string): EncryptionKey {
  return { secret: randomBytes(32), origin };
}

async function add({ pool }: TestDatabase, name: string, encryptionKey: EncryptionKey): Promise<void> {
  assert.equal((await addSenderDomain(name, { pool, encryptionKey, wallMs: DAY })).kind, "done");
}

async function activateAll({ pool }: TestDatabase, name: string): Promise<void> {
  const waiting = (await listKeys(pool, name)).filter((row) => stateOf(row) === "new").map(({ selector }) => selector);
  assert.ok(((await activateKeys(pool, name, waiting)) ?? []).length > 0);
}

function namesOf(keys: SigningKeysAtWork, domain: string): readonly string[] {
  return keys.keysFor(domain).map(({ selector, algorithm }) => `${selector} ${algorithm}`);
}
