// Clients that mean harm, and a database that says nothing: a clear refusal in time, memory that stays bounded, and a
// front that serves the others meanwhile.

import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { whileFrozen } from "../rig/freeze.ts";
import { until } from "../rig/lane-mail.ts";
import { assertProblem, countMail, startHttp, type HttpRig } from "./http-rig.ts";

const EMAIL = { to: "ann@example.net", subject: "Hello", text: "Hello Ann" };

test("while PostgreSQL stands still, every route answers 503 within 3 s; afterwards what is sent again is there once", async (t) => {
  const rig = await startHttp(t);
  const key = await rig.key({ scope: "operate" });
  const { id } = (await rig.ask("POST", "/emails", { key, body: EMAIL })).body;
  await whileFrozen(rig.pool, async () => {
    const requests = [
      ["POST", "/emails", EMAIL],
      ["POST", "/emails/batch", [EMAIL, EMAIL]],
      ["GET", `/emails/${id}`],
      ["GET", "/emails"],
      ["POST", `/emails/${id}/cancel`],
      ["GET", "/lanes"],
      ["POST", "/outlets/default/pause"],
    ] as const;
    for (const answers of await Promise.all(
      requests.map(async ([method, path, body]) => {
        const startedAt = performance.now();
        const answer = await rig.ask(method, path, { key, body, headers: { "idempotency-key": `silent${path}` } });
        return { answer, tookMs: performance.now() - startedAt, path };
      }),
    )) {
      assertProblem(answers.answer, { status: 503, code: "database_silent" });
      assert.equal(answers.answer.headers.get("retry-after"), "5");
      assert.ok(answers.tookMs < 3000, `${answers.path} took ${answers.tookMs} ms`);
    }
    const unknownKey = await rig.ask("GET", "/emails", { key: `plk_9_${"x".repeat(43)}` });
    assertProblem(unknownKey, { status: 503, code: "database_silent" });
    assert.equal((await rig.ask("GET", "/health/live")).status, 200);
  });

  const again = (path: string, body: unknown) =>
    until("it is accepted", async () => {
      const answer = await rig.ask("POST", path, { key, body, headers: { "idempotency-key": `silent${path}` } });
      return answer.status === 200 && answer;
    });
  const single = await again("/emails", EMAIL);
  const batch = await again("/emails/batch", [EMAIL, EMAIL]);
  assert.equal((await again("/emails", EMAIL)).body.id, single.body.id);
  assert.deepEqual((await again("/emails/batch", [EMAIL, EMAIL])).body, batch.body);
  assert.deepEqual(await countMail(rig), { submissions: 4, messages: 4 });
});

test("bombs of JSON are refused before anything is made of them", async (t) => {
  const rig = await startHttp(t);
  const key = await rig.key();
  const before = process.memoryUsage().rss;
  const post = (path: string, body: string) => rig.ask("POST", path, { key, body });
  const deep = `{"to":"a@example.net","text":"x","metadata":${'{"a":'.repeat(1_000_000)}1${"}".repeat(1_000_000)}}`;
  assertProblem(await post("/emails", deep), { status: 413, code: "body_too_complex" });
  const wide = `{"to":"a@example.net","text":"x","metadata":{"a":[${"[],".repeat(3_000_000)}[]]}}`;
  assertProblem(await post("/emails", wide), { status: 413, code: "body_too_complex" });
  const long = `[${Array.from({ length: 100_000 }, () => JSON.stringify(EMAIL)).join(",")}]`;
  assertProblem(await post("/emails/batch", long), { status: 422, code: "limit_exceeded" });
  assertProblem(await post("/emails", `{"to":"a@example.net","text":"${"x".repeat(26_000_000)}"}`), {
    status: 413,
    code: "body_too_large",
  });
  assertProblem(await post("/emails", JSON.stringify({ ...EMAIL, text: "x".repeat(11_000_000) })), {
    status: 422,
    code: "limit_exceeded",
  });
  const grownMb = (process.memoryUsage().rss - before) / 1e6;
  t.diagnostic(`memory of client and server grew by ${Math.round(grownMb)} MB`);
  assert.ok(grownMb < 400, `${grownMb} MB`);
  assert.deepEqual(await countMail(rig), { submissions: 0, messages: 0 });
});

test("a thousand emails are one batch, one more is none", async (t) => {
  const rig = await startHttp(t);
  const key = await rig.key();
  const emails = Array.from({ length: 1001 }, (_, n) => ({ ...EMAIL, to: `n${n}@example.net` }));
  const batch = await rig.ask("POST", "/emails/batch", { key, body: emails.slice(1) });
  assert.deepEqual([batch.status, batch.body.data.length], [200, 1000]);
  assertProblem(await rig.ask("POST", "/emails/batch", { key, body: emails }), { status: 422, code: "limit_exceeded" });
  assert.deepEqual(await countMail(rig), { submissions: 1000, messages: 1000 });
});

