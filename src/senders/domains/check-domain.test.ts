import assert from "node:assert/strict";
import { test } from "node:test";
import { zoneResolver, type Zone, type ZoneRecords } from "../../../test/rig/zone-resolver.ts";
import { checkDomain, type DomainQuestion } from "./check-domain.ts";
import { makeKeyPairs } from "./dkim-key-pair.ts";
import { dkimRecordOf } from "./dkim-record.ts";
import { isFailed, type Finding } from "./finding.ts";
import { parseIp } from "./ip-address.ts";
import type { CheckedKey } from "./judge-dkim.ts";
import { guessAddresses } from "./sending-addresses.ts";

const KEYS: readonly CheckedKey[] = (await makeKeyPairs()).map(({ algorithm, publicKey }) => {
  const selector = algorithm === "rsa" ? "pl1-rsa" : "pl1-ed";
  return { domain: "example.com", selector, algorithm, publicKey, state: "new", isRemovable: false };
});
const [ED, RSA] = KEYS as [CheckedKey, CheckedKey];
const IP = parseIp("192.0.2.1")!;

/** Everything is as it should be. */
const GREEN: Readonly<Record<string, ZoneRecords>> = {
  "example.com": { TXT: ["v=spf1 ip4:192.0.2.1 -all"], MX: ["mx.example.com"] },
  "pl1-ed._domainkey.example.com": { TXT: [dkimRecordOf(ED).value] },
  "pl1-rsa._domainkey.example.com": { TXT: [dkimRecordOf(RSA).value] },
  "_dmarc.example.com": { TXT: ["v=DMARC1; p=none; rua=mailto:dmarc@example.com"] },
  "1.2.0.192.in-addr.arpa": { PTR: ["mail.example.com"] },
  "mail.example.com": { A: ["192.0.2.1"] },
  "returns.example.com": { TXT: ["v=spf1 ip4:192.0.2.0/24 ~all"], MX: ["mx.example.com"] },
};

const QUESTION: DomainQuestion = {
  domain: "example.com",
  keys: KEYS,
  returnPathDomains: ["returns.example.com"],
  returnsDomain: "returns.example.com",
  addresses: [{ ip: IP }],
};

async function findings(changes: Zone = {}, question: Partial<DomainQuestion> = {}): Promise<readonly Finding[]> {
  return (await checkDomain({ ...QUESTION, ...question }, zoneResolver({ ...GREEN, ...changes }))).findings;
}

/** The only finding that is not in order. */
async function onlyTrouble(changes: Zone, question: Partial<DomainQuestion> = {}): Promise<Finding> {
  const troubles = (await findings(changes, question)).filter(({ status }) => status !== "ok");
  assert.equal(troubles.length, 1, JSON.stringify(troubles, null, 1));
  return troubles[0]!;
}

test("where everything is as it should be every line is ok", async () => {
  const found = await findings();
  assert.deepEqual(
    found.map(({ check, status }) => `${check} ${status}`),
    [
      "dkim ok",
      "dkim ok",
      "spf ok",
      "spf_address ok",
      "dmarc ok",
      "alignment ok",
      "ptr ok",
      "from_domain ok",
      "return_domain ok",
    ],
  );
});

