// Making campaigns over HTTP: create, edit, start, send the rest; and each refusal with what is to be done.

import assert from "node:assert/strict";
import { test } from "node:test";
import { campaignRig, NEWS } from "./http-campaign-rig.ts";
import { assertProblem, type Answer } from "./http-rig.ts";

test("a campaign is created, edited and started, and its rest is sent once it was canceled", async (t) => {
  const { ask } = await campaignRig(t);
  const created = await ask("POST", "/campaigns", NEWS);
  assert.deepEqual(created.body, { object: "campaign", id: "cmp_1", name: "march", status: "draft" });
  const edited = { object: "campaign", id: "cmp_1", name: "march", version: 2, is_new: true };
  assert.deepEqual((await ask("PATCH", "/campaigns/march", { template: "other@1" })).body, edited);
  assert.deepEqual((await ask("PATCH", "/campaigns/cmp_1", { template: "other" })).body, { ...edited, is_new: false });
  const { waves, ...started } = (await ask("POST", "/campaigns/march/start")).body;
  const running = { object: "campaign", id: "cmp_1", name: "march", status: "running" };
  assert.deepEqual(started, { ...running, accepted: 3, canary_rows: 0 });
  assert.deepEqual([waves.length, waves[0].rows, waves[0].time_zone], [1, 3, null]);
  assert.equal((await ask("POST", "/campaigns/march/cancel")).body.withdrawn, 3);
  const rest = await ask("POST", "/campaigns/march/rest", { draft: true });
  assert.deepEqual(rest.body, {
    ...running,
    id: "cmp_2",
    name: "march-rest",
    status: "draft",
    rest_of: "cmp_1",
    recipients: 3,
    stood: { canceled: 3 },
    left: {},
  });
  assertProblem(await ask("POST", "/campaigns/march/rest", { name: "march" }), EXISTS);
  const nobody = await ask("POST", "/campaigns/march/rest");
  assertProblem(nobody, REFUSED);
  assert.match(nobody.body.detail, /nobody of it is left/);
});

test("a name is a campaign's for good: the same again is 409, with the id that has it", async (t) => {
  const { ask } = await campaignRig(t);
  await ask("POST", "/campaigns", NEWS);
  const again = await ask("POST", "/campaigns", NEWS);
  assertProblem(again, EXISTS);
  assert.match(again.body.hint, /cmp_1/);
});

test("what a campaign is made of is checked, and the field to blame is named", async (t) => {
  const { ask } = await campaignRig(t);
  const wrong = (field: string, value: unknown) => ask("POST", "/campaigns", { ...NEWS, [field]: value });
  const problem = (code: string, field: string) => ({ status: 422, code, field });
  assertProblem(await wrong("list", "nobody"), problem("list_refused", "list"));
  assertProblem(await wrong("template", "nothing"), problem("template_refused", "template"));
  assertProblem(await wrong("template", "/etc"), problem("template_refused", "template"));
  const holes = await wrong("template", "needs-town");
  assertProblem(holes, problem("template_refused", "template"));
  assert.match(holes.body.detail, /the list has no column "town"/);
  assertProblem(await wrong("lane", "express"), problem("no_such_lane", "lane"));
  assertProblem(await wrong("name", "two\nlines"), problem("bad_field", "name"));
  assertProblem(await wrong("from", "nobody"), problem("bad_address", "from"));
  assertProblem(await wrong("list_name", "no name"), problem("bad_field", "list_name"));
  assertProblem(await wrong("no_unsubscribe", " "), problem("bad_field", "no_unsubscribe"));
  assertProblem(await wrong("colour", "red"), problem("bad_field", "colour"));
  assertProblem(await ask("POST", "/campaigns", { name: "march" }), problem("bad_field", "list"));
  assert.deepEqual((await ask("GET", "/campaigns")).body.data, []);
});

test("a campaign starts at a time, by local time, at a pace, with a canary; what cannot be read starts nothing", async (t) => {
  const { ask, create } = await campaignRig(t);
  const start = async (name: string, body: unknown): Promise<Answer> => {
    await create(name);
    return await ask("POST", `/campaigns/${name}/start`, body);
  };
  const year = new Date().getUTCFullYear() + 1;
  const at = `${year}-01-02T09:00:00Z`;
  const scheduled = (await start("timed", { at, pace: "50,000/hr", canary: { share: "50 %", wait: null } })).body;
  assert.deepEqual([scheduled.status, scheduled.canary_rows], ["scheduled", 2]);
  assert.deepEqual(scheduled.waves, [{ time_zone: null, due_at: new Date(at).toISOString(), rows: 3 }]);
  const local = (await start("local", { local_time: `${year}-01-02T09:00`, time_zone: "Europe/Vienna" })).body;
  assert.deepEqual(local.waves, [{ time_zone: null, due_at: `${year}-01-02T08:00:00.000Z`, rows: 3 }]);

  await create("april");
  const refused = async (body: unknown, code: string, field: string): Promise<void> =>
    assertProblem(await ask("POST", "/campaigns/april/start", body), { status: 422, code, field });
  await refused({ at: "2020-01-01T00:00:00Z" }, "bad_time", "at");
  await refused({ at, local_time: "2099-01-01T00:00" }, "bad_time", "local_time");
  await refused({ local_time: `${year}-01-02T09:00`, time_zone: "Mars" }, "bad_time", "time_zone");
  await refused({ pace: "fast" }, "bad_field", "pace");
  await refused({ canary: { share: "100 %" } }, "bad_field", "canary.share");
  await refused({ canary: {} }, "bad_field", "canary");
  await refused({ when: "now" }, "bad_field", "when");
  assert.equal((await ask("GET", "/campaigns/april")).body.status, "draft");
});

