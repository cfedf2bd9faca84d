// Kept lists: imported once, and again whenever there is a newer file. Who is known already gets the new data, and nobody is
// taken off. Columns that a file lacks are simply absent in its recipients' data.

import type { Pool, PoolClient } from "pg";
import type { ListId } from "../mail/ids.ts";
import { isListName, LIST_NAME_EXPECTED } from "../mail/list-name.ts";
import { inTransaction } from "../postgres/transaction.ts";
import { readColumns, refused, type CampaignRefused } from "./check-campaign.ts";
import { importList, type ImportCounts, type ImportProgress } from "./import-list.ts";
import { joinList } from "./join-list.ts";
import type { ColumnType, ListColumn } from "./list-columns.ts";
import { createList, findList, type RejectedRow } from "./list-store.ts";

export interface KeptListWish {
  readonly name: string;
  readonly file: string;
  /** Of columns whose cells are no texts. */
  readonly types?: Readonly<Record<string, ColumnType>>;
  /** Rows that were rejected, in the order of the file. */
  readonly onRejected: (rows: readonly RejectedRow[]) => Promise<void>;
  readonly onProgress: (progress: ImportProgress) => void;
}

export interface KeptListImported extends ImportCounts {
  readonly kind: "imported";
  readonly listId: ListId;
  readonly name: string;
  /** There was none of this name. */
  readonly isNew: boolean;
}

export async function importKeptList(pool: Pool, wish: KeptListWish): Promise<KeptListImported | CampaignRefused> {
  const { name, file, types = {}, onRejected, onProgress } = wish;
  if (!isListName(name)) return refused("list", [`"${name}" cannot be the name of a list: give ${LIST_NAME_EXPECTED}`]);
  const given = await readColumns(file, types);
  if ("code" in given) return given;
  const list = await inTransaction(pool, (client) => openList(client, name, given, types));
  if ("problem" in list) return refused("list", [`${file}: ${list.problem}`]);
  const { listId, columns, isNew } = list;
  const counts = await importList(pool, { listId, file, columns, onRejected, onProgress });
  return { kind: "imported", listId, name, isNew, ...counts };
}

async function openList(
  client: PoolClient,
  name: string,
  given: readonly ListColumn[],
  types: Readonly<Record<string, ColumnType>>,
) {
  const made = await createList(client, name, given);
  if (made !== undefined) return { listId: made, columns: given, isNew: true };
  const { id: listId } = (await findList(client, name))!;
  const joined = await joinList(client, listId, given, types);
  return joined.kind === "bad" ? joined : { listId, columns: joined.columns, isNew: false };
}
