// Templates as the database keeps them: one row of `content` per version, never updated.

import { rowsOf, statement, type Queryable } from "../postgres/statement.ts";
import type { TemplateSource } from "./compiled-template.ts";

export const INSERT = statement<{ readonly id: number }>(
  "template_insert",
  `INSERT INTO postlane.content (body) VALUES ($1) RETURNING id`,
);

export async function insertTemplate(on: Queryable, source: TemplateSource): Promise<number> {
  const [row] = await rowsOf(on, INSERT, [JSON.stringify(source)]);
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
