// `postlane domain` as a child process, against a real database and a name server with a made-up zone: from nothing to all
// checks green, the rotation, and what is said when something is missing.

import assert from "node:assert/strict";
import { statSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { systemClock } from "../../src/platform/clock.ts";
import { silentLog } from "../../src/platform/log.ts";
import { readEncryptionKey } from "../../src/senders/domains/encryption-key.ts";
import { openSigningKeys } from "../../src/senders/domains/signing-keys.ts";
import { until } from "../rig/lane-mail.ts";
import { jsonOf, runCommand } from "./cli-command.ts";
import { check, place, publishIn, type Checked, type Domain } from "./domain-rig.ts";

test("from nothing to all checks green, and through a rotation", async (t) => {
  const { database, zone } = await place(t);
  const keyFile = path.join(database.dataDir, "secrets", "dkim.key");
  const added = await jsonOf<Domain & { readonly encryption_key: object }>(database, ["domain", "add", "Example.COM."]);
  assert.deepEqual(added.encryption_key, { origin: keyFile, was_made: true });
  assert.equal(statSync(keyFile).mode & 0o777, 0o600);
  assert.deepEqual(
    added.keys.map(({ algorithm, state }) => [algorithm, state]),
    [
      ["ed25519", "new"],
      ["rsa", "new"],
    ],
  );
  const selectors = added.keys.map(({ selector }) => selector);
  assert.match(selectors.join(), /^pl\d{8}-ed,pl\d{8}-rsa$/);

  const nothing = await check(database);
  assert.equal(nothing.exitCode, 1);
  assert.deepEqual(nothing.checked.activated, []);
  assert.deepEqual(troublesOf(nothing.checked), [
    "dkim missing",
    "dkim missing",
    "spf missing",
    "dmarc missing",
    "alignment ok",
    "ptr missing",
    "from_domain missing",
  ]);

  const signing = await openSigningKeys({
    pool: database.pool,
    clock: systemClock,
    log: silentLog,
    readEncryptionKey: () => readEncryptionKey({ kind: "file", file: keyFile, isNamed: false }),
    fileKeys: [],
  });
  t.after(() => signing.close());
  assert.deepEqual(signing.keysFor("example.com"), []);

  // What the first look said, published word for word.
  for (const { publish } of nothing.checked.findings) for (const record of publish) publishIn(zone, record);
  zone["mail.example.com"] = { kind: "records", A: ["192.0.2.1"] };
  const green = await check(database);
  assert.deepEqual([green.exitCode, green.checked.is_well], [0, true], JSON.stringify(green.checked.findings, null, 1));
  assert.deepEqual(green.checked.activated, selectors);
  const signsWith = (): string =>
    signing
      .keysFor("news.example.com")
      .map(({ selector }) => selector)
      .join();
  await until("the dispatcher signs", () => signsWith() === selectors.join());

  const rotated = await jsonOf<Domain>(database, ["domain", "rotate", "example.com"]);
  const next = rotated.keys.filter(({ state }) => state === "new");
  assert.match(next.map(({ selector }) => selector).join(), /^pl\d{8}b?-ed,pl\d{8}b?-rsa$/);
  const early = await check(database);
  assert.equal(early.exitCode, 1, "the new record is not there");
  assert.equal(signsWith(), selectors.join(), "the old pair signs on");
  for (const { record } of next) publishIn(zone, record);
  const done = await check(database);
  assert.equal(done.exitCode, 0, JSON.stringify(done.checked.findings, null, 1));
  assert.deepEqual(done.checked.retired.toSorted(), selectors.toSorted());
  await until("the new pair signs", () => signsWith() === next.map(({ selector }) => selector).join());

  const { domains } = await jsonOf<{ readonly domains: readonly Domain[] }>(database, ["domain", "show"]);
  const retired = domains[0]!.keys.filter(({ state }) => state === "retired");
  assert.equal(retired.length, 2);
  const keptDays = (Date.parse(retired[0]!.record_kept_until!) - Date.now()) / 86_400_000;
  assert.ok(keptDays > 7.9 && keptDays <= 8, `${keptDays}`);

  await database.pool.query(
    "UPDATE postlane.dkim_key SET retired_at = retired_at - interval '9 days' WHERE retired_at IS NOT NULL",
  );
  delete zone[retired[0]!.record.name];
  assert.deepEqual(
    (await check(database)).checked.forgotten,
    [retired[0]!.selector],
    "the other one is still published",
  );
});

test("what people see: records for a zone file and for a form, each trouble with its rule and what to publish", async (t) => {
  const { database, zone } = await place(t);
  const added = await runCommand(database, ["domain", "add", "example.com"]);
  assert.equal(added.exitCode, 0, added.stderr);
  assert.match(added.stdout, /pl\d{8}-rsa \(rsa\) new: publish its record, then `postlane domain check`/);
  assert.match(
    added.stdout,
    /name {3}pl\d{8}-rsa\._domainkey\.example\.com {3}\(in a form that adds the domain: pl\d{8}-rsa\._domainkey\)/,
  );
  assert.match(
    added.stdout,
    /zone {3}pl\d{8}-rsa\._domainkey\.example\.com\. IN TXT "v=DKIM1; k=rsa; p=[\w+/]+" "[\w+/=]+"/,
  );
  assert.match(added.stdout, /Publish these records, then: postlane domain check example\.com\n$/);
  assert.match(added.stderr, /sealed under .*secrets\/dkim\.key, made now: keep a copy/);
  zone["_dmarc.example.com"] = { kind: "servfail" };
  const checked = await runCommand(database, ["domain", "check", "example.com", "--ip", "192.0.2.1"]);
  assert.equal(checked.exitCode, 1);
  assert.match(
    checked.stdout,
    /^! missing {4}dkim {2}pl\d{8}-rsa\._domainkey\.example\.com: the record of our rsa key/m,
  );
  assert.match(checked.stdout, /^! missing {4}spf {2}example\.com: has no SPF record\n +Gmail 5\.7\.27/m);
  assert.match(checked.stdout, /example\.com\. IN TXT "v=spf1 ip4:192\.0\.2\.1 ~all"/);
  assert.match(checked.stdout, /^! not asked {2}dmarc {2}_dmarc\.example\.com: could not be asked \(ESERVFAIL\)/m);
  assert.match(checked.stdout, /not yet; what is required is marked with !\n$/);
  const list = await runCommand(database, ["domain", "list"]);
  assert.match(
    list.stdout,
    /^domain +signs +waits for its record +retired\nexample\.com +– +pl\d{8}-ed, pl\d{8}-rsa +–\n$/,
  );
  const again = await runCommand(database, ["domain", "add", "example.com"]);
  assert.match(again.stderr, /example\.com is there already\. `postlane domain show example\.com`/);
  const rotated = await runCommand(database, ["domain", "rotate", "example.com"]);
  assert.match(rotated.stderr, /wait for their records already \(pl\d{8}-ed, pl\d{8}-rsa\)/);
  const activated = await runCommand(database, ["domain", "activate", "example.com"]);
  assert.match(activated.stdout, /^pl\d{8}-ed signs from now on, everywhere within 5 s\npl\d{8}-rsa signs/);
  const removed = await runCommand(database, ["domain", "remove", "example.com"]);
  assert.match(removed.stdout + removed.stderr, /is removed with its keys.*\nLeave its records in the DNS for 8 days/);
  const unknown = await runCommand(database, ["domain", "rotate", "example.com"]);
  assert.deepEqual([unknown.exitCode, /There is no domain example\.com/.test(unknown.stderr)], [1, true]);
  assert.equal((await runCommand(database, ["domain", "check", "example.com", "--ip", "localhost"])).exitCode, 2);
});

test("a CNAME is followed, and a record of another key is named", async (t) => {
  const { database, zone } = await place(t);
  const { keys } = await jsonOf<Domain>(database, ["domain", "add", "example.com"]);
  const [ed, rsa] = keys;
  zone[rsa!.record.name] = { kind: "records", CNAME: "keys.provider.example" };
  publishIn(zone, { ...rsa!.record, name: "keys.provider.example" });
  publishIn(zone, { ...ed!.record, value: "v=DKIM1; k=ed25519; p=" });
  const { checked } = await check(database);
  assert.deepEqual(checked.activated, [rsa!.selector]);
  assert.match(checked.findings.find(({ name }) => name === ed!.record.name)!.found, /revoked/);
});

function troublesOf({ findings }: Checked): readonly string[] {
  return findings.map(({ check: about, status }) => `${about} ${status}`);
}
