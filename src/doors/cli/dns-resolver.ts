// The DNS as commands ask it: the name servers of the configuration, or the system's.

import { Resolver } from "node:dns/promises";
import type { Config } from "../../platform/config.ts";
import type { DnsResolver } from "../../senders/domains/dns-answer.ts";

const DNS_MS_MAX = 3000;
const DNS_TRIES = 2;

export function resolverOf({ resolvers }: Config): DnsResolver {
  const resolver = new Resolver({ timeout: DNS_MS_MAX, tries: DNS_TRIES });
  if (resolvers.length > 0) resolver.setServers(resolvers);
  return resolver;
}
