// Each finding of a preflight, produced by a campaign that has that fault on a real database; who is looked at in which status;
// samples; and how long sending will take. A finding that no test here produces, or that the guide does not have, fails.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, test, type TestContext } from "node:test";
import type { Pool } from "pg";
import { findCampaign, type CampaignRow } from "../../src/campaigns/campaign-store.ts";
import type { CampaignId } from "../../src/mail/ids.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { loadConfig } from "../../src/platform/config.ts";
import { inTransaction } from "../../src/postgres/transaction.ts";
import { FINDINGS, type FindingCode } from "../../src/preflight/finding-catalogue.ts";
import {
  preflightCampaign,
  preflightProblem,
  type PreflightOptions,
  type PreflightPorts,
} from "../../src/preflight/preflight-campaign.ts";
import type { PreflightReport } from "../../src/preflight/preflight-report.ts";
import { beginPreflight, keepPreflight, readPreflight } from "../../src/preflight/preflight-store.ts";
import { spreadOver } from "../../src/preflight/recipient-store.ts";
import type { DnsResolver } from "../../src/senders/domains/dns-answer.ts";
import { insertCampaign, listRecipients, makeRecipients } from "../rig/campaign-list.ts";
import { testDatabase, type TestDatabase } from "../rig/postgres.ts";
import { suppress } from "../rig/suppressing.ts";
import { projectRoot } from "../tidy/source-tree.ts";

/** With a page to unsubscribe by, and nothing shared. */
const WELL = `
from: "Shop <shop@shop.example>"
public_url: https://mail.shop.example
outlets: { relay: { type: smtp, hosts: ["127.0.0.1:1"] }, second: { type: smtp, hosts: ["127.0.0.1:2"] } }
lanes: { bulk: { outlets: [relay] }, transactional: { outlets: [second] } }
`;
const GOOD = {
  from: "News <news@shop.example>",
  subject: "News for {{ first_name }}",
  text: "Hello {{ first_name }}!\n{{ unsubscribe_url }}\n",
  html: '<p>Hello {{ first_name }}!</p><address>Shop, Road 1</address><a href="{{ unsubscribe_url }}">Unsubscribe</a>',
};

const PEOPLE = `SELECT n, 'p' || n || '@d' || n || '.example', json_build_object('first_name', 'Ann ' || n)
  FROM generate_series(1, $1::integer) AS n`;

const produced = new Set<FindingCode>();

function settingsOf({ dataDir }: TestDatabase, yaml: string) {
  writeFileSync(path.join(dataDir, "postlane.yaml"), yaml);
  return loadConfig({ cwd: dataDir, env: {}, hostname: "test.example" });
}

interface Given {
  readonly template?: Readonly<Record<string, unknown>>;
  readonly yaml?: string;
  readonly people?: number;
  /** Of the only recipient, in place of `people`. */
  readonly data?: Readonly<Record<string, unknown>>;
  readonly ports?: Partial<PreflightPorts>;
  readonly options?: PreflightOptions;
  readonly prepare?: (pool: Pool, id: CampaignId) => Promise<unknown>;
}

async function draftOf(pool: Pool, { template = {}, people = 3, data, prepare }: Given): Promise<CampaignRow> {
  const whole = Object.fromEntries(Object.entries({ ...GOOD, ...template }).filter(([, part]) => part !== undefined));
  const id = await insertCampaign(pool, {
    name: "news",
    lane: "bulk",
    status: "draft",
    template: whole,
    list: "weekly",
  });
  await inTransaction(pool, async (client) => {
    if (data === undefined) await listRecipients(client, id, PEOPLE, [people]);
    else await listRecipients(client, id, "SELECT 1, 'p1@d1.example', $1::text", [JSON.stringify(data)]);
  });
  await prepare?.(pool, id);
  return (await findCampaign(pool, "", id))!;
}

async function preflightOf(t: TestContext, given: Given): Promise<PreflightReport> {
  const database = await testDatabase(t);
  const campaign = await draftOf(database.pool, given);
  const settings = settingsOf(database, given.yaml ?? WELL);
  const ports = { pool: database.pool, clock: systemClock, settings, ...given.ports };
  const report = await preflightCampaign(ports, campaign, given.options);
  for (const { code } of report.findings) produced.add(code);
  return report;
}

