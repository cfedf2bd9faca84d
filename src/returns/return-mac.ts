// The MAC of return paths under this database's own key, for whoever makes or reads their tokens.

import { createHmac } from "node:crypto";
import type { Mac } from "../mail/return-token.ts";
import type { Queryable } from "../postgres/statement.ts";
import { readSecret } from "./secret-store.ts";

export async function readReturnMac(on: Queryable): Promise<Mac> {
  const key = await readSecret(on, "return_token");
  return (data) => createHmac("sha256", key).update(data).digest();
}