test("each thing that is missing or wrong: which rule it is about, and what to publish", async () => {
  const rsaName = "pl1-rsa._domainkey.example.com";
  const gone: ZoneRecords = {};
  const table: readonly (readonly [string, Zone, Partial<Finding>, RegExp, string | undefined])[] = [
    ["no DKIM record", { [rsaName]: gone }, { check: "dkim", status: "missing" }, /5\.7\.30/, dkimRecordOf(RSA).value],
    [
      "revoked",
      { [rsaName]: { TXT: ["v=DKIM1; p="] } },
      { check: "dkim", status: "wrong" },
      /5\.7\.515/,
      dkimRecordOf(RSA).value,
    ],
    [
      "no SPF",
      { "returns.example.com": { MX: ["mx.example.com"] } },
      { check: "spf", status: "missing" },
      /5\.7\.27/,
      "v=spf1 ip4:192.0.2.1 ~all",
    ],
    [
      "two SPF records",
      { "returns.example.com": { TXT: ["v=spf1 a -all", "v=spf1 mx a ~all"], MX: ["mx.example.com"] } },
      { check: "spf", status: "wrong" },
      /5\.7\.27/,
      "v=spf1 a mx ~all",
    ],
    [
      "SPF for everybody",
      { "returns.example.com": { TXT: ["v=spf1 +all"], MX: ["mx.example.com"] } },
      { check: "spf", status: "wrong" },
      /5\.7\.27/,
      "v=spf1 ~all",
    ],
    [
      "another address",
      { "returns.example.com": { TXT: ["v=spf1 ip4:203.0.113.1 -all"], MX: ["mx.example.com"] } },
      { check: "spf_address", status: "wrong" },
      /5\.7\.27/,
      "v=spf1 ip4:203.0.113.1 ip4:192.0.2.1 -all",
    ],
    [
      "no DMARC",
      { "_dmarc.example.com": gone },
      { check: "dmarc", status: "missing" },
      /5\.7\.40/,
      "v=DMARC1; p=none; rua=mailto:dmarc@example.com",
    ],
    [
      "DMARC misspelt",
      { "_dmarc.example.com": { TXT: ["v=DMARC; p=none"] } },
      { check: "dmarc", status: "wrong" },
      /5\.7\.515/,
      "v=DMARC1; p=none; rua=mailto:dmarc@example.com",
    ],
    [
      "DMARC without reports",
      { "_dmarc.example.com": { TXT: ["v=DMARC1; p=reject;"] } },
      { check: "dmarc", status: "advice" },
      /^$/,
      "v=DMARC1; p=reject; rua=mailto:dmarc@example.com",
    ],
    [
      "no PTR",
      { "1.2.0.192.in-addr.arpa": gone },
      { check: "ptr", status: "missing" },
      /5\.7\.25/,
      "mail.example.com.",
    ],
    [
      "PTR that leads elsewhere",
      { "mail.example.com": { A: ["203.0.113.1"] } },
      { check: "ptr", status: "wrong" },
      /4\.7\.23/,
      undefined,
    ],
    [
      "no answers",
      { "example.com": gone },
      { check: "from_domain", status: "missing" },
      /Outlook/,
      "10 mail.example.com.",
    ],
    [
      "null MX",
      { "example.com": { MX: [""] } },
      { check: "from_domain", status: "wrong" },
      /Outlook/,
      "10 mail.example.com.",
    ],
    [
      "no returns",
      { "returns.example.com": { TXT: ["v=spf1 ip4:192.0.2.1 -all"] } },
      { check: "return_domain", status: "missing" },
      /Postlane/,
      "10 mail.example.com.",
    ],
  ];
  for (const [name, zone, expected, rule, value] of table) {
    const found = await onlyTrouble(zone);
    assert.deepEqual({ ...found, ...expected }, found, `${name}: ${JSON.stringify(found)}`);
    assert.match(found.rule ?? "", rule, name);
    assert.equal(found.publish[0]?.value, value, name);
    assert.equal(isFailed(found), expected.status !== "advice", name);
  }
});

test("what the DNS does not answer is not asked, and never missing", async () => {
  for (const name of Object.keys(GREEN)) {
    if (name === "example.com") continue;
    for (const code of ["ESERVFAIL", "ETIMEOUT", "EREFUSED"]) {
      const troubles = (await findings({ [name]: code })).filter(({ status }) => status !== "ok");
      assert.ok(troubles.length > 0, name);
      for (const { status, found } of troubles)
        assert.deepEqual(
          [status, found.includes(code) || found.includes("no answer")],
          ["not_asked", true],
          `${name}: ${found}`,
        );
    }
  }
});

test("SPF: too many lookups, names that lead nowhere, a mistake further down", async () => {
  const spf = async (record: string, zone: Zone = {}): Promise<Finding> =>
    (await findings({ ...zone, "returns.example.com": { TXT: [record], MX: ["mx.example.com"] } })).find(
      ({ check }) => check === "spf",
    )!;
  const includes = Array.from({ length: 11 }, (_, index) => `include:s${index}.example`);
  const zone = Object.fromEntries(includes.map((word) => [word.slice(8), { TXT: ["v=spf1 ip4:198.51.100.1 -all"] }]));
  assert.match((await spf(`v=spf1 ${includes.join(" ")} -all`, zone)).found, /asks the DNS 11 times, at most 10/);
  assert.equal((await spf(`v=spf1 ${includes.slice(1).join(" ")} -all`, zone)).status, "ok");
  assert.match((await spf("v=spf1 a:x.example a:y.example a:z.example -all")).found, /3 of the names/);
  assert.match(
    (await spf("v=spf1 include:s0.example -all", { "s0.example": { TXT: ["v=spf1 ipv4:1.2.3.4"] } })).found,
    /s0\.example: "ipv4:1\.2\.3\.4"/,
  );
  assert.match(
    (await spf("v=spf1 include:gone.example -all")).found,
    /include:gone\.example leads to a domain without/,
  );
  assert.equal((await spf("v=spf1 ip4:192.0.2.1 ?all")).publish[0]?.value, "v=spf1 ip4:192.0.2.1 ~all");
});

