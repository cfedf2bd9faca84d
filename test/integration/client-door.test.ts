// The client with the real HTTP door of a front: everything that it can do, and fifty emails at once whose answers are cut.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { createClient, PostlaneError, type PostlaneClient } from "../../src/client/client.ts";
import { makeKey } from "../../src/senders/make-key.ts";
import { startCuttingHttpProxy, type HttpCut } from "../rig/cutting-http-proxy.ts";
import { until } from "../rig/lane-mail.ts";
import { testDatabase, type TestDatabase } from "../rig/postgres.ts";
import { endWithTest, startCommand } from "./cli-command.ts";
import { SITE_RIGHTS } from "../rig/key-rights.ts";

interface Rig {
  readonly database: TestDatabase;
  readonly key: string;
  readonly door: { readonly host: string; readonly port: number };
  readonly client: PostlaneClient;
}

async function startRig(t: TestContext): Promise<Rig> {
  const database = await testDatabase(t);
  const { token } = await makeKey(database.pool, SITE_RIGHTS);
  const front = startCommand(database, ["front"], { POSTLANE_LISTEN__SMTP: "off" });
  front.stderr!.resume();
  endWithTest(t, front);
  const http = await until("the front listens", () => addressOfFront(database.dataDir));
  const [host = "", port] = http.split(":");
  const client = createClient({ baseUrl: `http://${http}`, key: token });
  return { database, key: token, door: { host, port: Number(port) }, client };
}

function addressOfFront(dataDir: string): string | undefined {
  try {
    return (JSON.parse(readFileSync(path.join(dataDir, "run", "front.json"), "utf8")) as { http: string }).http;
  } catch {
    return undefined;
  }
}

const order = (number: number) => ({
  to: `ann${number}@example.com`,
  subject: `Order ${number}`,
  text: "Thank you",
  metadata: { number },
});

test("send, look, reschedule, cancel, and what is refused", async (t) => {
  const { client } = await startRig(t);
  const { id } = await client.send({ ...order(1), scheduled_at: new Date(Date.now() + 3_600_000) });
  assert.match(id, /^sub_\d+$/);
  const story = await client.get(id);
  assert.deepEqual([story.subject, story.last_event, story.metadata], ["Order 1", "scheduled", { number: 1 }]);
  const later = new Date(Date.now() + 7_200_000);
  await client.reschedule(id, later);
  assert.equal(Date.parse((await client.get(id)).scheduled_at ?? ""), later.getTime());
  await client.cancel(id);
  const canceled = await client.get(id);
  assert.deepEqual([canceled.last_event, canceled.messages.length], ["canceled", 1]);

  await assert.rejects(client.send({ to: "ann@localhost", text: "x" }), (error: unknown) => {
    assert.ok(error instanceof PostlaneError);
    assert.deepEqual([error.code, error.status, error.field], ["bad_address", 422, "to"]);
    assert.ok((error.hint ?? "").length > 10);
    return true;
  });
  await client.send(order(2), { idempotencyKey: "order-2" });
  await assert.rejects(client.send(order(3), { idempotencyKey: "order-2" }), {
    code: "key_used_for_other",
    status: 422,
  });
  await assert.rejects(client.get("sub_999999"), { status: 404 });
});

test("a batch: each is answered for itself, or all or none; and the same again is the same", async (t) => {
  const { client, database } = await startRig(t);
  const emails = [order(1), { to: "nobody", text: "x" }, order(2)];
  const items = await client.sendBatch(emails, { idempotencyKey: "batch" });
  assert.deepEqual(
    items.map((item) => (item.kind === "accepted" ? "accepted" : item.error.code)),
    ["accepted", "bad_address", "accepted"],
  );
  assert.deepEqual(JSON.stringify(await client.sendBatch(emails, { idempotencyKey: "batch" })), JSON.stringify(items));
  await assert.rejects(client.sendBatch(emails, { isAllOrNone: true }), { code: "bad_address" });
  const [refused] = await client.sendBatch([{ to: "nobody", text: "x" }]);
  assert.equal(refused?.kind, "refused");
  assert.equal(await submissionsOf(database), 2);
});

test("fifty at once are there once each, however often their answers are cut", async (t) => {
  const { database, door, key } = await startRig(t);
  const cuts: readonly HttpCut[] = ["before the request", "at the request", "after the answer"];
  const tries = new Map<string, number>();
  const proxy = await startCuttingHttpProxy(t, door, (name) => {
    const at = tries.get(name) ?? 0;
    tries.set(name, at + 1);
    const number = Number(/\d+/.exec(name)?.[0]);
    return at < 2 ? cuts[(number + at) % cuts.length] : undefined;
  });
  const client = createClient({ baseUrl: proxy.url, key });
  const sent = await Promise.all(
    Array.from({ length: 50 }, (_, at) => client.send(order(at), { idempotencyKey: `order-${at}` })),
  );
  const { rows } = await database.pool.query<{ id: string; number: number }>(
    "SELECT 'sub_' || id AS id, (metadata ->> 'number')::int AS number FROM postlane.submission ORDER BY number",
  );
  assert.deepEqual(
    rows,
    sent.map(({ id }, number) => ({ id, number })),
  );
  assert.ok([...tries.values()].every((count) => count >= 3));
});

async function submissionsOf({ pool }: TestDatabase): Promise<number> {
  const { rows } = await pool.query<{ n: number }>("SELECT count(*)::int AS n FROM postlane.submission");
  return rows[0]!.n;
}
