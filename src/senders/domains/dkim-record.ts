// The DNS record of a DKIM key: its text, how it is published, and whether what DNS holds is the same key. Records of
// others are hostile: what cannot be read is a problem in a sentence. Pure.

import type { DkimAlgorithm } from "./dkim-key-pair.ts";
import { harmlessText } from "./harmless-text.ts";
import { parseTags } from "./tag-list.ts";
import { txtRecord, type DnsRecord } from "./txt-record.ts";

export interface PublishedKey {
  readonly domain: string;
  readonly selector: string;
  readonly algorithm: DkimAlgorithm;
  readonly publicKey: string;
}

export function dkimNameOf({ domain, selector }: Pick<PublishedKey, "domain" | "selector">): string {
  return `${selector}._domainkey.${domain}`;
}

/** RFC 6376 §3.6.1. */
export function dkimRecordOf(key: PublishedKey): DnsRecord {
  return txtRecord(dkimNameOf(key), `v=DKIM1; k=${key.algorithm}; p=${key.publicKey}`, key.domain);
}

export type DkimRecordJudged =
  | { readonly kind: "ours"; readonly isTesting: boolean }
  | { readonly kind: "missing" }
  | { readonly kind: "wrong"; readonly problem: string };

/** Of all TXT records under its name; other texts there are ignored, as verifiers do. */
export function judgeDkimRecord(key: PublishedKey, texts: readonly string[]): DkimRecordJudged {
  const records = texts.map((text) => parseTags(text)).filter((tags) => tags?.has("p"));
  const [tags] = records;
  if (tags === undefined) return texts.length === 0 ? { kind: "missing" } : noKeyIn(texts);
  if (records.length > 1) return { kind: "wrong", problem: `${records.length} keys stand under one name; leave one` };
  const problem = problemOf(tags, key);
  if (problem !== undefined) return { kind: "wrong", problem };
  return { kind: "ours", isTesting: listOf(tags.get("t")).includes("y") };
}

function noKeyIn([text = ""]: readonly string[]): DkimRecordJudged {
  return { kind: "wrong", problem: `there is no p= in it: "${harmlessText(text)}"` };
}

function problemOf(tags: ReadonlyMap<string, string>, key: PublishedKey): string | undefined {
  const version = tags.get("v");
  if (version !== undefined && version !== "DKIM1") return `v=${harmlessText(version)} is not v=DKIM1`;
  const published = (tags.get("p") ?? "").replaceAll(/\s/g, "");
  if (published === "") return "p= is empty: the key is revoked";
  const algorithm = tags.get("k") ?? "rsa";
  if (algorithm !== key.algorithm) return `k=${harmlessText(algorithm)} is not k=${key.algorithm}`;
  if (withoutPadding(published) !== withoutPadding(key.publicKey)) {
    return withoutPadding(key.publicKey).startsWith(withoutPadding(published))
      ? `the key is cut off after ${published.length} characters`
      : "it is another key";
  }
  const hashes = listOf(tags.get("h"));
  if (hashes.length > 0 && !hashes.includes("sha256")) return "h= does not allow sha256";
  const services = listOf(tags.get("s"));
  if (services.length > 0 && !services.includes("*") && !services.includes("email")) return "s= does not allow email";
  return undefined;
}

function listOf(value: string | undefined): readonly string[] {
  return value === undefined ? [] : value.split(":").map((word) => word.trim());
}

function withoutPadding(base64: string): string {
  return base64.replace(/=+$/, "");
}
