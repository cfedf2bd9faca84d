// Follows an SPF record to all that it names and makes it a tree of networks, counting what a receiver would count: at most
// ten terms that ask the DNS, two of them in vain, and ten hosts behind an `mx` (RFC 7208 §4.6.4). The whole tree is
// walked, as it is for an address that matches nothing. What depends on the mail itself (macros, `ptr`) is not decided.

import { askAddresses, askDns, askTexts, type DnsResolver } from "./dns-answer.ts";
import { isWithin, parseIp, type IpAddress, type IpNetwork } from "./ip-address.ts";
import { hasMacro, isSpf, parseSpf, type SpfMechanism, type SpfQualifier, type SpfRecord } from "./spf-record.ts";

export interface SpfWalked {
  readonly tree: SpfTree;
  /** Terms that ask the DNS. */
  readonly lookups: number;
  readonly voidLookups: number;
  /** Errors that a receiver would end with; the first one counts. */
  readonly problems: readonly string[];
  /** Names that could not be asked for. */
  readonly failures: readonly string[];
}

export type SpfTree =
  | {
      readonly kind: "record";
      readonly text: string;
      readonly terms: readonly ResolvedTerm[];
      readonly redirect?: SpfTree;
    }
  /** No record there. */
  | { readonly kind: "none" }
  | { readonly kind: "bad"; readonly problem: string; readonly texts: readonly string[] }
  | { readonly kind: "failed"; readonly reason: string };

interface ResolvedTerm {
  readonly qualifier: SpfQualifier;
  readonly match:
    | { readonly kind: "all" }
    | { readonly kind: "networks"; readonly networks: readonly IpNetwork[] }
    | { readonly kind: "include"; readonly tree: SpfTree }
    /** Nobody can say without the mail. */
    | { readonly kind: "undecided" }
    | { readonly kind: "failed"; readonly reason: string };
}

export const SPF_LOOKUPS_MAX = 10;
export const SPF_VOID_LOOKUPS_MAX = 2;
const SPF_MX_MAX = 10;
/** A zone of somebody else's may go on for ever; what is too much is known long before. */
const LOOKUPS_FOLLOWED_MAX = 2 * SPF_LOOKUPS_MAX;

export async function walkSpf(domain: string, resolver: DnsResolver): Promise<SpfWalked> {
  const count = { lookups: 0, voidLookups: 0 };
  const problems: string[] = [];
  const failures: string[] = [];

  async function treeOf(name: string): Promise<SpfTree> {
    const answer = await askTexts(name, resolver);
    if (answer.kind === "failed") return failed(name, answer.reason);
    const texts = answer.records.filter(isSpf);
    const [text] = texts;
    if (text === undefined) return { kind: "none" };
    if (texts.length > 1) return broken(`${name} has ${texts.length} SPF records; there may be one`, texts);
    const parsed = parseSpf(text);
    return parsed.kind === "bad"
      ? broken(`${name}: ${parsed.problem}`, texts)
      : await resolved(name, text, parsed.record);
  }

  function failed(name: string, reason: string): { readonly kind: "failed"; readonly reason: string } {
    failures.push(`${name} (${reason})`);
    return { kind: "failed", reason };
  }

  function broken(problem: string, texts: readonly string[]): SpfTree {
    problems.push(problem);
    return { kind: "bad", problem, texts };
  }

  async function resolved(name: string, text: string, record: SpfRecord): Promise<SpfTree> {
    const terms: ResolvedTerm[] = [];
    for (const { qualifier, mechanism } of record.terms) {
      terms.push({ qualifier, match: await matchOf(name, mechanism) });
    }
    // RFC 7208 §6.1: beside an `all` it is ignored.
    const isFollowed = record.redirect !== undefined && !record.terms.some(({ mechanism }) => mechanism.kind === "all");
    if (!isFollowed) return { kind: "record", text, terms };
    return { kind: "record", text, terms, redirect: await followed(record.redirect, "redirect=") };
  }

  /** RFC 7208 §5.2 and §6.1: where it leads there must be a record. */
  async function followed(name: string, term: string): Promise<SpfTree> {
    if (!mayAsk() || hasMacro(name)) return { kind: "failed", reason: "not followed" };
    const tree = await treeOf(name);
    if (tree.kind !== "none") return tree;
    count.voidLookups += 1;
    return broken(`${term}${name} leads to a domain without an SPF record`, []);
  }

  function mayAsk(): boolean {
    count.lookups += 1;
    return count.lookups <= LOOKUPS_FOLLOWED_MAX;
  }

  async function matchOf(name: string, mechanism: SpfMechanism): Promise<ResolvedTerm["match"]> {
    switch (mechanism.kind) {
      case "all":
        return { kind: "all" };
      case "ip":
        return { kind: "networks", networks: [mechanism.network] };
      case "include": {
        const tree = await followed(mechanism.domain, "include:");
        return tree.kind === "failed" && hasMacro(mechanism.domain) ? { kind: "undecided" } : { kind: "include", tree };
      }
      case "exists":
      case "ptr":
        mayAsk();
        return { kind: "undecided" };
      case "a":
      case "mx": {
        const target = mechanism.domain ?? name;
        if (!mayAsk() || hasMacro(target)) return { kind: "undecided" };
        return mechanism.kind === "a" ? await hostMatch([target], mechanism) : await mxMatch(target, mechanism);
      }
    }
  }

  async function mxMatch(target: string, mechanism: Prefixes): Promise<ResolvedTerm["match"]> {
    const answer = await askDns(() => resolver.resolveMx(target));
    if (answer.kind === "failed") return failed(target, answer.reason);
    const hosts = answer.records.map(({ exchange }) => exchange).filter((host) => host !== "" && host !== ".");
    if (hosts.length > SPF_MX_MAX) problems.push(`mx of ${target} has more than ${SPF_MX_MAX} hosts`);
    if (hosts.length > 0) return await hostMatch(hosts.slice(0, SPF_MX_MAX), mechanism);
    count.voidLookups += 1;
    return { kind: "networks", networks: [] };
  }

  async function hostMatch(hosts: readonly string[], prefixes: Prefixes): Promise<ResolvedTerm["match"]> {
    const networks: IpNetwork[] = [];
    for (const host of hosts) {
      const answer = await askAddresses(host, resolver);
      if (answer.kind === "failed") return failed(host, answer.reason);
      if (answer.records.length === 0) count.voidLookups += 1;
      networks.push(...answer.records.flatMap((address) => networkOf(address, prefixes)));
    }
    return { kind: "networks", networks };
  }

  const tree = await treeOf(domain);
  return { tree, ...count, problems, failures };
}

