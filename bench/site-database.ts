// The site's own connection to the database, as a web application would have one: it knows `postlane.enqueue` and its
// own transactions. When the server is killed under it, it learns no more than a site would: the call failed, and
// whether its COMMIT happened is unknown. The next call connects again.

import pg from "pg";
import { findEmbedded } from "../src/postgres/embedded.ts";
import { embeddedConfig } from "../src/postgres/database.ts";

export type SiteCall<T> =
  | { readonly kind: "committed"; readonly value: T }
  /** Nothing was sent: there was no connection. */
  | { readonly kind: "not_sent" }
  /** Rolled back, because there is no room: the server's own class 53, or a lane that takes no more mail. */
  | { readonly kind: "refused"; readonly code: string }
  /** The connection was lost, or the server went down, with the call under way. */
  | { readonly kind: "ambiguous"; readonly error: string };

export interface SiteDatabase {
  call<T>(work: (client: pg.Client) => Promise<T>): Promise<SiteCall<T>>;
  close(): Promise<void>;
}

/** `where`: a data directory, whose embedded server is found again at each connect, or the URL of a server. */
export function openSiteDatabase(where: string): SiteDatabase {
  let client: pg.Client | undefined;
  const drop = (): void => {
    const dropped = client;
    client = undefined;
    dropped?.end(() => {});
  };
  return {
    async call(work) {
      client ??= await connect(where);
      if (client === undefined) return { kind: "not_sent" };
      try {
        return { kind: "committed", value: await work(client) };
      } catch (error) {
        drop();
        if (isForRoom(error)) return { kind: "refused", code: error.code! };
        if (isRefusal(error)) throw error;
        return { kind: "ambiguous", error: error instanceof Error ? error.message : String(error) };
      }
    },
    async close() {
      await client?.end();
      client = undefined;
    },
  };
}

function isForRoom(error: unknown): error is pg.DatabaseError {
  return error instanceof pg.DatabaseError && error.severity === "ERROR" && /^(?:PL009|53)/.test(error.code ?? "");
}

/** What is wrong with the call itself, and not with the server's health: a mistake of the harness. */
function isRefusal(error: unknown): boolean {
  return (
    error instanceof pg.DatabaseError && error.severity === "ERROR" && /^(?:PL|42|22|23|54)/.test(error.code ?? "")
  );
}

async function connect(where: string): Promise<pg.Client | undefined> {
  try {
    const server = await serverAt(where);
    if (server === undefined) return undefined;
    const client = new pg.Client({ ...server, application_name: "the site" });
    client.on("error", () => {}); // The next call hears of it.
    await client.connect();
    return client;
  } catch {
    return undefined;
  }
}

async function serverAt(where: string): Promise<pg.ClientConfig | undefined> {
  if (/^postgres(?:ql)?:/.test(where)) return { connectionString: where, ...PATIENCE };
  const embedded = await findEmbedded(where);
  return embedded === undefined ? undefined : { ...embeddedConfig(embedded), ...PATIENCE };
}

/** A site gives up, too, on a server that stands still. */
const PATIENCE: pg.ClientConfig = { connectionTimeoutMillis: 5000, query_timeout: 30_000, keepAlive: true };
