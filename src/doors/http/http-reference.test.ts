// docs/reference/http.md and docs/reference/openapi.json against the code: every problem with its status, every limit with
// its figure, every route, and the whole OpenAPI document.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test, type TestContext } from "node:test";
import type { FastifyInstance } from "fastify";
import { systemClock } from "../../platform/clock.ts";
import { loadConfig } from "../../platform/config.ts";
import { silentLog } from "../../platform/log.ts";
import { BATCHES_OPEN_MAX, BATCHES_WAITING_MAX } from "../../submission/accept-batch.ts";
import { createHttpServer } from "./http-server.ts";
import * as limits from "./http-limits.ts";
import { printOpenApi } from "./openapi.ts";
import { PROBLEMS } from "./problem.ts";

const OPENAPI = new URL("../../../../docs/reference/openapi.json", import.meta.url);
const page = readFileSync(new URL("../../../../docs/reference/http.md", import.meta.url), "utf8");

test("the page has every problem with its status and Resend's name, and no other", () => {
  const rows = [...page.matchAll(/^\| `(\w+)` \| (\d{3}) \| `(\w+)` \| \S/gm)].map(([, ...cells]) => cells.join(" "));
  const known = Object.entries(PROBLEMS).map(([code, { status, name }]) => `${code} ${status} ${name}`);
  assert.deepEqual(rows.toSorted(), known.toSorted());
});

test("the page has every limit with its figure", () => {
  const config = loadConfig({ cwd: "/", env: {} });
  const named = { ...limits, BATCHES_OPEN_MAX, BATCHES_WAITING_MAX };
  for (const [name, value] of Object.entries(named)) {
    assert.match(page, new RegExp(`^\\| \`${name.toLowerCase()}\` \\| ${value.toLocaleString("en")} \\|`, "m"));
  }
  for (const key of Object.keys(config.http)) assert.ok(LIMIT_KEYS.has(key), `${key} is not looked for`);
  for (const name of LIMIT_KEYS.values()) assert.match(page, new RegExp(`^\\| \`${name}\` \\|`, "m"));
});

const LIMIT_KEYS: ReadonlyMap<string, string> = new Map([
  ["bodyBytesMax", "http.max_body"],
  ["batchBodyBytesMax", "http.max_batch_body"],
  ["connectionsMax", "http.max_connections"],
  ["connectionsPerClientMax", "http.max_connections_per_client"],
  ["requestMsMax", "http.request_time"],
]);

test("openapi.json is what is served, and the page has every route", async (t) => {
  const server = await startedServer(t);
  const served = printOpenApi(server);
  if (process.env["POSTLANE_WRITE_OPENAPI"] === "1") writeFileSync(OPENAPI, served);
  assert.equal(
    readFileSync(OPENAPI, "utf8"),
    served,
    "it differs: POSTLANE_WRITE_OPENAPI=1 npm test -- http-reference writes it anew",
  );
  const answer = await server.inject({ url: "/openapi.json" });
  assert.deepEqual([answer.statusCode, answer.body], [200, served]);
  const { openapi, paths } = JSON.parse(served) as { readonly openapi: string; readonly paths: Record<string, object> };
  assert.equal(openapi, "3.1.0");
  const routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  assert.ok(routes.length >= ROUTES_MIN, `only ${routes.length} routes`);
  for (const route of [...routes, "GET /openapi.json"])
    assert.ok(page.includes(`| \`${route}\` |`), `${route} is missing`);
});

/** Fewer, and the test looks at the wrong thing. */
const ROUTES_MIN = 30;

test("every route behind a key says which scopes may ask, and every other one needs none", async (t) => {
  const { paths } = JSON.parse(printOpenApi(await startedServer(t))) as {
    readonly paths: Record<string, Record<string, { readonly security?: unknown }>>;
  };
  const open = Object.entries(paths)
    .filter(([, methods]) => Object.values(methods).some(({ security }) => security === undefined))
    .map(([path]) => path);
  assert.deepEqual(open.toSorted(), ["/explain", "/health/live", "/health/ready", "/metrics"]);
});

async function startedServer(t: TestContext): Promise<FastifyInstance> {
  const config = loadConfig({ cwd: "/", env: {} });
  const server = createHttpServer(
    {
      metrics: async () => "",
      silentSince: () => undefined,
      readQuestion: () => ({ kind: "asked", question: { kind: "engine" } }),
      explain: async () => undefined,
    },
    { entry: () => undefined, config, clock: systemClock, log: silentLog },
  );
  t.after(() => server.close());
  await server.ready();
  return server;
}