const codesOf = ({ findings }: PreflightReport): readonly string[] => findings.map(({ code }) => code);

const html = (more: string) => ({ html: GOOD.html + more });

/** What is found beside a missing DKIM key, which all of them miss. */
const CASES: Readonly<Record<string, Given & { readonly found: readonly (readonly [FindingCode, number])[] }>> = {
  "a campaign that is well": { found: [] },
  "an empty list": { people: 0, found: [["no_recipients", 1]] },
  "a variable without a column": {
    template: { text: "{{ firstname }} {{ unsubscribe_url }}" },
    found: [["column_missing", 1]],
  },
  "an empty cell": { data: { first_name: " " }, found: [["cell_empty", 1]] },
  "a message that cannot be rendered": { data: { first_name: "a\u0007b" }, found: [["render_failed", 1]] },
  "Liquid in the data": { data: { first_name: "{{ name }}" }, found: [["liquid_unfilled", 1]] },
  "a subject that is empty": {
    template: { subject: "{{ first_name | default: '' }}" },
    data: { first_name: "" },
    found: [
      ["cell_empty", 1],
      ["subject_empty", 1],
    ],
  },
  "a long subject": { template: { subject: "x".repeat(79) }, found: [["subject_long", 3]] },
  "no text part": { template: { text: undefined }, found: [["text_missing", 1]] },
  "HTML that Gmail clips": { template: html("x".repeat(105_000)), found: [["html_clipped", 3]] },
  "a large message": {
    template: { attachments: [{ filename: "a.bin", bytes: 8_000_000 }] },
    prepare: (pool) =>
      pool.query(
        "INSERT INTO postlane.attachment (content_id, place, octets) SELECT max(id), 1, decode(repeat('00', 8000000), 'hex') FROM postlane.content",
      ),
    found: [["message_large", 3]],
  },
  "a header field twice": {
    template: { headers: { Precedence: "bulk", precedence: "list" } },
    found: [["header_double", 1]],
  },
  "no page to unsubscribe by": {
    yaml: WELL.replace(/public_url.*\n/, ""),
    template: { text: "Hello", html: "<address>Road 1</address>" },
    found: [["unsubscribe_missing", 1]],
  },
  "nobody can unsubscribe, on a person's word": {
    template: { text: "Hello", html: "<address>Road 1</address>" },
    prepare: (pool, id) => pool.query("UPDATE postlane.campaign SET no_unsubscribe = 'safety' WHERE id = $1", [id]),
    found: [["unsubscribe_waived", 1]],
  },
  "nothing leaves this machine": {
    yaml: 'from: "Shop <shop@shop.example>"\n',
    template: { text: "Hello", html: "<address>Road 1</address>" },
    found: [
      ["unsubscribe_not_offered", 1],
      ["outlets_shared", 1],
    ],
  },
  "no visible link to unsubscribe": {
    template: { text: "Hello", html: "<address>Road 1</address>" },
    found: [["unsubscribe_invisible", 1]],
  },
  "a List-Unsubscribe without one click": {
    template: { headers: { "List-Unsubscribe": "<https://shop.example/leave>" } },
    found: [["one_click_missing", 1]],
  },
  "no postal address": {
    template: { html: '<a href="{{ unsubscribe_url }}">x</a>' },
    found: [["postal_address_unseen", 1]],
  },
  "links that lead nowhere": {
    template: html(
      '<a href="shop/now">x</a><a href="javascript:x()">x</a><a href="">x</a><a href="http://shop.example">x</a>',
    ),
    found: [
      ["link_broken", 2],
      ["link_empty", 1],
      ["link_insecure", 1],
    ],
  },
  "links that are filled in": {
    template: html('<a href="{{ first_name }}">x</a><a href="https://{{ first_name }}/">y</a>'),
    data: { first_name: "localhost" },
    found: [
      ["link_broken", 1],
      ["link_private", 1],
    ],
  },
  "images that are not shown": {
    template: html('<img src="http://shop.example/a.png"><img src="cid:logo"><img src="https://10.0.0.1/a.png">'),
    found: [
      ["link_private", 1],
      ["image_insecure", 1],
      ["image_missing", 1],
    ],
  },
  "a return path of others": {
    yaml: WELL.replace('hosts: ["127.0.0.1:1"]', "$&, return_path: verp").concat(
      "returns: { domain: bounces.other.example }\n",
    ),
    found: [["from_unaligned", 1]],
  },
  "rows that were left out, and who is suppressed": {
    prepare: async (pool, id) => {
      await pool.query("UPDATE postlane.list_import SET rejected = 7, doubled = 1");
      await pool.query(
        `INSERT INTO postlane.left_out (import_id, line, kind, raw, reason)
         SELECT max(id), n, CASE n WHEN 9 THEN 'double' ELSE 'rejected' END, 'row ' || n, 'no address'
         FROM postlane.list_import, generate_series(2, 9) AS n GROUP BY n`,
      );
      await suppress(pool, "p2@d2.example");
      assert.ok(id > 0);
    },
    found: [
      ["rows_rejected", 7],
      ["rows_doubled", 1],
      ["suppressed", 1],
    ],
  },
};

