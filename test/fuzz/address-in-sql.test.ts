// The rules of an address stand in src/mail/address.ts and in the database, and nobody may find a text on which they
// differ: what the SQL door takes must be what the hand-over can send.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { addressProblem, domainOf, parseMailbox } from "../../src/mail/address.ts";
import { testDatabase } from "../rig/postgres.ts";

const pieces = [
  ...Array.from(
    "abZ09.-_+@ \"'()<>[]\\,:;\u0001\r\n\t\u007f\u00a0\u00a1\u1680\u2003\u2028\u202f\u205f\u3000\ufeff\u200béü漢😀",
  ),
  "example",
  "=?",
  ".com",
  "@example.com",
  "l".repeat(33),
  "ü".repeat(32),
  "d".repeat(63),
  "e.".repeat(60),
];
const nearlyAddress = fc.array(fc.constantFrom(...pieces), { maxLength: 8 }).map((parts) => parts.join(""));
/** PostgreSQL's texts hold no NUL and no half characters. */
const anyText = fc.string({ unit: "binary", maxLength: 30 }).filter((text) => !/\0|[\ud800-\udfff]/u.test(text));
const BATCH = 4000;

test("the database and this program give the same reason for every text", async (t) => {
  const { pool } = await testDatabase(t);
  const seed = Date.now() % 1_000_000;
  const texts = fc.sample(fc.oneof(nearlyAddress, fc.emailAddress(), anyText), { numRuns: BATCH, seed });
  const { rows } = await pool.query<{ address: string; problem: string | null; domain: string | null; boxed: string }>(
    `SELECT address, postlane.address_problem(address) AS problem, postlane.destination_of(address) AS domain,
       postlane.mailbox_address('Some One <' || address || '>') AS boxed
     FROM unnest($1::text[]) AS address`,
    [texts],
  );
  assert.equal(rows.length, BATCH);
  const possible = rows.filter((row) => row.problem === null);
  assert.ok(possible.length > BATCH / 10 && possible.length < BATCH, "the texts are of both kinds");
  for (const { address, problem, domain, boxed } of rows) {
    assert.equal(addressProblem(address) ?? null, problem, `seed ${seed}: ${JSON.stringify(address)}`);
    if (problem !== null) continue;
    assert.equal(domainOf(address), domain, JSON.stringify(address));
    assert.deepEqual(parseMailbox(`Some One <${address}>`), { kind: "mailbox", name: "Some One", address: boxed });
  }
});