interface Prefixes {
  readonly prefix4: number;
  readonly prefix6: number;
}

function networkOf(address: string, { prefix4, prefix6 }: Prefixes): readonly IpNetwork[] {
  const ip = parseIp(address);
  if (ip === undefined) return [];
  return [{ octets: ip.octets, prefix: ip.octets.length === 4 ? prefix4 : prefix6 }];
}

export type SpfResult = "pass" | "fail" | "softfail" | "neutral" | "none" | "permerror" | "temperror" | "undecided";

/** What a receiver would say to mail from this address, by the terms in their order. */
export function spfResult(tree: SpfTree, ip: IpAddress): SpfResult {
  if (tree.kind === "none") return "none";
  if (tree.kind === "bad") return "permerror";
  if (tree.kind === "failed") return "temperror";
  for (const { qualifier, match } of tree.terms) {
    const answer = matches(match, ip);
    if (answer === "matches") return RESULTS[qualifier];
    if (answer !== "not") return answer;
  }
  if (tree.redirect === undefined) return "neutral";
  const redirected = spfResult(tree.redirect, ip);
  return redirected === "none" ? "permerror" : redirected;
}

const RESULTS = { "+": "pass", "-": "fail", "~": "softfail", "?": "neutral" } as const;

/** RFC 7208 §5.2: of an included record only a pass matches, and its errors are ours. */
function matches(
  match: ResolvedTerm["match"],
  ip: IpAddress,
): "matches" | "not" | "permerror" | "temperror" | "undecided" {
  switch (match.kind) {
    case "all":
      return "matches";
    case "networks":
      return match.networks.some((network) => isWithin(ip, network)) ? "matches" : "not";
    case "failed":
      return "temperror";
    case "undecided":
      return "undecided";
    case "include": {
      const result = spfResult(match.tree, ip);
      if (result === "pass") return "matches";
      if (result === "none") return "permerror";
      return result === "permerror" || result === "temperror" || result === "undecided" ? result : "not";
    }
  }
}

/** How the record ends for all others; undefined: it does not say. */
export function endOf(tree: SpfTree): SpfQualifier | undefined {
  if (tree.kind !== "record") return undefined;
  const all = tree.terms.find(({ match }) => match.kind === "all");
  if (all !== undefined) return all.qualifier;
  return tree.redirect === undefined ? undefined : endOf(tree.redirect);
}
