import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { chmodSync, chownSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import fc from "fast-check";
import {
  EncryptionKeyProblem,
  isReadableByOthers,
  readEncryptionKey,
  readOrMakeEncryptionKey,
} from "./encryption-key.ts";
import { fingerprintOf, openSealed, sealedUnderOf, sealKey, type EncryptionKey } from "./seal-key.ts";

const KEY: EncryptionKey = { secret: randomBytes(32), origin: "a test" };
const NAME = { domain: "example.com", selector: "pl1-rsa" };

test("what is sealed is opened under the same key and name, and nowhere else", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 2000 }), (secret) => {
      const sealed = sealKey(secret, NAME, KEY);
      const opened = openSealed(sealed, NAME, KEY);
      assert.ok(opened.kind === "opened" && opened.pkcs8.equals(secret));
      assert.notDeepEqual(sealed, sealKey(secret, NAME, KEY), "never twice the same");
      for (const other of [
        { ...NAME, domain: "example.net" },
        { ...NAME, selector: "pl2-rsa" },
      ]) {
        assert.equal(openSealed(sealed, other, KEY).kind, "damaged");
      }
    }),
    { numRuns: 50 },
  );
});

test("a wrong key is told from a damaged row", () => {
  const sealed = sealKey(Buffer.from("secret"), NAME, KEY);
  const other: EncryptionKey = { secret: randomBytes(32), origin: "another" };
  assert.deepEqual(openSealed(sealed, NAME, other), { kind: "other_key", sealedUnder: fingerprintOf(KEY) });
  assert.equal(sealedUnderOf(sealed), fingerprintOf(KEY));
  for (let at = 9; at < sealed.length; at += 1) {
    const bent = Buffer.from(sealed);
    bent[at]! ^= 1;
    assert.equal(openSealed(bent, NAME, KEY).kind, "damaged", `octet ${at}`);
  }
  for (const text of ["", "x", "\u0001short"]) assert.equal(openSealed(Buffer.from(text), NAME, KEY).kind, "damaged");
  assert.ok(!sealed.includes(KEY.secret) && !sealed.includes("secret"));
});

test("a key that is given: base64 or hexadecimal of 32 octets", () => {
  for (const text of [
    KEY.secret.toString("base64"),
    KEY.secret.toString("hex"),
    ` ${KEY.secret.toString("base64url")}\n`,
  ]) {
    assert.deepEqual(readEncryptionKey({ kind: "given", text }).secret, KEY.secret);
  }
  const short = { kind: "given", text: "c2hvcnQ=" } as const;
  assert.throws(() => readEncryptionKey(short), /no encryption key in dkim\.encryption_key: .*openssl rand -base64 32/);
});

test("a file that is named must be there; the one of the data directory is made once, for its owner alone", (t) => {
  const folder = temporaryFolder(t);
  const file = path.join(folder, "secrets", "dkim.key");
  assert.throws(
    () => readOrMakeEncryptionKey({ kind: "file", file, isNamed: true }),
    /Make it once: \(umask 077; openssl/,
  );
  const place = { kind: "file", file, isNamed: false } as const;
  assert.throws(
    () => readEncryptionKey(place),
    (error) => error instanceof EncryptionKeyProblem && error.isMissing,
  );
  const made = readOrMakeEncryptionKey(place);
  assert.ok(made.wasMade);
  assert.deepEqual([statSync(file).mode & 0o777, statSync(path.dirname(file)).mode & 0o777], [0o600, 0o700]);
  assert.deepEqual(readdirSync(path.dirname(file)), ["dkim.key"], "nothing is left beside it");
  const text = readFileSync(file, "utf8");
  assert.deepEqual(readOrMakeEncryptionKey(place), { key: made.key, wasMade: false });
  assert.equal(readFileSync(file, "utf8"), text);
  assert.equal(isReadableByOthers(place), false);
  chmodSync(file, 0o644);
  assert.equal(isReadableByOthers(place), true);
});

test("what root makes belongs to whom the data directory belongs to", { skip: process.getuid?.() !== 0 }, (t) => {
  const folder = temporaryFolder(t);
  const service = 54_321;
  chownSync(folder, service, service);
  const file = path.join(folder, "secrets", "dkim.key");
  assert.ok(readOrMakeEncryptionKey({ kind: "file", file, isNamed: false }).wasMade);
  for (const each of [file, path.dirname(file)]) {
    const { uid, gid } = statSync(each);
    assert.deepEqual([uid, gid], [service, service], each);
  }
});

test("a file that is something else is never written over", (t) => {
  const file = path.join(temporaryFolder(t), "dkim.key");
  for (const text of ["", "not a key\n", "x".repeat(10_000)]) {
    writeFileSync(file, text);
    assert.throws(() => readOrMakeEncryptionKey({ kind: "file", file, isNamed: false }), EncryptionKeyProblem);
    assert.equal(readFileSync(file, "utf8"), text);
  }
});

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), "postlane-seal-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
