// Preflight, preview and test copies over HTTP: what is found is there later, the front answers meanwhile, and what cannot be
// looked at is said with the reason.

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCampaignId } from "../../src/mail/ids.ts";
import { loadConfig } from "../../src/platform/config.ts";
import { silentLog } from "../../src/platform/log.ts";
import { readPreflight } from "../../src/preflight/preflight-store.ts";
import { openPreflights } from "../../src/processes/preflights-here.ts";
import { fillList } from "../rig/campaign-list.ts";
import { until } from "../rig/lane-mail.ts";
import { campaignRig, NEWS, type CampaignRig } from "./http-campaign-rig.ts";
import { assertProblem, countMail } from "./http-rig.ts";

test("a preflight is begun, the front answers while it goes on, and its report is there afterwards", async (t) => {
  const given = await campaignRig(t);
  const { ask, create } = given;
  await create("march");
  await create("april");
  await addPeople(given, PEOPLE);
  assertProblem(await ask("GET", "/campaigns/march/preflight"), { status: 404, code: "preflight_not_found" });
  const begun = await ask("POST", "/campaigns/march/preflight");
  const running = { object: "preflight", campaign: "cmp_1", state: "running", version: 1 };
  assert.deepEqual([begun.status, begun.body], [202, running]);
  assertProblem(await ask("POST", "/campaigns/april/preflight"), { status: 503, code: "busy" });
  const meanwhile = (await ask("GET", "/campaigns/march/preflight")).body;
  assert.deepEqual([meanwhile.state, meanwhile.report, meanwhile.error], ["running", null, null]);
  const { report, error } = await doneOf(given, "march");
  assert.equal(error, null);
  const { campaign, scope, recipients, looked_at, rendered, is_sample, size } = report;
  assert.deepEqual([campaign, scope, recipients, looked_at, rendered, is_sample], ["cmp_1", "all", ...ALL, false]);
  assert.ok(size.max >= size.mean && size.mean > 100, JSON.stringify(size));
  assert.equal(typeof report.findings[0].remedy, "string");

  const again = await until("there is room for the next", async () => {
    const answer = await ask("POST", "/campaigns/april/preflight", { sample: 100, dns: false });
    return answer.status === 202 && answer;
  });
  assert.equal(again.body.campaign, "cmp_2");
  const sample = (await doneOf(given, "april")).report;
  assert.deepEqual([sample.is_sample, sample.looked_at <= 101], [true, true]);
});

test("a preflight that its status forbids is 409; one of nobody 404, and a body that cannot be read 422", async (t) => {
  const { ask, create } = await campaignRig(t);
  await create("march");
  await ask("POST", "/campaigns/march/cancel");
  const refused = await ask("POST", "/campaigns/march/preflight");
  assertProblem(refused, { status: 409, code: "campaign_refused" });
  assert.match(refused.body.detail, /canceled: preflight is not possible/);
  const unknown = { status: 404, code: "campaign_not_found" };
  assertProblem(await ask("POST", "/campaigns/april/preflight"), unknown);
  assertProblem(await ask("GET", "/campaigns/april/preflight"), unknown);
  const bad = { status: 422, code: "bad_field" };
  assertProblem(await ask("POST", "/campaigns/march/preflight", { sample: 0 }), { ...bad, field: "sample" });
  assertProblem(await ask("POST", "/campaigns/march/preflight", { rows: 1 }), { ...bad, field: "rows" });
});

test("a thread that cannot do its work, or is stopped, leaves the reason, and the next one may begin", async (t) => {
  const given = await campaignRig(t);
  const { rig, create } = given;
  await create("march");
  await addPeople(given, PEOPLE);
  const order = { campaignId: parseCampaignId("cmp_1")!, version: 1, sampleRows: undefined, isDnsAsked: false };
  const endOf = (what: string) =>
    until(what, async () => (await readPreflight(rig.pool, order.campaignId))?.error ?? undefined);
  const configOf = (url: string) => loadConfig({ cwd: rig.dataDir, env: { DATABASE_URL: url } });
  const broken = openPreflights(configOf("postgresql://nobody@127.0.0.1:1/none"), rig.pool, silentLog);
  assert.equal(await broken.begin(order), true);
  assert.match(await endOf("its reason is kept"), /ECONNREFUSED/);
  await until("it may begin again", () => broken.begin(order));
  await broken.close();

  const stopped = openPreflights(configOf(rig.databaseUrl), rig.pool, silentLog);
  assert.equal(await stopped.begin(order), true);
  assert.equal(await stopped.begin(order), false);
  await stopped.close();
  assert.match(await endOf("it is said that it was stopped"), /the front was stopped meanwhile/);
});