test("bodies in flight are bounded all together, and the room is given back", async (t) => {
  const rig = await startHttp(t, { POSTLANE_HTTP__MAX_BATCH_BODY: "100 KB", POSTLANE_HTTP__MAX_BODY: "100 KB" });
  const key = await rig.key();
  const head = (bytes: number): string =>
    `POST /emails HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/json\r\n` +
    `Content-Length: ${bytes}\r\n\r\n`;
  const slow = Array.from({ length: 4 }, () => open(rig, head(90_000)));
  // A key is looked up first: the room is taken once that is known.
  let busy = await rig.ask("POST", "/emails", { key, body: { ...EMAIL, text: "x".repeat(60_000) } });
  while (busy.status === 200) {
    busy = await rig.ask("POST", "/emails", { key, body: { ...EMAIL, text: "x".repeat(60_000) } });
  }
  assertProblem(busy, { status: 503, code: "busy" });
  assert.equal((await rig.ask("POST", "/emails", { key, body: EMAIL })).status, 200);
  for (const socket of slow) socket.destroy();
  while (busy.status === 503) {
    busy = await rig.ask("POST", "/emails", { key, body: { ...EMAIL, text: "x".repeat(60_000) } });
  }
  assert.equal(busy.status, 200);
});

test("who is slow with a header or a body, or says nothing, is told so and closed", async (t) => {
  const rig = await startHttp(t, { POSTLANE_HTTP__REQUEST_TIME: "1 s" });
  const key = await rig.key();
  const started = performance.now();
  const answers = await Promise.all([
    heard(open(rig, "")),
    heard(open(rig, "POST /emails HTTP/1.1\r\nHost: a\r\nX-Slow: ")),
    heard(
      open(
        rig,
        `POST /emails HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/json\r\n` +
          "Content-Length: 100\r\n\r\n{",
      ),
    ),
  ]);
  for (const answer of answers) {
    assert.match(answer, /^HTTP\/1\.1 408 Request Timeout\r\n/);
    assert.match(answer, /"code":"request_timeout"/);
  }
  assert.ok(performance.now() - started < 10_000);
});

test("a list may take longer to come than other requests", async (t) => {
  const rig = await startHttp(t, { POSTLANE_HTTP__REQUEST_TIME: "1 s" });
  const key = await rig.key({ scope: "operate" });
  const head = (path: string, type: string): string =>
    `POST ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer ${key}\r\n` +
    `Content-Type: ${type}\r\nContent-Length: 24\r\n\r\n`;
  const list = open(rig, `${head("/lists/members/imports", "text/csv")}email\n`);
  const answer = heard(list);
  assert.match(await heard(open(rig, `${head("/emails", "application/json")}{`)), /^HTTP\/1\.1 408 /);
  list.write("ann@example.com\r\n\n");
  assert.match(await answer, /^HTTP\/1\.1 200 .*"accepted":1/s);
});

test("2,000 connections that say nothing: the last ones are refused, and others are served", async (t) => {
  const rig = await startHttp(t, {
    POSTLANE_HTTP__MAX_CONNECTIONS: "300",
    POSTLANE_HTTP__MAX_CONNECTIONS_PER_CLIENT: "200",
  });
  const key = await rig.key();
  const before = process.memoryUsage().rss;
  // 127.0.0.2 is a client of its own.
  const sockets = Array.from({ length: 2000 }, () => connect({ ...addressOf(rig), localAddress: "127.0.0.2" }));
  t.after(() => sockets.forEach((socket) => socket.destroy()));
  const refused: string[] = [];
  await new Promise<void>((resolve) => {
    for (const socket of sockets) {
      socket.on("error", () => {});
      void heard(socket).then((said) => {
        refused.push(said);
        if (refused.length === 1800) resolve();
      });
    }
  });
  assert.equal(refused.length, 1800);
  // On a slow machine the first ones have been told meanwhile that they say nothing.
  for (const answer of refused) assert.match(answer, /^HTTP\/1\.1 (?:503 .*too_many_connections|408 )/s);
  assert.ok(refused.filter((answer) => answer.startsWith("HTTP/1.1 503")).length > 1000);
  assert.equal((await rig.ask("POST", "/emails", { key, body: EMAIL })).status, 200);
  const grownMb = (process.memoryUsage().rss - before) / 1e6;
  t.diagnostic(`memory of 2,000 clients and the server grew by ${Math.round(grownMb)} MB`);
  assert.ok(grownMb < 200, `${grownMb} MB`);
});

test("what is no HTTP, or too long a header, is refused in words", async (t) => {
  const rig = await startHttp(t);
  assert.match(await heard(open(rig, "EHLO mail.example\r\n\r\n")), /^HTTP\/1\.1 400 .*"code":"bad_request"/s);
  const long = `GET /emails HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(20_000)}\r\n\r\n`;
  assert.match(await heard(open(rig, long)), /^HTTP\/1\.1 431 .*"code":"header_too_large"/s);
});

function addressOf({ url }: HttpRig): { readonly host: string; readonly port: number } {
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port) };
}

function open(rig: HttpRig, text: string): Socket {
  const socket = connect(addressOf(rig));
  socket.on("error", () => {});
  socket.write(text);
  return socket;
}

async function heard(socket: Socket): Promise<string> {
  let said = "";
  socket.on("data", (chunk: Buffer) => (said += chunk.toString("latin1")));
  await new Promise<void>((resolve) => void socket.once("close", () => resolve()));
  return said;
}
