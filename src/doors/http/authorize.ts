// Who asks, by the key in `Authorization: Bearer plk_…` (RFC 6750 §2.1), found out before anything of the body is read; and
// whether its scope is enough for the route. Also from this machine: a page in a browser on it could ask too.

import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Scope, Sender } from "../../senders/sender.ts";
import type { HttpApi, HttpEntry } from "./http-api.ts";
import { createPatience, type Patience } from "./patience.ts";
import { Problem } from "./problem.ts";

export interface Caller {
  readonly sender: Sender;
  readonly entry: HttpEntry;
  /** Of this request. */
  readonly patience: Patience;
}

declare module "fastify" {
  interface FastifyRequest {
    caller: Caller | null;
  }
  interface FastifyContextConfig {
    /** The scopes that may ask; each route below a key has them. */
    scopes?: readonly Scope[];
    /** Its body is a list of emails. */
    isBatch?: boolean;
    /** Its body is a file, which is written to the disk as it comes, and never held in memory. */
    isUpload?: boolean;
    /** Until its body is there; absent: as long as the configuration says. */
    bodyMsMax?: number;
  }
}

/** For all routes of this instance. */
export function requireKeys(server: FastifyInstance, api: HttpApi): void {
  server.decorateRequest("caller", null);
  server.addHook("onRequest", async (request) => {
    const caller = await identify(request, api);
    requireScope(request.routeOptions.config.scopes ?? [], caller.sender);
    request.caller = caller;
  });
}

export function callerOf({ caller }: FastifyRequest): Caller {
  if (caller === null) throw new Error("a route without a key asks for its caller");
  return caller;
}

async function identify({ headers, ip }: FastifyRequest, api: HttpApi): Promise<Caller> {
  const token = readToken(headers.authorization);
  const entry = api.entry();
  if (entry === undefined) {
    throw new Problem("database_silent", "the database was not there yet", { hint: "Ask again later." });
  }
  const patience = createPatience(api.clock);
  const answer = await patience.during(entry.keyring.check(token, ip));
  if (answer.kind === "admitted") return { sender: answer.sender, entry, patience };
  throw new Problem("key_refused", "the key is not valid", {
    hint: "Check it, and whether it was revoked: `postlane key list`.",
  });
}

function readToken(authorization: string | undefined): string {
  const [, token] = /^Bearer +(\S+) *$/i.exec(authorization ?? "") ?? [];
  if (token !== undefined) return token;
  throw new Problem("key_missing", "the request has no key", {
    hint: "Send `Authorization: Bearer plk_…`; `postlane key create` makes one.",
  });
}

function requireScope(scopes: readonly Scope[], { scope }: Sender): void {
  if (scopes.includes(scope)) return;
  throw new Problem("scope_not_allowed", `a key of scope ${scope} may not do that`, {
    hint: `Use a key of scope ${scopes.join(" or ")}.`,
  });
}
