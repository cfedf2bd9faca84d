// What the DMARC record that holds for a domain is worth, and whether the return path aligns with From. Pure.

import { notAsked, okay, RULES, type Finding } from "./finding.ts";
import { harmlessText } from "./harmless-text.ts";
import { txtRecord } from "./txt-record.ts";
import type { DmarcRecord, DmarcWalked } from "./walk-dmarc.ts";

export function judgeDmarc(domain: string, walked: DmarcWalked): Finding {
  if (walked.kind === "failed") return notAsked("dmarc", `_dmarc.${walked.domain}`, walked.reason);
  const { record, ignored } = walked;
  const [bad] = ignored;
  if (record === undefined) {
    const where = bad?.domain ?? domain;
    const found = bad === undefined ? `there is none for ${domain}, nor for a domain above it` : bad.problem;
    const status = bad === undefined ? "missing" : "wrong";
    return { ...firstRecord(where), status, found };
  }
  return judgeRecord(domain, record);
}

function firstRecord(domain: string): Omit<Finding, "status" | "found"> {
  const name = `_dmarc.${domain}`;
  const publish = [txtRecord(name, `v=DMARC1; p=none; rua=mailto:dmarc@${domain}`, domain)];
  return { check: "dmarc", name, is_required: true, rule: RULES.dmarc, publish };
}

function judgeRecord(domain: string, record: DmarcRecord): Finding {
  const name = `_dmarc.${record.domain}`;
  const fine = okay("dmarc", name, `"${harmlessText(record.text)}"`);
  const advice = (found: string, text: string): Finding => ({
    ...fine,
    status: "advice",
    found,
    publish: [txtRecord(name, text, record.domain)],
  });
  if (record.isPolicyMissing) return advice("has no valid p=, and older receivers ignore it then", withPolicy(record));
  if (!record.hasReports) {
    const text = `${record.text.replace(/[;\s]*$/, "")}; rua=mailto:dmarc@${record.domain}`;
    return advice(`holds for ${domain}; without a rua= nobody tells you of mail that fails`, text);
  }
  return fine;
}

function withPolicy({ text }: DmarcRecord): string {
  const others = text.split(";").filter((part) => part.trim() !== "" && !/^\s*(?:v|p)\s*=/i.test(part));
  return ["v=DMARC1", "p=none", ...others.map((part) => part.trim())].join("; ");
}

export interface AlignmentFacts {
  readonly domain: string;
  readonly returnPathDomain: string;
  readonly dmarc: DmarcWalked;
  readonly returnPathDmarc: DmarcWalked;
  /** A key signs that From aligns with, whatever the return path is. */
  readonly isSigned: boolean;
}

/** RFC 9989 §4.4: strict, the same domain; relaxed, domains of one organization. */
export function judgeAlignment(facts: AlignmentFacts): Finding {
  const { domain, returnPathDomain, dmarc, returnPathDmarc, isSigned } = facts;
  const name = returnPathDomain;
  if (domain === name) return okay("alignment", name, "the return path is of the same domain as From");
  if (dmarc.kind === "failed") return notAsked("alignment", name, dmarc.reason, !isSigned);
  if (returnPathDmarc.kind === "failed") return notAsked("alignment", name, returnPathDmarc.reason, !isSigned);
  const isStrict = dmarc.record?.isSpfStrict === true;
  const isOne = dmarc.organizationalDomain === returnPathDmarc.organizationalDomain;
  // Without any record neither walk finds an organization; then the names have to do.
  const isNested = dmarc.record === undefined && isSameTree(domain, name);
  if (!isStrict && (isOne || isNested))
    return okay("alignment", name, `the return path is of one organization with ${domain}`);
  const why = isStrict ? "aspf=s asks for the same domain" : `it is of another organization than ${domain}`;
  const found = isSigned
    ? `the return path does not align (${why}): SPF counts for nothing in DMARC, and DKIM carries it alone`
    : `nothing aligns with From: the return path does not (${why}), nor does a key that signs`;
  const status = isSigned ? "advice" : "wrong";
  return { check: "alignment", name, status, is_required: !isSigned, found, rule: RULES.alignment, publish: [] };
}

function isSameTree(one: string, other: string): boolean {
  return one.endsWith(`.${other}`) || other.endsWith(`.${one}`);
}
