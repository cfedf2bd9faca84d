import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { makeKeyPairs, printPrivateKey, readKeyPair } from "./dkim-key-pair.ts";
import { dkimRecordOf, judgeDkimRecord, type PublishedKey } from "./dkim-record.ts";

const pairs = await makeKeyPairs();
const [ed, rsa] = pairs.map(({ algorithm, publicKey }): PublishedKey => {
  return { domain: "example.com", selector: `pl1-${algorithm}`, algorithm, publicKey };
}) as [PublishedKey, PublishedKey];

test("the record is what a resolver puts together again, and fits a zone file", () => {
  const record = dkimRecordOf(rsa);
  assert.equal(record.name, "pl1-rsa._domainkey.example.com");
  assert.equal(record.short_name, "pl1-rsa._domainkey");
  assert.match(record.value, /^v=DKIM1; k=rsa; p=MIIBIjANBgkq[A-Za-z0-9+/]+=*$/);
  const [, written = ""] = /^pl1-rsa\._domainkey\.example\.com\. IN TXT (".*")$/.exec(record.zone_line) ?? [];
  const strings = Array.from(written.matchAll(/"([^"]*)"/g), ([, text = ""]) => text);
  assert.equal(strings.join(""), record.value);
  assert.ok(strings.length === 2 && strings.every((text) => text.length <= 255));
  assert.match(dkimRecordOf(ed).value, /^v=DKIM1; k=ed25519; p=[A-Za-z0-9+/]{43}=$/);
});

test("a record of the same key, in every way that it may be written", () => {
  const p = rsa.publicKey;
  const same = [
    `v=DKIM1; k=rsa; p=${p}`,
    `v=DKIM1;k=rsa;p=${p};`,
    `p=${p}`,
    `v=DKIM1; p=${p.slice(0, 100)} ${p.slice(100)}`,
    `k=rsa; h=sha1:sha256; s=email; n=made in a hurry; p=${p.replace(/=+$/, "")}`,
    `v=DKIM1; s=*; t=s; p=${p}`,
  ];
  for (const text of same) assert.deepEqual(judgeDkimRecord(rsa, [text]), { kind: "ours", isTesting: false }, text);
  assert.deepEqual(judgeDkimRecord(rsa, ["unrelated", `v=DKIM1; p=${p}`]), { kind: "ours", isTesting: false });
  assert.deepEqual(judgeDkimRecord(rsa, [`v=DKIM1; t=s:y; p=${p}`]), { kind: "ours", isTesting: true });
  assert.equal(judgeDkimRecord(ed, [`v=DKIM1; k=ed25519; p=${ed.publicKey}`]).kind, "ours");
});

test("what is not our key, and why", () => {
  const p = rsa.publicKey;
  const table = [
    [[], "missing"],
    [["v=DKIM1; k=rsa; p="], "revoked"],
    [[`v=DKIM1; p=${p.slice(0, 200)}`], "cut off after 200"],
    [[`v=DKIM1; p=${p.replace("MIIB", "MIIC")}`], "another key"],
    [[`v=DKIM1; k=ed25519; p=${p}`], "k=ed25519 is not k=rsa"],
    [[`v=DKIM2; p=${p}`], "v=DKIM2"],
    [[`v=DKIM1; h=sha1; p=${p}`], "sha256"],
    [[`v=DKIM1; s=tlsrpt; p=${p}`], "email"],
    [[`v=DKIM1; p=${p}`, `v=DKIM1; p=${p}`], "2 keys"],
    [["v=spf1 -all"], "no p="],
    [[`v=DKIM1; p=${p}; p=${p}`], "no p="],
  ] as const;
  for (const [texts, said] of table) {
    const judged = judgeDkimRecord(rsa, texts);
    assert.ok(
      judged.kind === "wrong" ? judged.problem.includes(said) : judged.kind === said,
      `${said}: ${JSON.stringify(judged)}`,
    );
  }
});

test("whatever stands under the name, an answer is given", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "binary" })), (texts) => {
      const judged = judgeDkimRecord(rsa, texts);
      assert.notEqual(judged.kind, "ours");
    }),
  );
});

test("a pair is the same after it was written and read, and what cannot sign is refused", async () => {
  for (const pair of pairs) {
    const again = readKeyPair({ pkcs8: printPrivateKey(pair.privateKey) });
    assert.deepEqual([again.algorithm, again.publicKey], [pair.algorithm, pair.publicKey]);
    const pem = pair.privateKey.export({ format: "pem", type: "pkcs8" }).toString();
    assert.equal(readKeyPair({ pem }).publicKey, pair.publicKey);
  }
  assert.throws(() => readKeyPair({ pem: "nonsense" }));
  const ec = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "pem", type: "pkcs8" });
  assert.throws(() => readKeyPair({ pem: ec.toString() }), /type ec: RSA and Ed25519 can sign mail/);
});
