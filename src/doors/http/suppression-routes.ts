// The routes of the suppression list: who is on it, put on, taken off. What is added holds for mail that waits already, too.
// Who adds and who removes is in the log, by the hash and without the address.

import type { FastifyInstance } from "fastify";
import type { Mac } from "../../mail/token-octets.ts";
import { createMac } from "../../platform/mac.ts";
import { readSuppressionKey } from "../../postgres/secret-store.ts";
import { readSuppression, scopeOf, suppressedAddressProblem } from "../../suppression/read-suppression.ts";
import { parsePlace, printPlace, shapeSuppression } from "../../suppression/shape-suppression.ts";
import { suppressionHash } from "../../suppression/suppression-hash.ts";
import {
  addSuppressions,
  findSuppressions,
  removeSuppressions,
  searchSuppressions,
  type SuppressionRow,
} from "../../suppression/suppression-store.ts";
import type { SuppressionScope } from "../../suppression/suppression.ts";
import { callerOf, type Caller } from "./authorize.ts";
import type { HttpApi } from "./http-api.ts";
import { LIST_LIMIT_DEFAULT } from "./http-limits.ts";
import { PROBLEM_ANSWERS } from "./problem-schema.ts";
import { Problem } from "./problem.ts";
import { readWholeNumber } from "./read-whole-number.ts";
import {
  NEW_SUPPRESSION,
  SUPPRESSION_ENDED_QUERY,
  SUPPRESSION_QUERY,
  SUPPRESSIONS,
  SUPPRESSIONS_ENDED,
  type NewSuppressionBody,
  type SuppressionEndedQuery,
  type SuppressionQuery,
} from "./suppression-schema.ts";

export function addSuppressionRoutes(server: FastifyInstance, api: HttpApi): void {
  server.get<{ Querystring: SuppressionQuery }>(
    "/suppressions",
    {
      config: { scopes: ["read", "operate"] },
      schema: {
        summary: "Who must not get mail, the newest first, or all that holds for one address",
        querystring: SUPPRESSION_QUERY,
        response: { 200: SUPPRESSIONS, ...PROBLEM_ANSWERS },
      },
      preValidation: async (request) => readWholeNumber(request.query, "limit"),
    },
    (request) => list(request.query, callerOf(request)),
  );
  server.post<{ Body: NewSuppressionBody }>(
    "/suppressions",
    {
      config: { scopes: ["operate"] },
      schema: {
        summary: "Suppress an address or a domain",
        body: NEW_SUPPRESSION,
        response: { 200: SUPPRESSIONS, ...PROBLEM_ANSWERS },
      },
    },
    (request) => add(request.body, callerOf(request), api),
  );
  server.delete<{ Querystring: SuppressionEndedQuery }>(
    "/suppressions",
    {
      config: { scopes: ["operate"] },
      schema: {
        summary: "Let mail go to an address or a domain again",
        querystring: SUPPRESSION_ENDED_QUERY,
        response: { 200: SUPPRESSIONS_ENDED, ...PROBLEM_ANSWERS },
      },
    },
    (request) => remove(request.query, callerOf(request), api),
  );
}

/** All of an address is text. */
async function macWith(patience: Caller["patience"], { pool }: Caller["entry"]): Promise<Mac> {
  return createMac(await patience.within(readSuppressionKey(pool)));
}

async function list(query: SuppressionQuery, { entry, patience }: Caller) {
  const { address, limit = LIST_LIMIT_DEFAULT, ...others } = query;
  if (address !== undefined) {
    if (Object.keys(others).length > 0) throw badParameter("address", "it finds all of an address by itself");
    requireAddress(address);
    const mac = await macWith(patience, entry);
    return listOf(await patience.within(findSuppressions(entry.pool, mac, address)), null);
  }
  const search = { ...readSearch(others), limit: limit + 1 };
  const found = await patience.within(
    searchSuppressions(entry.pool, search),
    "Ask again later, or for fewer with `since`.",
  );
  const rows = found.slice(0, limit);
  return listOf(rows, found.length > rows.length ? printPlace(rows.at(-1)!) : null);
}

function listOf(rows: readonly SuppressionRow[], next: string | null) {
  return { object: "list", data: rows.map(shapeSuppression), next } as const;
}

function readSearch({ domain, reason, list: named, since, after }: Omit<SuppressionQuery, "address" | "limit">) {
  const problem = domain === undefined ? undefined : suppressedAddressProblem(`@${domain}`);
  if (problem !== undefined) throw badParameter("domain", problem);
  const readList = named === undefined ? undefined : scopeOf("list", named);
  if (typeof readList === "string") throw badParameter("list", readList);
  const isTime =
    since === undefined || /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)$/.test(since);
  const time = since === undefined ? undefined : new Date(since);
  if (!isTime || (time !== undefined && Number.isNaN(time.getTime()))) {
    throw badParameter("since", "it is not ISO 8601 with a zone");
  }
  const place = after === undefined ? undefined : parsePlace(after);
  if (after !== undefined && place === undefined) throw badParameter("after", "no page has named it");
  return { domain, reason, list: named, since: time, after: place };
}

async function add(body: NewSuppressionBody, { entry, sender, patience }: Caller, { log }: HttpApi) {
  const { address, scope, list: named, reason, days } = body;
  const read = readSuppression({
    address,
    scope: scope ?? "everything",
    list: named ?? undefined,
    reason: reason ?? "manual",
    source: sender.credential,
    days: days ?? undefined,
  });
  if (read.kind === "bad") {
    throw new Problem(
      read.field === "address" ? "bad_address" : "bad_field",
      `field "${read.field}": ${read.problem}`,
      {
        hint: "Correct it.",
        field: read.field,
      },
    );
  }
  const mac = await macWith(patience, entry);
  await patience.within(addSuppressions(entry.pool, mac, [read.suppression]), "Repeat it: adding twice is fine.");
  log.info("suppression.added", { hash: hexOf(suppressionHash(address, mac)), by: sender.credential });
  return listOf(await patience.within(findSuppressions(entry.pool, mac, address)), null);
}

async function remove(query: SuppressionEndedQuery, { entry, sender, patience }: Caller, { log }: HttpApi) {
  const { address, scope, list: named } = query;
  requireAddress(address);
  const only = readScope(scope, named);
  const mac = await macWith(patience, entry);
  const removed = await patience.within(removeSuppressions(entry.pool, mac, address, only));
  if (removed === 0) {
    throw new Problem("suppression_not_found", "it is not on the suppression list so", {
      hint: "GET /suppressions?address=… tells what holds for it.",
    });
  }
  log.info("suppression.removed", { hash: hexOf(suppressionHash(address, mac)), removed, by: sender.credential });
  return { object: "suppression", removed } as const;
}

function readScope(scope: SuppressionEndedQuery["scope"], named: string | undefined): SuppressionScope | undefined {
  if (scope === undefined && named === undefined) return undefined;
  const read = scopeOf(scope ?? "list", named);
  if (typeof read === "string") throw badParameter("scope", read);
  return read;
}

function requireAddress(address: string): void {
  const problem = suppressedAddressProblem(address);
  if (problem !== undefined) throw badParameter("address", problem);
}

function badParameter(name: string, problem: string): Problem {
  return new Problem("bad_parameter", `parameter "${name}": ${problem}`, {
    hint: "GET /openapi.json has what there is.",
  });
}

function hexOf(hash: Uint8Array): string {
  return Buffer.from(hash).toString("hex");
}
