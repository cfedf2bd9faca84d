// The routes of templates: push a version, list them, read one. A version never changes, so nothing is deleted here.

import type { FastifyInstance } from "fastify";
import { inTransaction } from "../../postgres/transaction.ts";
import { printProblem, type TemplateSource } from "../../templates/compiled-template.ts";
import { NO_PLACES } from "../../templates/parse-template.ts";
import { prepareTemplate } from "../../templates/prepare-template.ts";
import { isTemplateName, printTemplateId, TEMPLATE_NAME_WORDS } from "../../templates/template-id.ts";
import { listTemplates, pushVersionOnce, readTemplate, type TemplateRow } from "../../templates/template-store.ts";
import { callerOf, type Caller } from "./authorize.ts";
import { LIST_LIMIT_DEFAULT } from "./http-limits.ts";
import type { NameParams } from "./lane-schema.ts";
import { PROBLEM_ANSWERS } from "./problem-schema.ts";
import { Problem } from "./problem.ts";
import { readWholeNumber } from "./read-whole-number.ts";
import { readTemplateAttachments } from "./template-attachments.ts";
import {
  TEMPLATE_LIST,
  TEMPLATE_LIST_QUERY,
  TEMPLATE_PARAMS,
  TEMPLATE_PUSHED,
  TEMPLATE_QUERY,
  TEMPLATE_SOURCE,
  TEMPLATE_TOLD,
  type TemplateBody,
  type TemplateListQuery,
  type TemplateQuery,
  type ToldTemplate,
} from "./template-schema.ts";

export function addTemplateRoutes(server: FastifyInstance): void {
  server.put<{ Params: NameParams; Body: TemplateBody }>(
    "/templates/:name",
    {
      config: { scopes: ["operate"] },
      schema: {
        summary: "Push a template: the same texts and attachments are the same version, others a new one",
        params: TEMPLATE_PARAMS,
        body: TEMPLATE_SOURCE,
        response: { 200: TEMPLATE_PUSHED, ...PROBLEM_ANSWERS },
      },
    },
    (request) => pushTemplate(request.params.name, request.body, callerOf(request)),
  );
  server.get<{ Querystring: TemplateListQuery }>(
    "/templates",
    {
      config: { scopes: ["read", "operate"] },
      schema: {
        summary: "List the templates, by name",
        querystring: TEMPLATE_LIST_QUERY,
        response: { 200: TEMPLATE_LIST, ...PROBLEM_ANSWERS },
      },
      preValidation: async (request) => readWholeNumber(request.query, "limit"),
    },
    (request) => tellTemplates(request.query, callerOf(request)),
  );
  server.get<{ Params: NameParams; Querystring: TemplateQuery }>(
    "/templates/:name",
    {
      config: { scopes: ["read", "operate"] },
      schema: {
        summary: "Read a version of a template",
        params: TEMPLATE_PARAMS,
        querystring: TEMPLATE_QUERY,
        response: { 200: TEMPLATE_TOLD, ...PROBLEM_ANSWERS },
      },
      preValidation: async (request) => readWholeNumber(request.query, "version", 10),
    },
    (request) => tellTemplate(request.params.name, request.query, callerOf(request)),
  );
}

async function pushTemplate(name: string, body: TemplateBody, { entry, patience }: Caller) {
  if (!isTemplateName(name)) {
    throw new Problem("bad_parameter", "the name in the address cannot be a template's", {
      hint: `A name has ${TEMPLATE_NAME_WORDS}.`,
    });
  }
  const { attachments, octets } = readTemplateAttachments(body.attachments);
  const source = sourceOf(body, attachments);
  const prepared = prepareTemplate(source, NO_PLACES, octets);
  if (prepared.kind === "bad") {
    throw new Problem("template_refused", prepared.problems.slice(0, PROBLEMS_TOLD_MAX).map(printProblem).join("\n"), {
      hint: "Nothing was saved. Each problem has its file, line and column: html is body.html, text is body.txt.",
    });
  }
  const work = inTransaction(entry.pool, (client) => pushVersionOnce(client, name, prepared));
  const { isNew, ...row } = await patience.within(work, MAYBE_SAVED);
  return { object: "template", ...versionOf(row), is_new: isNew } as const;
}

const MAYBE_SAVED =
  "It may have been saved all the same: push it again, and the same texts and attachments are the same version.";
/** More of them help nobody. */
const PROBLEMS_TOLD_MAX = 20;

/** Without what is null. */
function sourceOf(body: TemplateBody, attachments: TemplateSource["attachments"] & object): TemplateSource {
  const { attachments: _, ...given } = body;
  const texts = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null));
  return { ...texts, ...(attachments.length === 0 ? {} : { attachments }) } as unknown as TemplateSource;
}

async function tellTemplates({ limit = LIST_LIMIT_DEFAULT, after = "" }: TemplateListQuery, caller: Caller) {
  const rows = await caller.patience.within(listTemplates(caller.entry.pool, after, limit + 1));
  return { object: "list", has_more: rows.length > limit, data: rows.slice(0, limit).map(versionOf) } as const;
}

async function tellTemplate(name: string, { version }: TemplateQuery, caller: Caller): Promise<ToldTemplate> {
  const wanted = version === undefined ? { name } : { name, version };
  const row = await caller.patience.within(readTemplate(caller.entry.pool, wanted));
  if (row === undefined) {
    throw new Problem("template_not_found", "there is no such template, or no such version", {
      hint: "GET /templates lists them.",
    });
  }
  const { source } = row;
  return {
    object: "template",
    ...versionOf(row),
    source: {
      subject: source.subject,
      html: source.html ?? null,
      text: source.text ?? null,
      preheader: source.preheader ?? null,
      from: source.from ?? null,
      reply_to: source.reply_to ?? null,
      headers: { ...source.headers },
      partials: { ...source.partials },
      locale: source.locale ?? null,
      time_zone: source.time_zone ?? null,
      attachments: (source.attachments ?? []).map(({ filename, content_type, content_id, bytes }) => ({
        filename,
        content_type: content_type ?? null,
        content_id: content_id ?? null,
        bytes,
      })),
    },
  };
}

function versionOf({ name, version, created_at, required }: TemplateRow) {
  const id = printTemplateId({ name, version });
  return { name, version, id, created_at: created_at.toISOString(), required: [...required] };
}