test("alignment: one organization, or DKIM carries it alone", async () => {
  const elsewhere = {
    returnPathDomains: ["bounces.provider.example"],
    returnsDomain: "returns.example.com",
  };
  const zone: Zone = { "bounces.provider.example": { TXT: ["v=spf1 ip4:192.0.2.1 -all"] } };
  const carried = await onlyTrouble(zone, elsewhere);
  assert.deepEqual([carried.check, carried.status], ["alignment", "advice"]);
  const unsigned = (await findings(zone, { ...elsewhere, keys: [] })).filter(isFailed);
  assert.deepEqual(
    unsigned.map(({ check, status }) => `${check} ${status}`),
    ["dkim missing", "alignment wrong"],
  );
  const strict = await onlyTrouble({
    "_dmarc.example.com": { TXT: ["v=DMARC1; p=none; aspf=s; rua=mailto:a@example.com"] },
  });
  assert.match(strict.found, /aspf=s/);
});

test("a subdomain that is signed by the domain above it: aligned, unless adkim=s asks for the same domain", async () => {
  const above = KEYS.map((key) => ({ ...key, state: "active" }) as const);
  const question = { domain: "news.example.com", keys: above, returnPathDomains: ["bounces.provider.example"] };
  const zone: Zone = {
    "news.example.com": { MX: ["mx.example.com"] },
    "bounces.provider.example": { TXT: ["v=spf1 ip4:192.0.2.1 -all"] },
  };
  assert.equal((await onlyTrouble(zone, question)).status, "advice");
  const strict = { "_dmarc.example.com": { TXT: ["v=DMARC1; p=none; adkim=s; rua=mailto:a@example.com"] } };
  const found = await onlyTrouble({ ...zone, ...strict }, question);
  assert.deepEqual([found.check, found.status, isFailed(found)], ["alignment", "wrong", true]);
});

test("a waiting Ed25519 key may wait, and retired keys keep their record for a while", async () => {
  const later = await onlyTrouble({ "pl1-ed._domainkey.example.com": {} });
  assert.deepEqual([later.status, isFailed(later)], ["missing", false]);
  const old: CheckedKey = { ...RSA, selector: "old-rsa", state: "retired" };
  const kept = await onlyTrouble({}, { keys: [...KEYS, old] });
  assert.deepEqual([kept.name, kept.status, kept.is_required], ["old-rsa._domainkey.example.com", "missing", false]);
  const over = { keys: [...KEYS, { ...old, isRemovable: true }] };
  const published = { "old-rsa._domainkey.example.com": { TXT: [dkimRecordOf(old).value] } };
  assert.match((await onlyTrouble(published, over)).found, /may be removed/);
  assert.ok((await findings({}, over)).every(({ status }) => status === "ok"));
});

test("without an address it says that it does not know; of an outlet's host it guesses, and requires nothing", async () => {
  const unknown = await onlyTrouble({}, { addresses: [] });
  assert.match(unknown.found, /--ip/);
  const outlets = [
    {
      name: "relay",
      hosts: [{ host: "mail.example.com" }, { host: "127.0.0.1" }, { host: "10.0.0.5" }, { host: "localhost" }],
    },
    { name: "other", hosts: [{ host: "203.0.113.9" }, { host: "nowhere.example" }] },
  ];
  const addresses = await guessAddresses(outlets, zoneResolver(GREEN));
  assert.deepEqual(
    addresses.map(({ ip, origin }) => [ip.text, origin]),
    [
      ["192.0.2.1", "a host of outlet relay"],
      ["203.0.113.9", "a host of outlet other"],
    ],
  );
  const guessed = await findings({}, { addresses });
  assert.ok(
    guessed.some(({ status, found }) => status === "wrong" && found.includes("203.0.113.9 (a host of outlet other)")),
  );
  assert.ok(!guessed.some(isFailed));
});
