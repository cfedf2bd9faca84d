// What there is to ask of a sender domain: the keys that sign its mail, the return paths that its mail goes out under, and the
// outlets that send it.

import type { Pool } from "pg";
import type { Config, SmtpOutletConfig } from "../../platform/config.ts";
import type { DomainQuestion } from "./check-domain.ts";
import type { SendingAddress } from "./sending-addresses.ts";
import { readShownKeys, type ShownKey } from "./shown-keys.ts";

export type SendingSettings = Pick<Config, "dkim" | "lanes" | "outlets" | "returnsDomain">;

export async function domainQuestion(
  pool: Pool,
  config: SendingSettings,
  name: string,
  addresses: readonly SendingAddress[],
): Promise<DomainQuestion> {
  const keys = await readSigningKeys(pool, config, name);
  return { domain: name, keys, addresses, ...returnPathsOf(name, config) };
}

/** Its own, or else those of the nearest domain above it that sign. */
async function readSigningKeys(pool: Pool, config: SendingSettings, name: string): Promise<readonly ShownKey[]> {
  const own = await readShownKeys(pool, config, name);
  if (own.some(({ state }) => state !== "retired")) return own;
  for (let dot = name.indexOf("."); dot !== -1; dot = name.indexOf(".", dot + 1)) {
    const above = await readShownKeys(pool, config, name.slice(dot + 1));
    const active = above.filter(({ state }) => state === "active");
    if (active.length > 0) return [...active, ...own];
  }
  return own;
}

/** Those that a lane uses, and those that take its retries. */
export function sendingOutlets({ lanes, outlets }: SendingSettings): readonly SmtpOutletConfig[] {
  const named = new Set(Object.values(lanes).flatMap((lane) => lane.outlets));
  const smtp = Object.values(outlets).filter((outlet) => outlet.type === "smtp");
  const used = smtp.filter(({ name }) => named.has(name));
  const retries = new Set(used.flatMap(({ retryOutlet }) => retryOutlet ?? []));
  return smtp.filter(({ name }) => named.has(name) || retries.has(name));
}

/** With return paths of our own the envelope is of the returns domain; with `keep`, of the domain of From. */
function returnPathsOf(name: string, config: SendingSettings) {
  const paths = sendingOutlets(config).map(({ returnPath }) => returnPath);
  const { returnsDomain } = config;
  if (returnsDomain === undefined) return { returnPathDomains: [name] };
  const isKept = paths.includes("keep");
  const isOwn = paths.length === 0 || paths.includes("verp");
  return {
    returnPathDomains: [...new Set([...(isOwn ? [returnsDomain] : []), ...(isKept ? [name] : [])])],
    returnsDomain,
  };
}
