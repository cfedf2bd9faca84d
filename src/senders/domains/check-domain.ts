// The whole look at a sender domain: asks the DNS for everything first, judges then. Writes nothing; what follows from it
// for the keys is told, and done by the caller.

import { checkReturnDomain } from "../../returns/check-return-domain.ts";
import { dkimNameOf } from "./dkim-record.ts";
import { askAddresses, askDns, askTexts, type DnsResolver } from "./dns-answer.ts";
import type { Finding } from "./finding.ts";
import { reverseNameOf } from "./ip-address.ts";
import { absentKeys, judgeDkim, seenKeys, type CheckedKey, type KeyAnswer } from "./judge-dkim.ts";
import { judgeAlignment, judgeDmarc } from "./judge-dmarc.ts";
import { judgeFromDomain, judgeReturnDomain, judgeReverse, type ReverseFacts } from "./judge-hosts.ts";
import { judgeSpf } from "./judge-spf.ts";
import type { SendingAddress } from "./sending-addresses.ts";
import { walkDmarc, type DmarcWalked } from "./walk-dmarc.ts";
import { walkSpf } from "./walk-spf.ts";

export interface DomainQuestion {
  readonly domain: string;
  /** Its own, or those of a domain above it that sign for it. */
  readonly keys: readonly CheckedKey[];
  /** Of the envelope's sender: the domain itself, or the one of return paths; SPF is theirs. */
  readonly returnPathDomains: readonly string[];
  /** The one that failure notices come home to. */
  readonly returnsDomain?: string;
  readonly addresses: readonly SendingAddress[];
}

export interface DomainChecked {
  readonly findings: readonly Finding[];
  /** Keys whose record was seen, and retired ones whose record is gone. */
  readonly seen: readonly CheckedKey[];
  readonly absent: readonly CheckedKey[];
}

export async function checkDomain(question: DomainQuestion, resolver: DnsResolver): Promise<DomainChecked> {
  const { domain, addresses } = question;
  const keyAnswers = await Promise.all(question.keys.map((key) => askForKey(key, resolver)));
  const seen = seenKeys(keyAnswers);
  const dmarc = await walkDmarc(domain, resolver);
  const findings: Finding[] = [...judgeDkim(domain, keyAnswers)];
  for (const returnPathDomain of question.returnPathDomains) {
    findings.push(...judgeSpf(returnPathDomain, await walkSpf(returnPathDomain, resolver), addresses));
  }
  findings.push(judgeDmarc(domain, dmarc));
  for (const returnPathDomain of question.returnPathDomains) {
    const returnPathDmarc = returnPathDomain === domain ? dmarc : await walkDmarc(returnPathDomain, resolver);
    const isSigned = seen.some((key) => isAlignedKey(key, domain, dmarc));
    findings.push(judgeAlignment({ domain, returnPathDomain, dmarc, returnPathDmarc, isSigned }));
  }
  for (const address of addresses) findings.push(judgeReverse(await askReverse(domain, address, resolver)));
  const mx = await askDns(() => resolver.resolveMx(domain));
  findings.push(judgeFromDomain(domain, mx, await askAddresses(domain, resolver)));
  if (question.returnsDomain !== undefined) {
    const answer = await checkReturnDomain(question.returnsDomain, resolver);
    findings.push(judgeReturnDomain(question.returnsDomain, answer, domain));
  }
  return { findings, seen, absent: absentKeys(keyAnswers) };
}

/** A key of a domain above is of the same organization; adkim=s asks for the same domain. */
function isAlignedKey(key: CheckedKey, domain: string, dmarc: DmarcWalked): boolean {
  const isStrict = dmarc.kind === "walked" && dmarc.record?.isDkimStrict === true;
  return key.state !== "retired" && (key.domain === domain || !isStrict);
}

async function askForKey(key: CheckedKey, resolver: DnsResolver): Promise<KeyAnswer> {
  return { key, answer: await askTexts(dkimNameOf(key), resolver) };
}

/** An address with more names than this is nobody's mail host. */
const NAMES_MAX = 10;

async function askReverse(domain: string, address: SendingAddress, resolver: DnsResolver): Promise<ReverseFacts> {
  const names = await askDns(() => resolver.resolvePtr(reverseNameOf(address.ip)));
  const known = names.kind === "answered" ? names.records.slice(0, NAMES_MAX) : [];
  const addresses = await Promise.all(
    known.map(async (name) => ({ name, answer: await askAddresses(name, resolver) })),
  );
  return { domain, address, names, addresses };
}