for (const [name, { found, ...given }] of Object.entries(CASES)) {
  test(`${name}: ${found.map(([code]) => code).join(", ") || "nothing"}`, async (t) => {
    const report = await preflightOf(t, given);
    const counted = report.findings
      .filter(({ code }) => code !== "from_unsigned")
      .map(({ code, count }) => [code, count] as const);
    assert.deepEqual(Object.fromEntries(counted), Object.fromEntries(found));
    const isGrave = found.some(([code]) => FINDINGS[code].severity === "stop");
    assert.equal(report.must_stop, isGrave);
  });
}

test("examples have line, address and detail, five at most", async (t) => {
  const report = await preflightOf(t, { template: { subject: "x".repeat(79) }, people: 8 });
  const { count, examples, severity } = report.findings.find(({ code }) => code === "subject_long")!;
  assert.equal(count, 8);
  assert.equal(severity, "warn");
  assert.equal(examples.length, 5);
  assert.deepEqual(examples[1], { line: 2, address: "p2@d2.example", detail: `79 characters: ${"x".repeat(79)}` });
});

test("a template that does not parse, and one that is from nobody in the world", async (t) => {
  const broken = await preflightOf(t, { template: { text: "{% if %}" } });
  assert.deepEqual(codesOf(broken), ["template_broken"]);
  assert.equal(broken.size, null);
  const inside = await preflightOf(t, { template: { from: "News <news@localhost.localdomain>" } });
  assert.deepEqual(codesOf(inside), ["from_invalid"]);
});

test(
  "a loop within loops ends by Liquid's limits, and a slow template by the preflight's",
  { timeout: 60_000 },
  async (t) => {
    const text = "{% for a in (1..3000) %}{% for b in (1..3000) %}{{ a }}{% endfor %}{% endfor %}{{ unsubscribe_url }}";
    const bomb = await preflightOf(t, { template: { text } });
    assert.deepEqual(codesOf(bomb).slice(0, 2), ["render_failed", "render_slow"]);
    let nowMs = 0;
    const clock = { monotonicMs: () => (nowMs += 9000), wallMs: () => 0 };
    const slow = await preflightOf(t, { ports: { clock }, people: 9 });
    assert.deepEqual(codesOf(slow).slice(0, 2), ["render_ended", "render_slow"]);
    assert.equal(slow.looked_at, 3);
    assert.equal(slow.is_sample, true);
  },
);

