// The front's HTTP over real sockets of the loopback, with answers of the test's own.

import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer, connect, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { manualClock } from "../../../test/rig/handover-rig.ts";
import { silentLog } from "../../platform/log.ts";
import { loadConfig } from "../../platform/config.ts";
import { readQuestion } from "../../reports/explain-question.ts";
import { explain } from "../../reports/explain.ts";
import { findFront } from "./front-file.ts";
import type { HttpApi, HttpEntry } from "./http-api.ts";
import { openHttp } from "./open-http.ts";
import type { HttpAnswers } from "./telling-routes.ts";

const config = loadConfig({ cwd: "/", env: {} });

test("metrics, health and explain are there, and nothing else", async (t) => {
  const { http } = await opened(t);
  const metrics = await fetch(`${http}/metrics`);
  assert.deepEqual(
    [metrics.status, metrics.headers.get("content-type"), await metrics.text()],
    [200, "text/plain; version=0.0.4; charset=utf-8", "postlane_up 1\n"],
  );
  assert.deepEqual(await (await fetch(`${http}/health/live`)).json(), { status: "alive" });
  assert.deepEqual(await (await fetch(`${http}/health/ready`)).json(), { status: "ready" });
  const nowhere = await fetch(`${http}/healthz`, { method: "POST", body: "{}" });
  const { code, hint } = (await nowhere.json()) as { readonly code: string; readonly hint: string };
  assert.deepEqual(
    [nowhere.status, nowhere.headers.get("content-type"), code],
    [404, "application/problem+json; charset=utf-8", "not_found"],
  );
  assert.match(hint, /openapi\.json/);
});

test("before the database was there nothing is ready, and whoever submits is told to come again", async (t) => {
  const { http } = await opened(t, {}, () => undefined);
  const ready = await fetch(`${http}/health/ready`);
  assert.deepEqual([ready.status, await ready.json()], [503, { status: "starting", since: null }]);
  const submitted = await fetch(`${http}/emails`, { method: "POST", headers: { authorization: "Bearer plk_1_x" } });
  assert.deepEqual([submitted.status, submitted.headers.get("retry-after")], [503, "5"]);
});

test("ready says since when the database is silent", async (t) => {
  const { http } = await opened(t, { silentSince: () => "2026-11-26T14:02:10Z" });
  const response = await fetch(`${http}/health/ready`);
  assert.deepEqual(
    [response.status, await response.json()],
    [503, { status: "database_silent", since: "2026-11-26T14:02:10Z" }],
  );
});

test("explain answers questions, and refuses what it cannot read", async (t) => {
  const { http } = await opened(t);
  const report = (await (await fetch(`${http}/explain?kind=lane&name=bulk`)).json()) as { readonly subject: unknown };
  assert.deepEqual(report.subject, { kind: "lane", name: "bulk" });
  const codes = [];
  for (const query of [
    "kind=lane&name=nope",
    "kind=message",
    "kind=x&name=y",
    "kind=message&name=msg_404",
    "kind=a&kind=b",
  ]) {
    const response = await fetch(`${http}/explain?${query}`);
    codes.push([response.status, ((await response.json()) as { code: string }).code]);
  }
  assert.deepEqual(codes, [
    [400, "lane_unknown"],
    [400, "usage"],
    [400, "usage"],
    [404, "message_not_found"],
    [400, "bad_parameter"],
  ]);
});

test("a page that was led to this machine by a name of its own learns nothing", async (t) => {
  const { http } = await opened(t);
  const answer = await raw(http, "GET /explain HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
  assert.match(answer, /^HTTP\/1\.1 403 /);
  assert.match(answer, /"not_from_here"/);
});

test("a request that is too large is refused", async (t) => {
  const { http } = await opened(t);
  const answer = await raw(http, `GET /health/live HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(20_000)}\r\n\r\n`);
  assert.match(answer, /^HTTP\/1\.1 431 /);
});

test("a port that is taken is said once, tried again, and the file is there only while it listens", async (t) => {
  const blocker = createServer().listen(0, "127.0.0.1");
  await once(blocker, "listening");
  const { port } = blocker.address() as AddressInfo;
  const clock = manualClock();
  const told: string[] = [];
  const heard = listening(told);
  const { dataDir, door } = open(t, { port, clock, tell: heard.tell });
  await heard.next();
  assert.match(told[0]!, new RegExp(`CANNOT listen at 127\\.0\\.0\\.1:${port} .*EADDRINUSE.*Free the port`));
  assert.equal(findFront(dataDir), undefined);
  await until(() => clock.pending().length === 1);
  clock.advance(5000);
  await until(() => clock.pending().length === 1);
  assert.equal(told.length, 1);
  blocker.close();
  await once(blocker, "close");
  const again = heard.next();
  clock.advance(5000);
  await again;
  assert.match(told[1]!, /listens at http:\/\/127\.0\.0\.1:\d+ now/);
  await until(() => findFront(dataDir) !== undefined);
  assert.equal(findFront(dataDir)?.http, `127.0.0.1:${port}`);
  await door.stop();
  assert.equal(existsSync(path.join(dataDir, "run", "front.json")), false);
});

interface Opening {
  readonly port?: number;
  readonly clock?: ReturnType<typeof manualClock>;
  readonly tell?: (line: string) => void;
  readonly answers?: Partial<HttpAnswers>;
  readonly entry?: HttpApi["entry"];
}

/** Nothing here submits: that it is open is all that is asked. */
const OPEN: HttpApi["entry"] = () => ({}) as HttpEntry;

function open(
  t: TestContext,
  { port = 0, clock = manualClock(), tell = () => {}, answers = {}, entry = OPEN }: Opening,
) {
  const dataDir = mkdtempSync(path.join(tmpdir(), "postlane-http-"));
  const door = openHttp({
    listen: { host: "127.0.0.1", port },
    dataDir,
    clock,
    log: silentLog,
    tell,
    answers: { ...ANSWERS, ...answers },
    api: { entry, config, clock, log: silentLog },
  });
  t.after(async () => {
    await door.stop();
    rmSync(dataDir, { recursive: true });
  });
  return { dataDir, door };
}

const ANSWERS: HttpAnswers = {
  metrics: async () => "postlane_up 1\n",
  silentSince: () => undefined,
  readQuestion: (kind, name) => readQuestion(kind, name, config),
  async explain(question) {
    if (question.kind === "message") return undefined;
    const around = { nowMs: 0, dispatcherSeenAtMs: {}, alarms: [], databaseAlarms: [], cpuWaiting: null };
    return explain({ snapshot: undefined, around, question }, config);
  },
};

async function opened(
  t: TestContext,
  answers: Partial<HttpAnswers> = {},
  entry = OPEN,
): Promise<{ readonly http: string }> {
  const { dataDir } = open(t, { answers, entry });
  await until(() => findFront(dataDir) !== undefined);
  return { http: `http://${findFront(dataDir)!.http}` };
}

/** Resolves with the next line that is told. */
function listening(told: string[]): { tell(line: string): void; next(): Promise<void> } {
  let hear = (): void => {};
  return {
    tell(line) {
      told.push(line);
      hear();
    },
    next: () => new Promise((resolve) => (hear = resolve)),
  };
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => void setImmediate(resolve));
}

async function raw(http: string, request: string): Promise<string> {
  const { hostname, port } = new URL(http);
  const socket = connect(Number(port), hostname);
  socket.end(request);
  let answer = "";
  for await (const chunk of socket) answer += String(chunk);
  return answer;
}
