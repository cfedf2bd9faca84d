// Whether mail from a domain is signed here: by a key of its own, or by one of a domain above it.

import type { Queryable } from "../../postgres/statement.ts";
import { hasActiveKey } from "./domain-store.ts";

export async function isDomainSigned(
  on: Queryable,
  domain: string,
  keyFiles: readonly { readonly domain: string }[],
): Promise<boolean> {
  const labels = domain.split(".");
  const names = labels.map((_, index) => labels.slice(index).join("."));
  return keyFiles.some((file) => names.includes(file.domain)) || (await hasActiveKey(on, names));
}
