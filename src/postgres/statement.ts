// A prepared statement with the type of its rows. Every statement of a store is made here, so that a test can PREPARE
// all of them on a migrated database. Named statements are planned once per connection.

import type { ClientBase, Pool } from "pg";

declare const rowType: unique symbol;

export interface Statement<Row> {
  readonly name: string;
  readonly text: string;
  readonly [rowType]?: Row;
}

export type Queryable = Pool | ClientBase;

export function statement<Row>(name: string, text: string): Statement<Row> {
  return { name, text };
}

export async function rowsOf<Row>(
  on: Queryable,
  { name, text }: Statement<Row>,
  values: readonly unknown[] = [],
): Promise<readonly Row[]> {
  const result = await on.query({ name, text, values: values as unknown[] });
  return result.rows as readonly Row[];
}

/** How many rows a statement touched. */
export async function countOf(on: Queryable, { name, text }: Statement<unknown>, values: readonly unknown[] = []) {
  const result = await on.query({ name, text, values: values as unknown[] });
  return result.rowCount ?? 0;
}

/** Numbers as an array literal: a tenth of what the driver's general conversion costs, on the hot road. */
export function numberArray(numbers: readonly (number | null)[]): string {
  return `{${numbers.map((number) => (number === null ? "NULL" : number)).join(",")}}`;
}

/** The same for texts. */
export function textArray(texts: readonly (string | null | undefined)[]): string {
  return `{${texts.map(arrayElement).join(",")}}`;
}

function arrayElement(text: string | null | undefined): string {
  if (text === null || text === undefined) return "NULL";
  return /["\\]/.test(text) ? `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"` : `"${text}"`;
}