test("the DNS is asked when a resolver comes in", async (t) => {
  const none = () => Promise.reject(Object.assign(new Error("none"), { code: "ENOTFOUND" }));
  const resolver: DnsResolver = {
    resolveTxt: (name) => (name === "_dmarc.shop.example" ? Promise.resolve([["v=DMARC1; p=none"]]) : none()),
    resolveMx: () => Promise.reject(Object.assign(new Error("silence"), { code: "ESERVFAIL" })),
    resolve4: none,
    resolve6: none,
    resolvePtr: none,
  };
  const report = await preflightOf(t, { ports: { resolver } });
  assert.equal(report.is_dns_asked, true);
  const dns = codesOf(report).filter((code) => code.startsWith("dns_"));
  assert.deepEqual(dns, ["dns_unmet", "dns_unanswered", "dns_advice"]);
  const [unmet] = report.findings.filter(({ code }) => code === "dns_unmet");
  assert.match(unmet!.examples[0]!.detail, /^dkim _domainkey\.shop\.example: no key signs mail/);
});

// ---- who is looked at ------------------------------------------------------------------------------------------------

test("of a running campaign those are looked at of whom no message is made yet", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const campaign = await draftOf(pool, { people: 0 });
  await inTransaction(pool, (client) => makeRecipients(client, campaign.id, PEOPLE, [2]));
  await inTransaction(pool, (client) => listRecipients(client, campaign.id, PEOPLE.replace("'p'", "'later'"), [5]));
  const wave = `SELECT postlane.add_wave($1, $2, $3, now(), 0, (SELECT max(n) FROM postlane.recipient))`;
  await pool.query("UPDATE postlane.recipient SET time_zone = 'Europe/Berlin' WHERE address LIKE 'later1@%'");
  await pool.query(wave, [campaign.id, "zone", "Europe/Berlin"]);
  await pool.query("UPDATE postlane.campaign SET status = 'running' WHERE id = $1", [campaign.id]);
  const ports = { pool, clock: systemClock, settings: settingsOf(database, WELL) };
  const running = (await findCampaign(pool, "", campaign.id))!;
  const report = await preflightCampaign(ports, running);
  const { scope, recipients, looked_at, rendered } = report;
  assert.deepEqual(
    { scope, recipients, looked_at, rendered },
    { scope: "not_made", recipients: 1, looked_at: 1, rendered: 1 },
  );
  await pool.query(wave, [campaign.id, "no_zone", null]);
  const rest = await preflightCampaign(ports, running);
  // Two who have a message have no zone either.
  assert.equal(rest.looked_at, 1 + 4 + 2);
});

test("a campaign whose list is read, and one that is over, are refused with what is possible", () => {
  for (const status of ["draft", "scheduled", "running", "paused"] as const)
    assert.equal(preflightProblem(status), undefined);
  assert.match(preflightProblem("importing")!, /wait for the end of the import/);
  assert.match(preflightProblem("canceled")!, /send-rest/);
  assert.match(preflightProblem("finished")!, /send-rest/);
});

test("a sample is spread evenly over the list, gaps in its numbers and all", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const campaign = await draftOf(pool, { people: 2000 });
  await pool.query("SELECT nextval(pg_get_serial_sequence('postlane.recipient', 'n')) FROM generate_series(1, 100000)");
  const more = PEOPLE.replace("'p'", "'q'");
  await inTransaction(pool, (client) => listRecipients(client, campaign.id, more, [2000]));
  const ports = { pool, clock: systemClock, settings: settingsOf(database, WELL) };
  const report = await preflightCampaign(ports, campaign, { sampleRows: 400 });
  assert.equal(report.recipients, 4000);
  assert.equal(report.looked_at, 400);
  assert.equal(report.is_sample, true);
  const upto = 1_000_000;
  const stretch = { scope: "everyone", time_zone: null, after_n: 0, upto_n: upto, rows: 4000 } as const;
  const numbers = await spreadOver(pool, campaign.list_id, stretch, 400 / 4000);
  const early = numbers.filter((n) => n <= 2000);
  assert.equal(early.length, 200);
  const distances = new Set(early.slice(1).map((n, index) => n - early[index]!));
  assert.deepEqual([...distances], [10]);
});

// ---- how long --------------------------------------------------------------------------------------------------------

