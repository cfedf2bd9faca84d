// The real HTTP door in front of the database of a test, wired as the front does it, on a free port of the loopback; keys,
// and requests that say what came back. No dispatcher runs: what is submitted waits.

import assert from "node:assert/strict";
import type { FastifyInstance } from "fastify";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import { LISTEN_BACKLOG } from "../../src/doors/http/http-limits.ts";
import { createHttpServer } from "../../src/doors/http/http-server.ts";
import type { HttpAnswers } from "../../src/doors/http/telling-routes.ts";
import { loadConfig } from "../../src/platform/config.ts";
import { silentLog } from "../../src/platform/log.ts";
import { connectDatabase } from "../../src/postgres/database.ts";
import { openEntry } from "../../src/processes/entry-here.ts";
import { prepareHttp } from "../../src/processes/http-here.ts";
import type { KeyRights } from "../../src/senders/key-store.ts";
import { makeKey } from "../../src/senders/make-key.ts";
import { testDatabase, type TestDatabase } from "../rig/postgres.ts";
import { SITE_RIGHTS } from "../rig/key-rights.ts";

export interface HttpRig extends TestDatabase {
  readonly server: FastifyInstance;
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  /** A new key's token. */
  key(rights?: Partial<KeyRights>): Promise<string>;
  ask(method: string, path: string, options?: AskOptions): Promise<Answer>;
}

interface AskOptions {
  readonly key?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

// The body is whatever the route answers; a test says what it expects of it.
// oxlint-disable-next-line typescript/no-explicit-any
export type Body = any;

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Body;
}

/** `env`: more of the configuration, such as `POSTLANE_HTTP__MAX_BODY`. */
export async function startHttp(t: TestContext, env: Readonly<Record<string, string>> = {}): Promise<HttpRig> {
  const database = await testDatabase(t);
  const config = loadConfig({
    cwd: database.dataDir,
    env: { DATABASE_URL: database.databaseUrl, POSTLANE_FROM: "Shop <shop@example.com>", ...env },
  });
  const front = await connectDatabase({ databaseUrl: database.databaseUrl, dataDir: database.dataDir, log: silentLog });
  const entry = await openEntry(config, silentLog);
  const http = prepareHttp(config, front, silentLog);
  const server = createHttpServer(TELLS_NOTHING, http.api);
  await server.listen({ host: "127.0.0.1", port: 0, backlog: LISTEN_BACKLOG });
  http.open(entry);
  t.after(async () => {
    server.server.closeAllConnections();
    await server.close();
    await http.close();
    await entry.close();
    await front.close();
  });
  const url = `http://127.0.0.1:${(server.server.address() as AddressInfo).port}`;
  return {
    ...database,
    server,
    url,
    key: async (rights = {}) => (await makeKey(database.pool, { ...SITE_RIGHTS, ...rights })).token,
    ask: (method, path, options) => ask(url + path, method, options),
  };
}

const TELLS_NOTHING: HttpAnswers = {
  metrics: async () => "",
  silentSince: () => undefined,
  readQuestion: () => ({ kind: "asked", question: { kind: "engine" } }),
  explain: async () => undefined,
};

/** Bodies that are texts are sent as they are. */
async function ask(url: string, method: string, { key, body, headers = {} }: AskOptions = {}): Promise<Answer> {
  const response = await fetch(url, {
    method,
    headers: {
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === "" ? undefined : JSON.parse(text) };
}

/** The answer is this problem, in full: with what RFC 9457 wants, what Resend's SDK hands on, and what to do. */
export function assertProblem(
  { status, headers, body }: Answer,
  expected: { status: number; code: string; field?: string },
) {
  assert.deepEqual(
    { status, code: body?.code, field: body?.field },
    { status: expected.status, code: expected.code, field: expected.field },
    JSON.stringify(body),
  );
  assert.equal(headers.get("content-type"), "application/problem+json; charset=utf-8");
  assert.equal(body.type, `urn:postlane:problem:${expected.code}`);
  assert.deepEqual([body.status, body.statusCode], [status, status]);
  for (const field of ["title", "detail", "hint", "name", "message"]) {
    assert.ok(typeof body[field] === "string" && body[field].length > 0, `${field} of ${JSON.stringify(body)}`);
  }
}

/** How many submissions and messages there are. */
export async function countMail({
  pool,
}: TestDatabase): Promise<{ readonly submissions: number; readonly messages: number }> {
  const { rows } = await pool.query(
    `SELECT (SELECT count(*)::integer FROM postlane.submission) AS submissions,
       (SELECT count(*)::integer FROM postlane.message) AS messages`,
  );
  return rows[0];
}
