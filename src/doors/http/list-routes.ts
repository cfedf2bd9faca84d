// The routes of kept lists: which there are, and one of them. A file comes into one by list-import-route.ts.

import type { FastifyInstance } from "fastify";
import { findList, listLists, type ListRow } from "../../campaigns/list-store.ts";
import { isListName } from "../../mail/list-name.ts";
import { callerOf, type Caller } from "./authorize.ts";
import { LIST_LIMIT_DEFAULT } from "./http-limits.ts";
import type { NameParams } from "./lane-schema.ts";
import { LIST_PARAMS, LIST_TOLD, LISTS, LISTS_QUERY, type ListsQuery } from "./list-schema.ts";
import { PROBLEM_ANSWERS } from "./problem-schema.ts";
import { Problem } from "./problem.ts";
import { readWholeNumber } from "./read-whole-number.ts";

export function addListRoutes(server: FastifyInstance): void {
  server.get<{ Querystring: ListsQuery }>(
    "/lists",
    {
      config: { scopes: ["read", "operate"] },
      schema: {
        summary: "List the kept lists of recipients, by name",
        querystring: LISTS_QUERY,
        response: { 200: LISTS, ...PROBLEM_ANSWERS },
      },
      preValidation: async (request) => readWholeNumber(request.query, "limit"),
    },
    (request) => tellLists(request.query, callerOf(request)),
  );
  server.get<{ Params: NameParams }>(
    "/lists/:name",
    {
      config: { scopes: ["read", "operate"] },
      schema: {
        summary: "Read a kept list: its columns, and how many are on it",
        params: LIST_PARAMS,
        response: { 200: LIST_TOLD, ...PROBLEM_ANSWERS },
      },
    },
    (request) => tellList(request.params.name, callerOf(request)),
  );
}

async function tellLists({ limit = LIST_LIMIT_DEFAULT, after = "" }: ListsQuery, { entry, patience }: Caller) {
  const rows = await patience.within(listLists(entry.pool, after, limit + 1));
  return { object: "list", has_more: rows.length > limit, data: rows.slice(0, limit).map(listAnswer) } as const;
}

async function tellList(name: string, { entry, patience }: Caller) {
  const row = isListName(name) ? await patience.within(findList(entry.pool, name)) : undefined;
  if (row === undefined) {
    throw new Problem("list_not_found", "there is no such list", { hint: "GET /lists lists them." });
  }
  return { object: "recipient_list", ...listAnswer(row) } as const;
}

function listAnswer({ name, columns, created_at, recipients, doubled, rejected }: ListRow) {
  return {
    name: name!,
    columns: columns.map(({ isAddress, ...column }) => ({ ...column, is_address: isAddress })),
    created_at: created_at.toISOString(),
    recipients,
    doubled,
    rejected,
  };
}
