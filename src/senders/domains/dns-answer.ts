// Questions to the DNS as `domain check` asks them. The resolver comes in as an argument. "No such name" and "no such record"
// are answers; SERVFAIL, a refusal and silence are none, and never taken for "missing".

import type { DomainResolver } from "../../returns/check-return-domain.ts";

/** The part of `node:dns/promises` that is asked; rejects with an error that has a `code`. */
export interface DnsResolver extends DomainResolver {
  resolveTxt(name: string): Promise<readonly (readonly string[])[]>;
  resolvePtr(name: string): Promise<readonly string[]>;
}

export type DnsAnswer<Row> =
  /** Empty: there is no such name, or no such record there. */
  | { readonly kind: "answered"; readonly records: readonly Row[] }
  | { readonly kind: "failed"; readonly reason: string };

/** More of one kind are nobody's mail set-up. */
const RECORDS_MAX = 100;

export async function askDns<Row>(question: () => Promise<readonly Row[]>): Promise<DnsAnswer<Row>> {
  try {
    return { kind: "answered", records: (await question()).slice(0, RECORDS_MAX) };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    // EBADNAME: a name that cannot be in the DNS, such as one with an empty label.
    return NONE.has(code) ? { kind: "answered", records: [] } : { kind: "failed", reason: code };
  }
}

const NONE: ReadonlySet<string> = new Set(["ENOTFOUND", "ENODATA", "EBADNAME"]);

/** Each record as one text: its strings are joined without a space (RFC 7208 §3.3, RFC 6376 §3.6.2.2). */
export async function askTexts(name: string, resolver: DnsResolver): Promise<DnsAnswer<string>> {
  const answer = await askDns(() => resolver.resolveTxt(name));
  return answer.kind === "failed" ? answer : { ...answer, records: answer.records.map((strings) => strings.join("")) };
}

/** A and AAAA together. */
export async function askAddresses(name: string, resolver: DnsResolver): Promise<DnsAnswer<string>> {
  const answers = await Promise.all([askDns(() => resolver.resolve4(name)), askDns(() => resolver.resolve6(name))]);
  const failed = answers.find((answer) => answer.kind === "failed");
  if (failed !== undefined) return failed;
  return { kind: "answered", records: answers.flatMap((answer) => (answer.kind === "answered" ? answer.records : [])) };
}
