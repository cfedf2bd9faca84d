// The client against what stands in between and what is not there: a scripted HTTP server. Against the real door it is
// tested in test/integration.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { createClient, PostlaneError, type PostlaneClient } from "./client.ts";

interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** "silence" never answers, "cut" closes the connection. */
type Step = Answer | "silence" | "cut";

interface Scripted {
  readonly client: PostlaneClient;
  readonly requests: readonly { readonly request: IncomingMessage; readonly body: string }[];
}

async function scripted(t: TestContext, steps: readonly Step[], timeoutMs = 5000): Promise<Scripted> {
  const requests: { request: IncomingMessage; body: string }[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (chunk: string) => (body += chunk));
    request.on("end", () => {
      const step = steps[Math.min(requests.push({ request, body }), steps.length) - 1]!;
      if (step === "silence") return;
      if (step === "cut") return void request.socket.destroy();
      const text = typeof step.body === "string" ? step.body : JSON.stringify(step.body);
      response.writeHead(step.status, step.headers).end(text);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  });
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return { client: createClient({ baseUrl, key: "k", timeoutMs, retries: 3 }), requests };
}

const problem = (status: number, code: string, more: object = {}): Answer => ({
  status,
  body: { status, code, detail: "It is so.", hint: "Do this.", ...more },
});
const email = { to: "ann@example.com", text: "Hello" };

test("whatever is not known is tried again with the same key and the same octets", async (t) => {
  const { client, requests } = await scripted(
    t,
    ["cut", "silence", { status: 502, body: "<h1>Bad gateway</h1>" }, { status: 200, body: { id: "sub_7" } }],
    1000,
  );
  const at = new Date("2027-01-31T09:00:00Z");
  assert.deepEqual(await client.send({ ...email, scheduled_at: at }), { id: "sub_7" });
  assert.equal(requests.length, 4);
  const said = requests.map(({ request: { headers }, body }) => [
    headers["idempotency-key"],
    headers.authorization,
    body,
  ]);
  assert.deepEqual(new Set(said.map((one) => JSON.stringify(one))).size, 1);
  assert.match(String(said[0]![0]), /^client-[0-9a-f-]{36}$/);
  assert.deepEqual(JSON.parse(String(said[0]![2])), { ...email, scheduled_at: "2027-01-31T09:00:00.000Z" });
});

test("a key of one's own is used, and two sends have two keys", async (t) => {
  const { client, requests } = await scripted(t, [{ status: 200, body: { id: "sub_1" } }]);
  await client.send(email, { idempotencyKey: "order-4711" });
  await client.send(email);
  await client.send(email);
  const keys = requests.map(({ request }) => request.headers["idempotency-key"]);
  assert.equal(keys[0], "order-4711");
  assert.equal(new Set(keys).size, 3);
});

test("the door is asked again when it says so, and not before", async (t) => {
  const { client, requests } = await scripted(t, [
    { ...problem(503, "lane_full"), headers: { "retry-after": "1" } },
    { ...problem(409, "key_in_progress"), headers: { "retry-after": "0" } },
    { status: 200, body: { id: "sub_7" } },
  ]);
  const begunMs = performance.now();
  await client.send(email);
  assert.equal(requests.length, 3);
  assert.ok(performance.now() - begunMs >= 1000);
});

test("tries are bounded, and what is asked for too long is not waited for", async (t) => {
  const down = await scripted(t, ["cut"]);
  await assert.rejects(down.client.send(email), { code: "unreachable", status: undefined });
  assert.equal(down.requests.length, 4);
  const full = await scripted(t, [{ ...problem(503, "lane_full"), headers: { "retry-after": "3600" } }]);
  await assert.rejects(full.client.send(email), { code: "lane_full", status: 503 });
  assert.equal(full.requests.length, 1);
});

test("what the door says for good is an error with all that it said", async (t) => {
  const answers = [
    problem(422, "bad_address", { field: "to" }),
    problem(409, "not_waiting"),
    problem(401, "key_refused"),
  ];
  for (const answer of answers) {
    const { client, requests } = await scripted(t, [answer]);
    const { code, field } = answer.body as { code: string; field?: string };
    await assert.rejects(client.send(email), (error: unknown) => {
      assert.ok(error instanceof PostlaneError);
      const { message, hint, status } = error;
      assert.deepEqual(
        { message, hint, status, code: error.code, field: error.field },
        { message: "It is so.", hint: "Do this.", status: answer.status, code, field },
      );
      return true;
    });
    assert.equal(requests.length, 1);
  }
  const { client } = await scripted(t, [{ status: 404, body: "<h1>nginx</h1>" }]);
  await assert.rejects(client.get("sub_1"), { code: "not_postlane", status: 404 });
});

test("the parts of an address are not the caller's to choose", async (t) => {
  const { client, requests } = await scripted(t, [{ status: 200, body: { id: "x", messages: [] } }]);
  await client.get("../lanes?x=#");
  await client.cancel("a/b");
  await client.reschedule("sub_1", new Date("2027-01-31T09:00:00Z"));
  assert.deepEqual(
    requests.map(({ request: { method, url }, body }) => `${method} ${url} ${body}`),
    [
      "GET /emails/..%2Flanes%3Fx%3D%23 ",
      "POST /emails/a%2Fb/cancel ",
      'PATCH /emails/sub_1 {"scheduled_at":"2027-01-31T09:00:00.000Z"}',
    ],
  );
});

test("each of a batch is answered for itself, in order", async (t) => {
  const refused = { index: 1, status: 422, code: "bad_address", detail: "No address.", hint: "Give one.", field: "to" };
  const { client, requests } = await scripted(t, [
    {
      status: 200,
      body: {
        data: [
          { id: "sub_1", index: 0 },
          { id: "sub_2", index: 2 },
        ],
        errors: [refused],
      },
    },
    { ...problem(422, "bad_address", { errors: [{ ...refused, index: 0 }] }) },
    { ...problem(422, "bad_address", { errors: [{ ...refused, index: 0 }] }) },
  ]);
  const items = await client.sendBatch([email, { to: "x" }, email]);
  assert.deepEqual(
    items.map((item) => (item.kind === "accepted" ? item.id : item.error.code)),
    ["sub_1", "bad_address", "sub_2"],
  );
  const [none] = await client.sendBatch([{ to: "x" }]);
  assert.ok(none?.kind === "refused" && none.error.field === "to");
  await assert.rejects(client.sendBatch([{ to: "x" }], { isAllOrNone: true }), { code: "bad_address" });
  const modes = requests.map(({ request }) => request.headers["x-batch-validation"]);
  assert.deepEqual(modes, ["permissive", "permissive", "strict"]);
});
