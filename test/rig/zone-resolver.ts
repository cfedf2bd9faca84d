// A resolver over a made-up zone, without a wire: for tables of what is made of answers. The wire is tried by others
// (fake-dns.ts). A name that is not in the zone does not exist; one that is a text fails with it as its code.

import type { DnsResolver } from "../../src/senders/domains/dns-answer.ts";

export interface ZoneRecords {
  readonly TXT?: readonly string[];
  readonly MX?: readonly string[];
  readonly A?: readonly string[];
  readonly AAAA?: readonly string[];
  readonly PTR?: readonly string[];
}

export type Zone = Readonly<Record<string, ZoneRecords | string>>;

export interface ZoneResolver extends DnsResolver {
  readonly asked: readonly string[];
}

export function zoneResolver(zone: Zone): ZoneResolver {
  const asked: string[] = [];
  const find = async (name: string, type: keyof ZoneRecords): Promise<readonly string[]> => {
    asked.push(`${type} ${name}`);
    const records = zone[name];
    if (typeof records === "string") throw Object.assign(new Error(records), { code: records });
    if (records === undefined) throw Object.assign(new Error("no such name"), { code: "ENOTFOUND" });
    const found = records[type];
    if (found === undefined) throw Object.assign(new Error("no such record"), { code: "ENODATA" });
    return found;
  };
  return {
    asked,
    resolveTxt: async (name) => (await find(name, "TXT")).map((text) => text.match(/.{1,255}/gs) ?? [""]),
    resolveMx: async (name) => (await find(name, "MX")).map((exchange) => ({ exchange })),
    resolve4: (name) => find(name, "A"),
    resolve6: (name) => find(name, "AAAA"),
    resolvePtr: (name) => find(name, "PTR"),
  };
}
