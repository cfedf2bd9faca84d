// The addresses that mail may leave from: those that somebody names, or else, as a guess, those of the outlets' hosts that
// the world can see. A relay on this machine or in a private network tells nothing, and a provider sends from others.

import { askAddresses, type DnsResolver } from "./dns-answer.ts";
import { isPublic, parseIp, type IpAddress } from "./ip-address.ts";

export interface SendingAddress {
  readonly ip: IpAddress;
  /** Where the guess comes from; absent: somebody has named it. */
  readonly origin?: string;
}

/** A guess of more helps nobody. */
const GUESSES_MAX = 8;

export async function guessAddresses(
  outlets: readonly { readonly name: string; readonly hosts: readonly { readonly host: string }[] }[],
  resolver: DnsResolver,
): Promise<readonly SendingAddress[]> {
  const guesses = new Map<string, SendingAddress>();
  for (const { name, hosts } of outlets) {
    for (const { host } of hosts) {
      for (const text of await addressesOf(host, resolver)) {
        const ip = parseIp(text);
        if (ip === undefined || !isPublic(ip) || guesses.size >= GUESSES_MAX) continue;
        guesses.set(text, { ip, origin: `a host of outlet ${name}` });
      }
    }
  }
  return [...guesses.values()];
}

async function addressesOf(host: string, resolver: DnsResolver): Promise<readonly string[]> {
  if (parseIp(host) !== undefined) return [host];
  if (!host.includes(".")) return [];
  const answer = await askAddresses(host, resolver);
  return answer.kind === "failed" ? [] : answer.records;
}
