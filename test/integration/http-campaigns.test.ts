// Campaigns over HTTP: what is told of them, what may be done with them in which status and by which key.

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { EXPORTS_OPEN_MAX } from "../../src/doors/http/http-limits.ts";
import type { CampaignId } from "../../src/mail/ids.ts";
import { insertCampaign, makeRecipients, type GivenCampaign } from "../rig/campaign-list.ts";
import { until } from "../rig/lane-mail.ts";
import { assertProblem, startHttp, type HttpRig } from "./http-rig.ts";

test("a campaign is told by id and by name, with a sheet that adds up", async (t) => {
  const rig = await startHttp(t);
  const key = await rig.key({ scope: "read" });
  await givenCampaign(rig, { name: "march news", status: "running" });
  const { status, body } = await rig.ask("GET", "/campaigns/march%20news", { key });
  assert.equal(status, 200, JSON.stringify(body));
  assert.deepEqual((await rig.ask("GET", "/campaigns/cmp_1", { key })).body, body);
  assert.deepEqual(
    [body.object, body.id, body.name, body.lane, body.status, body.rows, body.books.accepted, body.books.states.queued],
    ["campaign", "cmp_1", "march news", "bulk", "running", 3, 3, 3],
  );
  assert.equal(body.books.adds_up, true);
  for (const unknown of ["nobody", "cmp_2", "cmp_9999999999", "%00", "x".repeat(90)]) {
    assertProblem(await rig.ask("GET", `/campaigns/${unknown}`, { key }), { status: 404, code: "campaign_not_found" });
  }
});

test("campaigns are listed in pages, the newest first", async (t) => {
  const rig = await startHttp(t);
  const key = await rig.key({ scope: "read" });
  assert.deepEqual((await rig.ask("GET", "/campaigns", { key })).body, { object: "list", has_more: false, data: [] });
  for (const name of ["one", "two", "three"]) await givenCampaign(rig, { name, status: "draft" });
  const first = (await rig.ask("GET", "/campaigns?limit=2", { key })).body;
  assert.deepEqual([first.has_more, ...first.data.map((each: { name: string }) => each.name)], [true, "three", "two"]);
  const last = (await rig.ask("GET", `/campaigns?limit=2&before=${first.data[1].id}`, { key })).body;
  assert.deepEqual([last.has_more, ...last.data.map((each: { name: string }) => each.name)], [false, "one"]);
  for (const query of ["limit=0", "limit=101", "limit=x", "before=x", "before=99999999999", "after=1"]) {
    assertProblem(await rig.ask("GET", `/campaigns?${query}`, { key }), { status: 400, code: "bad_parameter" });
  }
});

test("pause, resume and cancel: what is so already is fine, what the status does not permit is 409 with what is possible", async (t) => {
  const rig = await startHttp(t);
  const key = await rig.key({ scope: "operate" });
  await givenCampaign(rig, { name: "march", status: "running" });
  const order = (what: string) => rig.ask("POST", `/campaigns/march/${what}`, { key });
  const moved = { object: "campaign", id: "cmp_1", name: "march", was_so: false, withdrawn: 0 };
  assert.deepEqual((await order("pause")).body, { ...moved, status: "paused" });
  assert.deepEqual((await order("pause")).body, { ...moved, status: "paused", was_so: true });
  assert.deepEqual((await order("resume")).body, { ...moved, status: "running" });
  assert.deepEqual((await order("cancel")).body, { ...moved, status: "canceled" });
  assert.deepEqual((await order("cancel")).body, { ...moved, status: "canceled", was_so: true });
  const refused = await order("resume");
  assertProblem(refused, { status: 409, code: "campaign_refused" });
  assert.match(refused.body.detail, /the campaign is canceled: resume is not possible/);
  assert.match(refused.body.hint, /send-rest/);
  assertProblem(await rig.ask("POST", "/campaigns/april/pause", { key }), { status: 404, code: "campaign_not_found" });
});

