// What carries webhooks, over real sockets: certificates are verified, time and size are bounded, and a kept connection
// that has gone is replaced.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import net, { type AddressInfo } from "node:net";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { createReachable } from "../../src/events/reachable-address.ts";
import { createPoster, type Poster } from "../../src/platform/poster.ts";
import { startEndpoint } from "../rig/endpoint.ts";

const FIXTURES = path.resolve(import.meta.dirname, "../../../test/fixtures/tls");
const KEY = readFileSync(path.join(FIXTURES, "key.pem"), "utf8");
const CERT = readFileSync(path.join(FIXTURES, "cert.pem"), "utf8");
const NEVER = new AbortController().signal;

type Options = Partial<Parameters<typeof createPoster>[0]>;

function posterOf(t: TestContext, options: Options = {}): Poster {
  const isReachable = createReachable(["127.0.0.1"]);
  const poster = createPoster({ isReachable, timeoutMs: 20_000, ...options });
  t.after(() => poster.close());
  return poster;
}

const request = (url: string) => ({ url, headers: { "webhook-id": "evt_1" }, body: "{}" });

/** A server that is no server of HTTP. */
async function startRaw(t: TestContext, speak: (socket: net.Socket) => void): Promise<string> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    speak(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

test("a certificate must verify, by the name in the URL", async (t) => {
  const endpoint = await startEndpoint(t, { key: KEY, cert: CERT });
  const lookup = async () => [{ address: "127.0.0.1", family: 4 }];
  const strange = await posterOf(t).post(request(endpoint.url), NEVER);
  assert.equal(strange.kind, "failed");
  assert.match(strange.kind === "failed" ? strange.reason : "", /self-signed certificate/);
  const trusting = posterOf(t, { ca: CERT, lookup });
  const otherName = await trusting.post(request(`https://hooks.example.com:${endpoint.port}/`), NEVER);
  assert.match(otherName.kind === "failed" ? otherName.reason : "", /does not match certificate/);
  assert.equal(endpoint.posted.length, 0);
  const known = await trusting.post(request(`https://localhost:${endpoint.port}/`), NEVER);
  assert.deepEqual(known, { kind: "answered", status: 200 });
});

test("silence ends in time, and an abort at once", async (t) => {
  const endpoint = await startEndpoint(t);
  endpoint.answer = () => "never";
  const late = await posterOf(t, { timeoutMs: 300 }).post(request(endpoint.url), NEVER);
  assert.deepEqual(late, { kind: "failed", reason: "no answer within 0.3 s" });
  const aborting = new AbortController();
  const answer = posterOf(t).post(request(endpoint.url), aborting.signal);
  aborting.abort();
  assert.deepEqual(await answer, { kind: "aborted" });
});

test("an endless head or body fills no memory, and what is not HTTP is a failure", async (t) => {
  const head = await startRaw(t, (socket) => void socket.write(`HTTP/1.1 200 OK\r\nX: ${"x".repeat(100_000)}`));
  const long = await posterOf(t).post(request(head), NEVER);
  assert.equal(long.kind, "failed");
  const noHttp = await posterOf(t).post(request(await startRaw(t, (socket) => void socket.end("220 smtp\r\n"))), NEVER);
  assert.equal(noHttp.kind, "failed");
  let isEnded = false;
  const body = await startRaw(t, (socket) => {
    socket.write("HTTP/1.1 200 OK\r\n\r\n");
    const pour = (): void => {
      if (!socket.destroyed) socket.write("y".repeat(65_536), () => setImmediate(pour));
    };
    socket.on("close", () => (isEnded = true));
    pour();
  });
  const poster = posterOf(t);
  assert.deepEqual(await poster.post(request(body), NEVER), { kind: "answered", status: 200 });
  while (!isEnded) await new Promise((resolve) => setImmediate(resolve));
});

test("a connection is used again, and another one taken when it has gone", async (t) => {
  let connections = 0;
  const url = await startRaw(t, (socket) => {
    const isFirst = ++connections === 1;
    let seen = 0;
    socket.on("data", (chunk) => {
      // The second post on the first connection finds it closed.
      if (isFirst && ++seen > 2) return void socket.resetAndDestroy();
      if (chunk.includes("{}")) socket.write("HTTP/1.1 204 No Content\r\n\r\n");
    });
  });
  const poster = posterOf(t);
  for (let n = 0; n < 4; n++) {
    assert.deepEqual(await poster.post(request(url), NEVER), { kind: "answered", status: 204 }, `post ${n}`);
  }
  assert.equal(connections, 2);
});