test("a recipient's copy is shown as text, HTML and source, by address, by line, or the first", async (t) => {
  const { ask } = await campaignRig(t);
  await ask("PUT", "/templates/both", { subject: "For {{ first_name }}", html: "<p>Hello {{ first_name }}</p>" });
  await ask("POST", "/campaigns", { ...NEWS, template: "both" });
  const first = (await ask("GET", "/campaigns/march/preview")).body;
  assert.deepEqual(
    [first.object, first.campaign, first.recipient, first.line, first.version, first.subject, first.html],
    ["preview", "cmp_1", "ann@example.com", 2, 1, "For Ann", "<p>Hello Ann</p>"],
  );
  assert.match(first.text, /Hello Ann/);
  assert.match(first.raw, /^(?:.+\r\n)+\r\n/);
  assert.ok(first.headers.includes("To: ann@example.com"), JSON.stringify(first.headers));
  const bob = (await ask("GET", "/campaigns/march/preview?recipient=BOB@example.com")).body;
  assert.equal(bob.subject, "For Bob");
  assert.equal((await ask("GET", "/campaigns/march/preview?line=4")).body.subject, "For Cy");
  const nobody = { status: 404, code: "recipient_not_found" };
  for (const query of ["recipient=dan@example.com", "recipient=%00", "line=99"]) {
    assertProblem(await ask("GET", `/campaigns/march/preview?${query}`), nobody);
  }
  for (const query of ["line=0", "line=x", "recipient=ann@example.com&line=2", "as=raw"]) {
    assertProblem(await ask("GET", `/campaigns/march/preview?${query}`), { status: 400, code: "bad_parameter" });
  }
});

test("a copy that would be held is shown to nobody, and sent to nobody", async (t) => {
  const { ask, rig } = await campaignRig(t);
  await ask("PUT", "/templates/broken", { subject: "News", text: "{% for n in (1..2000000) %}{{ n }}{% endfor %}" });
  await ask("POST", "/campaigns", { ...NEWS, template: "broken" });
  const held = { status: 422, code: "copy_refused" };
  assertProblem(await ask("GET", "/campaigns/march/preview"), held);
  assertProblem(await ask("POST", "/campaigns/march/test", { to: "me@example.com" }), held);
  assert.deepEqual(await countMail(rig), { submissions: 0, messages: 0 });
});

test("test copies are emails to oneself; what is asked wrongly sends none", async (t) => {
  const { ask, create, rig } = await campaignRig(t);
  await create("march");
  const send = (body: unknown) => ask("POST", "/campaigns/march/test", body);
  const field = { status: 422, code: "bad_field" };
  assertProblem(await send({ to: "me@example.com", recipients: ["dan@example.com"] }), {
    ...field,
    field: "recipients",
  });
  assertProblem(await send({}), { ...field, field: "to" });
  assertProblem(await send({ to: "nobody" }), { status: 422, code: "bad_address", field: "to" });
  const many = Array.from({ length: 21 }, () => "ann@example.com");
  const tooMany = { status: 422, code: "limit_exceeded", field: "recipients" };
  assertProblem(await send({ to: "me@example.com", recipients: many }), tooMany);
  assert.deepEqual(await countMail(rig), { submissions: 0, messages: 0 });

  const { status, body } = await send({ to: "me@example.com", recipients: ["bob@example.com"] });
  assert.equal(status, 200, JSON.stringify(body));
  assert.deepEqual(body, { object: "list", data: [{ id: body.data[0]!.id, recipient: "bob@example.com" }] });
  const email = (await ask("GET", `/emails/${body.data[0]!.id}`)).body;
  assert.deepEqual([email.subject, email.to, email.lane], ["[Test] News", ["me@example.com"], "bulk"]);
  assert.equal((await send({ to: "me@example.com" })).body.data.length, 3);
  assert.equal((await ask("GET", "/campaigns/march")).body.books.accepted, 0);

  const slow = await rig.key({ scope: "operate", max_rate: 0.001 });
  await rig.ask("POST", "/campaigns/march/test", { key: slow, body: { to: "me@example.com" } });
  const limited = await rig.ask("POST", "/campaigns/march/test", { key: slow, body: { to: "me@example.com" } });
  assertProblem(limited, { status: 429, code: "rate_limited" });
  const bound = await rig.key({ scope: "operate", from_domains: ["other.example"] });
  const body2 = { to: "me@example.com" };
  const other = await rig.ask("POST", "/campaigns/march/test", { key: bound, body: body2 });
  assertProblem(other, { status: 403, code: "from_not_allowed", field: "from" });
});

const PEOPLE = 20_000;
const ALL = [PEOPLE + 3, PEOPLE + 3, PEOPLE + 3];

/** Onto the list of the first campaign. */
async function addPeople({ rig }: CampaignRig, count: number): Promise<void> {
  await fillList(
    rig.pool,
    parseCampaignId("cmp_1")!,
    `SELECT n, 'user' || n || '@d' || n % 100 || '.example', '{"email":"x","first_name":"Name"}', NULL
     FROM generate_series(1, ${count}) AS n`,
  );
}

async function doneOf({ ask }: CampaignRig, campaign: string) {
  return await until("it is done", async () => {
    const { body } = await ask("GET", `/campaigns/${campaign}/preflight`);
    return body.state !== "running" && body;
  });
}