test("the whole report has versions, and the campaigns that send its rest", async (t) => {
  const { ask, create } = await campaignRig(t);
  await create("march");
  const first = (await ask("GET", "/campaigns/march/report")).body;
  assert.deepEqual([first.object, first.id, first.versions, first.rests, first.family], [...REPORT, null, [], null]);
  await ask("PATCH", "/campaigns/march", { template: "other" });
  await ask("POST", "/campaigns/march/start");
  await ask("POST", "/campaigns/march/cancel");
  await ask("POST", "/campaigns/march/rest");
  const { versions, rests, family } = (await ask("GET", "/campaigns/march/report")).body;
  assert.deepEqual(
    versions.map(({ version, messages }: { version: number; messages: number }) => [version, messages]),
    [
      [1, 0],
      [2, 0],
    ],
  );
  assert.deepEqual([rests.length, rests[0].rest_of, rests[0].books.accepted], [1, "cmp_1", 3]);
  assert.deepEqual([family.recipients, family.books.states.queued, family.books.adds_up], [3, 3, true]);
  const unknown = await ask("GET", "/campaigns/april/report");
  assertProblem(unknown, { status: 404, code: "campaign_not_found" });
});

test("what the status does not permit is 409, with what is possible instead", async (t) => {
  const { ask, create } = await campaignRig(t);
  await create("march");
  assertProblem(await ask("POST", "/campaigns/march/rest"), REFUSED);
  await ask("POST", "/campaigns/march/start");
  const started = await ask("POST", "/campaigns/march/start");
  assertProblem(started, REFUSED);
  assert.match(started.body.hint, /can be paused/);
  await ask("POST", "/campaigns/march/cancel");
  assertProblem(await ask("PATCH", "/campaigns/march", { template: "other" }), REFUSED);
  const unknown = { status: 404, code: "campaign_not_found" };
  assertProblem(await ask("PATCH", "/campaigns/april", { template: "other" }), unknown);
  for (const order of ["start", "rest"]) assertProblem(await ask("POST", `/campaigns/april/${order}`), unknown);
});

test("a key makes campaigns in its lanes and from its domains only, and one without scope operate none", async (t) => {
  const { rig, create } = await campaignRig(t);
  await create("march");
  const other = await rig.key({ scope: "operate", lanes: ["transactional"] });
  const lane = { status: 403, code: "lane_not_allowed", field: "lane" };
  assertProblem(await rig.ask("POST", "/campaigns", { key: other, body: { ...NEWS, lane: "bulk" } }), lane);
  assertProblem(await rig.ask("POST", "/campaigns/march/start", { key: other }), lane);
  assertProblem(await rig.ask("POST", "/campaigns/march/rest", { key: other }), lane);
  const bound = await rig.key({ scope: "operate", from_domains: ["shop.example"] });
  const from = { status: 403, code: "from_not_allowed", field: "from" };
  assertProblem(await rig.ask("POST", "/campaigns", { key: bound, body: NEWS }), from);
  const body = { ...NEWS, name: "april", from: "news@shop.example" };
  assert.equal((await rig.ask("POST", "/campaigns", { key: bound, body })).status, 200);
  assertProblem(await rig.ask("PATCH", "/campaigns/april", { key: bound, body: { template: "other" } }), from);
  for (const scope of ["send", "read"] as const) {
    const key = await rig.key({ scope });
    for (const [method, path] of MAKING) {
      assertProblem(await rig.ask(method, path, { key, body: {} }), { status: 403, code: "scope_not_allowed" });
    }
  }
});

const MAKING = [
  ["POST", "/campaigns"],
  ["PATCH", "/campaigns/march"],
  ["POST", "/campaigns/march/start"],
  ["POST", "/campaigns/march/rest"],
] as const;
const REPORT = ["campaign_report", "cmp_1"];
const EXISTS = { status: 409, code: "campaign_exists", field: "name" };
const REFUSED = { status: 409, code: "campaign_refused" };
