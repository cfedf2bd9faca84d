// Whom it is promised not to write to is known by a hash, made here and in the database: nobody may find an address for which
// they differ. A domain beyond ASCII has no hash in the database until it is written as on the wire.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { addressProblem } from "../../src/mail/address.ts";
import { createMac } from "../../src/platform/mac.ts";
import { readSuppressionKey } from "../../src/postgres/secret-store.ts";
import { isHashable, suppressionHash, suppressionName } from "../../src/suppression/suppression-hash.ts";
import { testDatabase } from "../rig/postgres.ts";

const label = fc.constantFrom(
  "example",
  "EXAMPLE",
  "BÜCHER",
  "bu\u0308cher",
  "faß",
  "xn--bcher-kva",
  "1",
  "0x7f",
  "漢字",
  "ｅx",
);
const local = fc.constantFrom("Ann", "ÄNN", "ann+News", "o'neil", "%61", "漢", "İ", "x".repeat(64));
const spelled = fc
  .tuple(local, fc.array(label, { minLength: 2, maxLength: 4 }))
  .map(([name, labels]) => `${name}@${labels.join(".")}`);
const anyAddress = fc
  .tuple(fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 }), fc.array(label, { minLength: 2, maxLength: 3 }))
  .map(([name, labels]) => `${name}@${labels.join(".")}`);
const BATCH = 3000;

test("the database hashes what is on the wire as this program does, and nothing else", async (t) => {
  const { pool } = await testDatabase(t);
  const mac = createMac(await readSuppressionKey(pool));
  const seed = Date.now() % 1_000_000;
  const given = fc.sample(fc.oneof(spelled, anyAddress, fc.emailAddress()), { numRuns: BATCH, seed });
  const addresses = given.filter((address) => addressProblem(address) === undefined);
  const { rows } = await pool.query<{ as_given: Buffer | null; by_name: Buffer | null }>(
    `SELECT postlane.suppression_hash(address) AS as_given, postlane.suppression_hash(name) AS by_name
     FROM unnest($1::text[], $2::text[]) AS one (address, name)`,
    [addresses, addresses.map(suppressionName)],
  );
  assert.ok(addresses.length > BATCH / 3, `${addresses.length} addresses`);
  let beyondAscii = 0;
  for (const [index, address] of addresses.entries()) {
    const expected = Buffer.from(suppressionHash(address, mac));
    const { as_given: asGiven, by_name: byName } = rows[index]!;
    const words = `seed ${seed}: ${JSON.stringify(address)}`;
    if (isHashable(address)) assert.deepEqual(asGiven, expected, words);
    else assert.equal(asGiven, null, words);
    if (isHashable(suppressionName(address))) assert.deepEqual(byName, expected, words);
    else assert.equal(byName, null, words);
    if (!isHashable(address)) beyondAscii++;
  }
  assert.ok(beyondAscii > BATCH / 20, `${beyondAscii} domains beyond ASCII`);
});

test("all spellings of a domain beyond ASCII are one, and those of an ASCII domain are left alone", () => {
  const names = ["ann@BÜCHER.example", "Ann@bücher.example", "ann@bu\u0308cher.example", "ann@xn--bcher-kva.EXAMPLE"];
  assert.deepEqual(new Set(names.map(suppressionName)), new Set(["ann@xn--bcher-kva.example"]));
  assert.equal(suppressionName("@BÜCHER.example"), "@xn--bcher-kva.example");
  assert.equal(suppressionName("ann@1.2"), "ann@1.2");
  assert.equal(suppressionName("ÄNN@Example.com"), "Änn@example.com");
});
