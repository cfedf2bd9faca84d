// Templates as the database keeps them: one row of `content` per version, never updated. Pushes of one name take turns; the
// same text with the same attachments again is the same version.

import { createHash } from "node:crypto";
import { rowsOf, statement, textArray, type Queryable } from "../postgres/statement.ts";
import { addAttachments, hasAttachments, octetsDigest, readAttachments } from "./attachment-store.ts";
import type { TemplateSource } from "./compiled-template.ts";
import type { TemplateId } from "./template-id.ts";

/** What is stored of a template. */
export interface TemplateParts {
  readonly source: TemplateSource;
  /** Of its attachments, in their order. */
  readonly octets: readonly Uint8Array[];
}

export const INSERT = statement<{ readonly id: number }>(
  "template_insert",
  `INSERT INTO postlane.content (body) VALUES ($1) RETURNING id`,
);

/** Within the caller's transaction. */
export async function insertTemplate(on: Queryable, { source, octets }: TemplateParts): Promise<number> {
  const [row] = await rowsOf(on, INSERT, [JSON.stringify(source)]);
  await addAttachments(on, row!.id, octets);
  return row!.id;
}

export const READ = statement<{ readonly body: unknown }>(
  "template_read",
  `SELECT body FROM postlane.content WHERE id = $1`,
);

/** A template's source, or the parts of an email. */
export async function readContent(on: Queryable, id: number): Promise<unknown> {
  const [row] = await rowsOf(on, READ, [id]);
  if (row === undefined) throw new Error(`content ${id} is not in the database`);
  return row.body;
}

/** Whether a content is this very template, with these very attachments. */
export async function holdsTemplate(on: Queryable, id: number, { source, octets }: TemplateParts): Promise<boolean> {
  const isSame = JSON.stringify(await readContent(on, id)) === JSON.stringify(source);
  return isSame && (await hasAttachments(on, id, octets));
}

// ---- versions --------------------------------------------------------------------------------------------------------

export interface TemplateRow {
  readonly name: string;
  readonly version: number;
  readonly required: readonly string[];
  readonly created_at: Date;
}

// Until the end of the transaction: whoever pushes the same name meanwhile sees the version that came of it.
export const TAKE_TURN = statement<{ readonly taken: null }>(
  "template_take_turn",
  `SELECT pg_advisory_xact_lock(hashtextextended($1, hashtext('postlane.template')))::text AS taken`,
);

export const LATEST = statement<TemplateRow & { readonly digest: Buffer }>(
  "template_latest",
  `SELECT name, version, required, created_at, digest FROM postlane.template WHERE name = $1
   ORDER BY version DESC LIMIT 1`,
);

export const ADD_VERSION = statement<TemplateRow>(
  "template_add_version",
  `INSERT INTO postlane.template (name, version, content_id, required, digest) VALUES ($1, $2, $3, $4, $5)
   RETURNING name, version, required, created_at`,
);

/** Within the caller's transaction. */
export async function pushVersionOnce(
  on: Queryable,
  name: string,
  given: TemplateParts & { readonly required: readonly string[] },
): Promise<TemplateRow & { readonly isNew: boolean }> {
  await rowsOf(on, TAKE_TURN, [name]);
  const [latest] = await rowsOf(on, LATEST, [name]);
  const digest = digestOf(given);
  if (latest?.digest.equals(digest) === true) return { ...withoutDigest(latest), isNew: false };
  const contentId = await insertTemplate(on, given);
  const [added] = await rowsOf(on, ADD_VERSION, [
    name,
    (latest?.version ?? 0) + 1,
    contentId,
    textArray(given.required),
    digest,
  ]);
  return { ...added!, isNew: true };
}

function withoutDigest({ name, version, required, created_at }: TemplateRow): TemplateRow {
  return { name, version, required, created_at };
}

/** The same for the same texts and attachments, in whatever order the keys came. */
function digestOf({ source, octets }: TemplateParts): Buffer {
  const hash = createHash("sha256").update(JSON.stringify(sorted(source)));
  for (const each of octets) hash.update(octetsDigest(each));
  return hash.digest();
}

function sorted(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, member]): [string, unknown] => [key, sorted(member)]);
  return entries.toSorted(([one], [other]) => (one < other ? -1 : 1));
}

export const LIST = statement<TemplateRow>(
  "template_list",
  `SELECT DISTINCT ON (name) name, version, required, created_at FROM postlane.template WHERE name > $1
   ORDER BY name, version DESC LIMIT $2`,
);

/** The latest version of each, by name, behind that name. */
export async function listTemplates(on: Queryable, after: string, limit: number): Promise<readonly TemplateRow[]> {
  return await rowsOf(on, LIST, [after, limit]);
}

export const READ_VERSION = statement<TemplateRow & { readonly content_id: number; readonly source: unknown }>(
  "template_read_version",
  `SELECT t.name, t.version, t.required, t.created_at, t.content_id, c.body AS source
   FROM postlane.template AS t JOIN postlane.content AS c ON c.id = t.content_id
   WHERE t.name = $1 AND ($2::integer IS NULL OR t.version = $2)
   ORDER BY t.version DESC LIMIT 1`,
);

/** The latest, where no version is given. */
export async function readTemplate(
  on: Queryable,
  { name, version }: TemplateId,
): Promise<(TemplateRow & { readonly content_id: number; readonly source: TemplateSource }) | undefined> {
  const [row] = await rowsOf(on, READ_VERSION, [name, version ?? null]);
  return row === undefined ? undefined : { ...row, source: row.source as TemplateSource };
}

/** With the octets of its attachments, which may be large. */
export async function readTemplateParts(on: Queryable, id: TemplateId): Promise<TemplateParts | undefined> {
  const row = await readTemplate(on, id);
  return row === undefined ? undefined : { source: row.source, octets: await readAttachments(on, row.content_id) };
}
