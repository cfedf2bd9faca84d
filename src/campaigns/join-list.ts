// A further file into a list: its columns are joined to those that the list has.

import type { ClientBase } from "pg";
import type { ListId } from "../mail/ids.ts";
import { joinColumns, type ColumnsAnswer, type ColumnType, type ListColumn } from "./list-columns.ts";
import { lockList, setColumns } from "./list-store.ts";

/** Answers the file's columns, of the types that the list has. Within the caller's transaction. */
export async function joinList(
  client: ClientBase,
  id: ListId,
  given: readonly ListColumn[],
  types: Readonly<Record<string, ColumnType>>,
): Promise<ColumnsAnswer> {
  const { columns: known } = await lockList(client, id);
  const joined = joinColumns(known, given, types);
  if (joined.kind === "bad") return joined;
  if (joined.all.length > known.length) await setColumns(client, id, joined.all);
  return { kind: "columns", columns: joined.columns };
}
