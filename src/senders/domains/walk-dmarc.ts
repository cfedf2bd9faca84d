// Where the DMARC policy of a domain stands, and which domain its organization's is: the DNS Tree Walk of RFC 9989 §4.10.
// That a walk from a domain of eight labels and more goes on with the last seven, and the selection by `psd`, are written
// from memory of the RFC and its drafts. Knows no list of public suffixes.

import { askTexts, type DnsResolver } from "./dns-answer.ts";
import { parseTags } from "./tag-list.ts";

export interface DmarcRecord {
  /** Where it stands, without `_dmarc.`. */
  readonly domain: string;
  readonly text: string;
  readonly policy: "none" | "quarantine" | "reject";
  /** The policy is there because nothing else was said. */
  readonly isPolicyMissing: boolean;
  readonly subdomainPolicy?: string;
  readonly isDkimStrict: boolean;
  readonly isSpfStrict: boolean;
  readonly psd: "y" | "n" | "u";
  /** Somebody is told how it goes. */
  readonly hasReports: boolean;
}

export type DmarcWalked =
  | {
      readonly kind: "walked";
      /** The one that holds for this domain. */
      readonly record?: DmarcRecord;
      readonly organizationalDomain: string;
      /** Of the domain itself: records that are ignored, and why. */
      readonly ignored: readonly { readonly domain: string; readonly problem: string }[];
    }
  | { readonly kind: "failed"; readonly domain: string; readonly reason: string };

/** The labels of the first name that is asked for after a longer one. */
const LABELS_MAX = 7;

export async function walkDmarc(domain: string, resolver: DnsResolver): Promise<DmarcWalked> {
  const records: DmarcRecord[] = [];
  const ignored: { domain: string; problem: string }[] = [];
  for (const name of namesOf(domain)) {
    const answer = await askTexts(`_dmarc.${name}`, resolver);
    if (answer.kind === "failed") return { kind: "failed", domain: name, reason: answer.reason };
    const read = readRecords(name, answer.records);
    if (read.kind === "ignored") ignored.push({ domain: name, problem: read.problem });
    if (read.kind !== "record") continue;
    records.push(read.record);
    if (read.record.psd === "n" || (read.record.psd === "y" && name !== domain)) break;
  }
  const organizationalDomain = organizationalDomainOf(domain, records);
  const record =
    records.find((found) => found.domain === domain) ??
    records.find((found) => found.domain === organizationalDomain) ??
    records.find((found) => found.psd === "y");
  return { kind: "walked", organizationalDomain, ignored, ...(record === undefined ? {} : { record }) };
}

/** `a.b.example.com`, `b.example.com`, `example.com`, `com`. */
export function namesOf(domain: string): readonly string[] {
  const labels = domain.split(".");
  const first = labels.length > LABELS_MAX ? labels.length - LABELS_MAX : 1;
  return [domain, ...labels.slice(first).map((_, index) => labels.slice(first + index).join("."))];
}

type RecordsRead =
  | { readonly kind: "none" }
  | { readonly kind: "record"; readonly record: DmarcRecord }
  | { readonly kind: "ignored"; readonly problem: string };

function readRecords(domain: string, texts: readonly string[]): RecordsRead {
  const records = texts.filter((text) => /^v\s*=\s*DMARC1\s*(?:;|$)/.test(text));
  const [text] = records;
  if (text === undefined) return texts.length === 0 ? { kind: "none" } : looksAlike(texts);
  if (records.length > 1) return { kind: "ignored", problem: `${records.length} DMARC records: all are ignored` };
  const tags = parseTags(text);
  if (tags === undefined) return { kind: "ignored", problem: "it is no list of tags" };
  const written = tags.get("p")?.toLowerCase();
  const policy = POLICIES.find((word) => word === written);
  const hasReports = /(?:^|,)\s*mailto:[^\s,]+@/i.test(tags.get("rua") ?? "");
  if (policy === undefined && !hasReports) {
    return { kind: "ignored", problem: "it has neither a p= of none, quarantine or reject nor a rua=" };
  }
  const psd = tags.get("psd")?.toLowerCase();
  const subdomainPolicy = tags.get("sp")?.toLowerCase();
  return {
    kind: "record",
    record: {
      domain,
      text,
      policy: policy ?? "none",
      isPolicyMissing: policy === undefined,
      ...(subdomainPolicy === undefined ? {} : { subdomainPolicy }),
      isDkimStrict: tags.get("adkim")?.toLowerCase() === "s",
      isSpfStrict: tags.get("aspf")?.toLowerCase() === "s",
      psd: psd === "y" || psd === "n" ? psd : "u",
      hasReports,
    },
  };
}

const POLICIES = ["none", "quarantine", "reject"] as const;

/** Other texts may stand there; one that was meant for it is worth a word. */
function looksAlike(texts: readonly string[]): RecordsRead {
  const isMeant = texts.some((text) => /dmarc/i.test(text));
  return isMeant ? { kind: "ignored", problem: "it does not begin with v=DMARC1;" } : { kind: "none" };
}

function organizationalDomainOf(domain: string, records: readonly DmarcRecord[]): string {
  for (const record of records) {
    if (record.psd === "n") return record.domain;
    if (record.psd === "y" && record.domain !== domain) return oneBelow(record.domain, domain);
  }
  return records.at(-1)?.domain ?? domain;
}

/** The part of `domain` that has one label more than `suffix`. */
function oneBelow(suffix: string, domain: string): string {
  const labels = domain.split(".");
  return labels.slice(-(suffix.split(".").length + 1)).join(".");
}