test("the people behind a number come as CSV, and what is asked wrongly is refused", async (t) => {
  const rig = await startHttp(t);
  const key = await rig.key({ scope: "read" });
  await givenCampaign(rig, { name: "march", status: "running" });
  const { status, headers, text } = await askCsv(rig, key, "march", "queued");
  assert.deepEqual([status, headers.get("content-type")], [200, "text/csv; charset=utf-8; header=present"]);
  const [header, ...lines] = text.trimEnd().split("\r\n");
  assert.match(header!, /^line,address,state,/);
  assert.deepEqual(
    lines.map((line) => line.split(",").slice(0, 3).join(",")),
    [1, 2, 3].map((n) => `${n},user${n}@example.com,queued`),
  );
  assert.equal((await askCsv(rig, key, "march", "bounced")).text.trimEnd(), header);
  const bad = { status: 400, code: "bad_parameter" };
  for (const query of ["", "?state=nobody", "?state=queued&limit=3"]) {
    assertProblem(await rig.ask("GET", `/campaigns/march/people${query}`, { key }), bad);
  }
  const unknown = await rig.ask("GET", "/campaigns/april/people?state=sent", { key });
  assertProblem(unknown, { status: 404, code: "campaign_not_found" });
});

test("50,000 people to a slow reader: the export waits for it, memory stays flat, and who leaves gives its place back", async (t) => {
  const rig = await startHttp(t);
  const key = await rig.key({ scope: "read" });
  await givenCampaign(rig, { name: "march", status: "running" }, PEOPLE);
  const before = process.memoryUsage().rss;
  const leaving = Array.from({ length: EXPORTS_OPEN_MAX }, () => openPeople(rig, key));
  await Promise.all(leaving.map((socket) => once(socket, "readable")));
  const busy = await rig.ask("GET", "/campaigns/march/people?state=queued", { key });
  assertProblem(busy, { status: 503, code: "busy" });
  for (const socket of leaving) socket.destroy();
  const slow = await until("a place is free", async () => {
    const answer = await fetch(`${rig.url}/campaigns/march/people?state=queued`, {
      headers: { authorization: `Bearer ${key}` },
    });
    if (answer.status === 200) return answer;
    await answer.text();
    return undefined;
  });
  let [text, most] = ["", 0];
  for await (const chunk of slow.body!) {
    text += Buffer.from(chunk as Uint8Array).toString();
    most = Math.max(most, process.memoryUsage().rss);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(text.trimEnd().split("\r\n").length, PEOPLE + 1);
  const grownMb = (most - before) / 1e6;
  t.diagnostic(`memory of client and server grew by ${Math.round(grownMb)} MB`);
  assert.ok(grownMb < 100, `${grownMb} MB`);
});

test("a key of scope send sees no campaign and no list, and one of scope read changes none", async (t) => {
  const rig = await startHttp(t);
  await givenCampaign(rig, { name: "march", status: "running" });
  const forbidden = { status: 403, code: "scope_not_allowed" };
  for (const [scope, routes] of Object.entries(FORBIDDEN)) {
    const key = await rig.key({ scope: scope as "send" | "read" });
    for (const route of routes) {
      const [method, path] = route.split(" ") as [string, string];
      assertProblem(await rig.ask(method, path, { key }), forbidden);
    }
  }
  assert.equal((await rig.ask("GET", "/campaigns")).status, 401);
});

const PEOPLE = 50_000;
const READING = [
  "GET /campaigns/march/people?state=sent",
  "GET /campaigns/march/report",
  "GET /campaigns/march/preflight",
  "GET /campaigns/march/preview",
  "GET /campaigns",
  "GET /campaigns/march",
  "GET /lists",
  "GET /lists/members",
];
const OPERATING = ["pause", "resume", "cancel", "preflight", "test"].map((order) => `POST /campaigns/march/${order}`);
const FORBIDDEN = { send: [...READING, ...OPERATING], read: OPERATING };

async function givenCampaign(
  { pool }: HttpRig,
  { name, status }: Pick<GivenCampaign, "name" | "status">,
  people = 3,
): Promise<CampaignId> {
  const template = { subject: "Hello", text: "Hello {{ first_name }}" };
  const id = await insertCampaign(pool, { name, lane: "bulk", status, template });
  if (status !== "draft") {
    const rows = `SELECT n, 'user' || n || '@example.com', '{"first_name":"Ann"}' FROM generate_series(1, ${people}) AS n`;
    const client = await pool.connect();
    await makeRecipients(client, id, rows);
    client.release();
  }
  return id;
}

/** Nobody reads from it, but for what the kernel takes. */
function openPeople({ url }: HttpRig, key: string): Socket {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port) });
  socket.write(`GET /campaigns/march/people?state=queued HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${key}\r\n\r\n`);
  return socket;
}

async function askCsv({ url }: HttpRig, key: string, campaign: string, state: string) {
  const answer = await fetch(`${url}/campaigns/${campaign}/people?state=${state}`, {
    headers: { authorization: `Bearer ${key}` },
  });
  return { status: answer.status, headers: answer.headers, text: await answer.text() };
}
