// An SPF record read into its terms (RFC 7208 §4.6 and §12), as strictly as a receiver does: one mistake makes all of it
// useless, so it is told which one. Asks nobody. Pure.

import { harmlessText } from "./harmless-text.ts";
import { parseIpNetwork, type IpNetwork } from "./ip-address.ts";

export type SpfQualifier = "+" | "-" | "~" | "?";

export type SpfMechanism =
  | { readonly kind: "all" }
  | { readonly kind: "ip"; readonly network: IpNetwork }
  /** Without a domain: the one whose record it is. Prefixes of IPv4 and IPv6. */
  | { readonly kind: "a" | "mx"; readonly domain?: string; readonly prefix4: number; readonly prefix6: number }
  | { readonly kind: "include" | "exists"; readonly domain: string }
  | { readonly kind: "ptr"; readonly domain?: string };

export interface SpfTerm {
  readonly qualifier: SpfQualifier;
  readonly mechanism: SpfMechanism;
  readonly text: string;
}

export interface SpfRecord {
  readonly terms: readonly SpfTerm[];
  readonly redirect?: string;
}

export type SpfParsed =
  | { readonly kind: "record"; readonly record: SpfRecord }
  | { readonly kind: "bad"; readonly problem: string };

/** RFC 7208 §4.5: the version is a word of its own. */
export function isSpf(text: string): boolean {
  return /^v=spf1(?: |$)/i.test(text);
}

/** Of a record that `isSpf` takes for one. */
export function parseSpf(text: string): SpfParsed {
  const terms: SpfTerm[] = [];
  let redirect: string | undefined;
  for (const word of text.split(/ +/).slice(1).filter(Boolean)) {
    const [, name = "", value = ""] = /^([a-z][a-z0-9._-]*)=(.*)$/i.exec(word) ?? [];
    if (name.toLowerCase() === "redirect") {
      if (redirect !== undefined) return bad("redirect= stands there twice");
      if (!isDomainSpec(value)) return bad(`"${word}" names no domain`);
      redirect = value.toLowerCase();
    } else if (name === "") {
      const term = parseTerm(word);
      if (term === undefined) return bad(`"${word}" is no mechanism that there is`);
      terms.push(term);
    }
  }
  return { kind: "record", record: { terms, ...(redirect === undefined ? {} : { redirect }) } };
}

/** What it means depends on the mail; it is not expanded here. */
export function hasMacro(domain: string): boolean {
  return domain.includes("%");
}

function bad(problem: string): SpfParsed {
  return { kind: "bad", problem: harmlessText(problem) };
}

function parseTerm(word: string): SpfTerm | undefined {
  const [, sign = "", name = "", rest = ""] = /^([+?~-]?)([a-z0-9]+)([:/].*)?$/i.exec(word) ?? [];
  const mechanism = parseMechanism(name.toLowerCase(), rest);
  return mechanism && { qualifier: sign === "" ? "+" : (sign as SpfQualifier), mechanism, text: word };
}

function parseMechanism(name: string, rest: string): SpfMechanism | undefined {
  switch (name) {
    case "all":
      return rest === "" ? { kind: "all" } : undefined;
    case "ip4":
    case "ip6": {
      const network = rest.startsWith(":") ? parseIpNetwork(rest.slice(1)) : undefined;
      const octets = name === "ip4" ? 4 : 16;
      return network?.octets.length === octets ? { kind: "ip", network } : undefined;
    }
    case "a":
    case "mx":
      return parseHosts(name, rest);
    case "include":
    case "exists":
      return rest.startsWith(":") && isDomainSpec(rest.slice(1)) ? { kind: name, domain: lower(rest) } : undefined;
    case "ptr":
      if (rest === "") return { kind: "ptr" };
      return rest.startsWith(":") && isDomainSpec(rest.slice(1)) ? { kind: "ptr", domain: lower(rest) } : undefined;
    default:
      return undefined;
  }
}

/** `a`, `a:example.com`, `a/24`, `a:example.com/24//64`, `mx//64`. */
function parseHosts(kind: "a" | "mx", rest: string): SpfMechanism | undefined {
  const [matched, spec, bits4, bits6] = /^(:[^/]*)?(?:\/(\d{1,2}))?(?:\/\/(\d{1,3}))?$/.exec(rest) ?? [];
  const [prefix4, prefix6] = [Number(bits4 ?? 32), Number(bits6 ?? 128)];
  if (matched === undefined || prefix4 > 32 || prefix6 > 128) return undefined;
  if (spec !== undefined && !isDomainSpec(spec.slice(1))) return undefined;
  return { kind, prefix4, prefix6, ...(spec === undefined ? {} : { domain: lower(spec) }) };
}

/** Behind the colon. */
function lower(rest: string): string {
  return rest.slice(1).toLowerCase();
}

/** RFC 7208 §7.1: visible characters, % only in macros, and a domain at the end. */
function isDomainSpec(text: string): boolean {
  const withoutMacros = text.replaceAll(/%\{[slodiphcrtv]\d{0,3}r?[.+,/_=-]*\}|%[%_-]/gi, "m");
  return text.length <= 253 && /^[!-$&-~]+$/.test(withoutMacros) && !/^\.|\.\.|:/.test(withoutMacros);
}
