import assert from "node:assert/strict";
import { test } from "node:test";
import { zoneResolver, type Zone } from "../../../test/rig/zone-resolver.ts";
import { namesOf, walkDmarc } from "./walk-dmarc.ts";

async function walk(domain: string, texts: Readonly<Record<string, string | readonly string[]>>) {
  const zone: Zone = Object.fromEntries(
    Object.entries(texts).map(([name, text]) => [`_dmarc.${name}`, { TXT: [text].flat() }]),
  );
  const walked = await walkDmarc(domain, zoneResolver(zone));
  return walked.kind === "walked" ? walked : assert.fail(walked.kind);
}

test("the names that are asked for, one label less each time, never more than eight", () => {
  assert.deepEqual(namesOf("a.mail.example.com"), ["a.mail.example.com", "mail.example.com", "example.com", "com"]);
  assert.deepEqual(namesOf("example.com"), ["example.com", "com"]);
  const long = namesOf("a.b.c.d.e.f.g.h.i.example.com");
  assert.deepEqual([long.length, long[1]], [8, "e.f.g.h.i.example.com"]);
});

test("the record that holds, and the domain of the organization", async () => {
  const p = "v=DMARC1; p=reject";
  const table = [
    ["example.com", { "example.com": p }, "example.com", "example.com"],
    ["news.example.com", { "example.com": p }, "example.com", "example.com"],
    ["news.example.com", { "news.example.com": p, "example.com": p }, "news.example.com", "example.com"],
    ["a.mail.example.com", { "mail.example.com": p, "example.com": p }, "example.com", "example.com"],
    ["a.mail.example.com", { com: `${p}; psd=y` }, "com", "example.com"],
    ["example.com", { com: `${p}; psd=y`, "example.com": p }, "example.com", "example.com"],
    ["a.b.example.com", { "b.example.com": `${p}; psd=n`, "example.com": p }, "b.example.com", "b.example.com"],
    ["example.com", {}, undefined, "example.com"],
  ] as const;
  for (const [domain, texts, at, organization] of table) {
    const walked = await walk(domain, texts);
    assert.deepEqual(
      [walked.record?.domain, walked.organizationalDomain],
      [at, organization],
      JSON.stringify([domain, texts]),
    );
  }
});

test("what counts as a record", async () => {
  const good = [
    "v=DMARC1; p=none",
    "v=DMARC1;p=none;",
    "v = DMARC1 ; p = QUARANTINE",
    "v=DMARC1; rua=mailto:a@example.com",
  ];
  for (const text of good) assert.ok((await walk("example.com", { "example.com": text })).record, text);
  const bad = [
    ["v=dmarc1; p=none", "does not begin"],
    ["p=none; v=DMARC1", "does not begin"],
    ["v=DMARC1", "neither"],
    ["v=DMARC1; p=maybe", "neither"],
    ["v=DMARC1; p=none; p=reject", "no list of tags"],
  ] as const;
  for (const [text, said] of bad) {
    const walked = await walk("example.com", { "example.com": text });
    assert.equal(walked.record, undefined, text);
    assert.ok(walked.ignored[0]?.problem.includes(said), `${text}: ${walked.ignored[0]?.problem}`);
  }
  const two = await walk("example.com", { "example.com": ["v=DMARC1; p=none", "v=DMARC1; p=reject"] });
  assert.match(two.ignored[0]!.problem, /2 DMARC records/);
  assert.deepEqual((await walk("example.com", { "example.com": "google-site-verification=x" })).ignored, []);
});

test("an answer that could not be had is none", async () => {
  const walked = await walkDmarc("example.com", zoneResolver({ "_dmarc.example.com": "ESERVFAIL" }));
  assert.deepEqual(walked, { kind: "failed", domain: "example.com", reason: "ESERVFAIL" });
});