test("how long it takes is measured, bounded by pace and max_rate, or not known", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const campaign = await draftOf(pool, { people: 100 });
  const settings = settingsOf(database, WELL);
  const durationOf = async (row: CampaignRow = campaign, given = settings) =>
    (await preflightCampaign({ pool, clock: systemClock, settings: given }, row)).duration;
  const unknown = { seconds: null, messages: 100, rate_per_s: null, basis: "not_measured", measured_by: null };
  assert.deepEqual(await durationOf(), unknown);
  const pulse = JSON.stringify({ outlets: [{ name: "relay", pace_per_s: 20 }] });
  await pool.query(
    `INSERT INTO postlane.lease (lane_id, holder, boot_id, deadline, pulse)
     SELECT $1, holder, 'boot', now() + interval '1 h', $2 FROM unnest(ARRAY['one', 'two']) AS holder`,
    [campaign.lane_id, pulse],
  );
  const byGovernor = { seconds: 3, messages: 100, rate_per_s: 40, basis: "governor", measured_by: null };
  assert.deepEqual(await durationOf(), byGovernor);
  const paced = { ...campaign, pace_per_s: 4 };
  const byPace = { seconds: 25, messages: 100, rate_per_s: 4, basis: "pace", measured_by: null };
  assert.deepEqual(await durationOf(paced), byPace);
  const earlier = await insertCampaign(pool, { name: "earlier", lane: "bulk", status: "running", template: GOOD });
  await inTransaction(pool, (client) => makeRecipients(client, earlier, PEOPLE, [1000]));
  await pool.query(
    "UPDATE postlane.campaign SET status = 'finished', started_at = now() - interval '500 s', finished_at = now() WHERE id = $1",
    [earlier],
  );
  await pool.query("UPDATE postlane.campaign_wave SET due_at = now() - interval '500 s' WHERE campaign_id = $1", [
    earlier,
  ]);
  const measured = { seconds: 50, messages: 100, rate_per_s: 2, basis: "finished_campaign", measured_by: "earlier" };
  assert.deepEqual(await durationOf(), measured);
  assert.deepEqual(await durationOf(paced), measured);
  const limited = settingsOf(database, WELL.replace('hosts: ["127.0.0.1:1"]', '$&, max_rate: "1/s"'));
  const byRate = { seconds: 100, messages: 100, rate_per_s: 1, basis: "max_rate", measured_by: null };
  assert.deepEqual(await durationOf(campaign, limited), byRate);
});

// ---- what is kept ----------------------------------------------------------------------------------------------------

test("the latest preflight is kept with its version, and one under way is told from one that has ended", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const campaign = await draftOf(pool, {});
  assert.equal(await readPreflight(pool, campaign.id), undefined);
  await beginPreflight(pool, campaign.id, campaign.version);
  assert.equal((await readPreflight(pool, campaign.id))!.finished_at, null);
  const report = await preflightCampaign({ pool, clock: systemClock, settings: settingsOf(database, WELL) }, campaign);
  await keepPreflight(pool, campaign.id, { report });
  const kept = (await readPreflight(pool, campaign.id))!;
  assert.deepEqual(kept.report, report);
  assert.equal(kept.version, 1);
  await beginPreflight(pool, campaign.id, 2);
  await keepPreflight(pool, campaign.id, { error: "the database went away" });
  const failed = (await readPreflight(pool, campaign.id))!;
  assert.equal(failed.report, null);
  assert.equal(failed.error, "the database went away");
});

// ---- the catalogue ---------------------------------------------------------------------------------------------------

test("the guide has every finding with its severity, and no other", () => {
  const guide = readFileSync(path.join(projectRoot, "docs/guides/preflight.md"), "utf8");
  const rows = [...guide.matchAll(/^\| `(\w+)` \| (stop|warn|info) \|/gm)].map(([, code, severity]) => [
    code,
    severity,
  ]);
  assert.deepEqual(
    rows,
    Object.entries(FINDINGS).map(([code, { severity }]) => [code, severity]),
  );
});

after(() => {
  const missing = Object.keys(FINDINGS).filter((code) => !produced.has(code as FindingCode));
  assert.deepEqual(missing, [], "no test here produces these findings");
});
