// A person who has unsubscribed wants mail again, and has proved it. What they had said themselves ends: of this list, and of all
// bulk mail. They had not taken that back for other lists: these stay as they were. What somebody else has said, a bounce, a
// complaint, a person or a file, is not theirs to end, and holds.

import type { ClientBase } from "pg";
import type { Mac } from "../mail/token-octets.ts";
import type { Queryable } from "../postgres/statement.ts";
import { suppressionHash, suppressionName } from "./suppression-hash.ts";
import { findSuppressions } from "./suppression-store.ts";
import { addUnsubscribes, endUnsubscribes } from "./unsubscribe-store.ts";

export interface Resubscribe {
  readonly address: string;
  readonly list: string;
  /** The names of lists that the address is on. */
  readonly lists: () => Promise<readonly string[]>;
  readonly source: string;
}

/** In the caller's transaction. */
export async function resubscribe(client: ClientBase, mac: Mac, wish: Resubscribe): Promise<void> {
  const { address, list, lists, source } = wish;
  const hash = hexOf(address, mac);
  const ended = await endUnsubscribes(client, hash, list);
  if (!ended.includes("bulk")) return;
  const name = suppressionName(address);
  const others = (await lists()).filter((other) => other !== list);
  await addUnsubscribes(
    client,
    others.map((other) => ({ hash, address: name, list: other, source })),
  );
}

/** Said by the address itself, and not by its domain. */
export async function isUnsubscribed(on: Queryable, mac: Mac, address: string, list: string): Promise<boolean> {
  const hash = hexOf(address, mac);
  const rows = await findSuppressions(on, mac, address);
  return rows.some(
    (row) =>
      row.hash === hash &&
      row.reason === "unsubscribe" &&
      (row.scope === "bulk" || (row.scope === "list" && row.list === list)),
  );
}

function hexOf(address: string, mac: Mac): string {
  return Buffer.from(suppressionHash(address, mac)).toString("hex");
}
