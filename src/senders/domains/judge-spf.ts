// What the SPF record of a return path's domain is worth: whether there is one that receivers can work with, and whether
// it covers the addresses that mail leaves from. Pure.

import { notAsked, okay, RULES, type Finding } from "./finding.ts";
import { harmlessText } from "./harmless-text.ts";
import type { SendingAddress } from "./sending-addresses.ts";
import { txtRecord, type DnsRecord } from "./txt-record.ts";
import { endOf, SPF_LOOKUPS_MAX, SPF_VOID_LOOKUPS_MAX, spfResult, type SpfWalked } from "./walk-spf.ts";

export function judgeSpf(domain: string, walked: SpfWalked, addresses: readonly SendingAddress[]): readonly Finding[] {
  const record = judgeRecord(domain, walked, addresses);
  const isUsable = record.status === "ok" || record.status === "advice";
  if (!isUsable || walked.tree.kind !== "record") return [record];
  if (addresses.length === 0) return [record, addressUnknown(domain)];
  return [record, ...addresses.map((address) => judgeAddress(domain, walked, address))];
}

function judgeRecord(domain: string, walked: SpfWalked, addresses: readonly SendingAddress[]): Finding {
  const base = { check: "spf", name: domain, is_required: true, rule: RULES.spf, publish: [] } as const;
  const { tree, lookups, voidLookups, problems, failures } = walked;
  if (tree.kind === "failed") return notAsked("spf", domain, tree.reason);
  if (tree.kind === "none") return { ...base, status: "missing", ...firstRecord(domain, addresses) };
  const [problem] = problems;
  const wrong = (found: string, publish: readonly DnsRecord[] = []): Finding => ({
    ...base,
    status: "wrong",
    found,
    publish,
  });
  if (tree.kind === "bad") return wrong(tree.problem, mergedOf(domain, tree.texts));
  if (problem !== undefined) return wrong(problem);
  if (lookups > SPF_LOOKUPS_MAX) {
    return wrong(
      `asks the DNS ${countOf(lookups)} times, at most ${SPF_LOOKUPS_MAX} are allowed: leave includes out, or name their networks`,
    );
  }
  if (failures.length > 0) return notAsked("spf", domain, `of what it names, ${failures[0]}`);
  if (voidLookups > SPF_VOID_LOOKUPS_MAX) {
    return wrong(`${voidLookups} of the names in it lead nowhere, at most ${SPF_VOID_LOOKUPS_MAX} may: leave them out`);
  }
  switch (endOf(tree)) {
    case "-":
    case "~":
      return okay("spf", domain, `"${harmlessText(tree.text)}", ${lookups} of ${SPF_LOOKUPS_MAX} lookups`);
    case "+":
      return wrong("ends in +all: anybody may send in this name", [spfRecord(domain, withEnd(tree.text))]);
    case "?":
    case undefined: {
      const publish = [spfRecord(domain, withEnd(tree.text))];
      return { ...base, status: "advice", found: "says nothing of other addresses: end it in ~all or -all", publish };
    }
  }
}

function countOf(lookups: number): string {
  return lookups > 2 * SPF_LOOKUPS_MAX ? `more than ${2 * SPF_LOOKUPS_MAX}` : String(lookups);
}

function firstRecord(domain: string, addresses: readonly SendingAddress[]): Pick<Finding, "found" | "publish"> {
  if (addresses.length === 0) {
    return {
      found:
        "has no SPF record: say with --ip which address mail leaves from, and what to publish is told; a provider that sends for you names its include:",
      publish: [],
    };
  }
  const terms = addresses.map(termOf).join(" ");
  return { found: "has no SPF record", publish: [spfRecord(domain, `v=spf1 ${terms} ~all`)] };
}

function addressUnknown(domain: string): Finding {
  const found = "whether it covers the address that mail leaves from was not judged: name it with --ip";
  return { check: "spf_address", name: domain, status: "advice", is_required: false, found, rule: null, publish: [] };
}

function judgeAddress(domain: string, { tree }: SpfWalked, address: SendingAddress): Finding {
  const { ip, origin } = address;
  const from = origin === undefined ? ip.text : `${ip.text} (${origin})`;
  const isRequired = origin === undefined;
  const base = { check: "spf_address", name: domain, is_required: isRequired, rule: RULES.spf, publish: [] } as const;
  const result = spfResult(tree, ip);
  switch (result) {
    case "pass":
      return { ...okay("spf_address", domain, `covers ${from}`), is_required: isRequired };
    case "temperror":
      return notAsked("spf_address", domain, "of what it names", isRequired);
    case "undecided":
      return {
        ...base,
        status: "advice",
        found: `whether it covers ${from} depends on macros or ptr, which are not judged here`,
      };
    case "fail":
    case "softfail":
    case "neutral":
    case "none":
    case "permerror": {
      const text = tree.kind === "record" ? tree.text : "";
      const publish = [spfRecord(domain, withTerm(text, termOf(address)))];
      return { ...base, status: "wrong", found: `does not cover ${from} (${result})`, publish };
    }
  }
}

function spfRecord(domain: string, text: string): DnsRecord {
  return txtRecord(domain, text, domain);
}

function termOf({ ip }: SendingAddress): string {
  return `${ip.octets.length === 4 ? "ip4" : "ip6"}:${ip.text}`;
}

/** Before what ends it: terms behind `all` are never looked at. */
function withTerm(text: string, term: string): string {
  const words = text.split(/ +/);
  const end = words.findIndex((word) => isEnd(word));
  return words.toSpliced(end === -1 ? words.length : end, 0, term).join(" ");
}

function withEnd(text: string): string {
  const words = text.split(/ +/).filter((word) => !/^[+?~-]?all$/i.test(word));
  return [...words, "~all"].join(" ");
}

function isEnd(word: string): boolean {
  return /^(?:[+?~-]?all|redirect=.*)$/i.test(word);
}

/** One record of several. */
function mergedOf(domain: string, texts: readonly string[]): readonly DnsRecord[] {
  if (texts.length < 2) return [];
  const words = texts.flatMap((text) => text.split(/ +/).slice(1)).filter((word) => word !== "" && !isEnd(word));
  return [spfRecord(domain, ["v=spf1", ...new Set(words), "~all"].join(" "))];
}
