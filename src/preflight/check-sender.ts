// Whom a campaign is from: whether the world can answer, whether a key signs for the domain, whether something aligns with it,
// and, only when it is asked for, what the DNS says.

import type { Pool } from "pg";
import type { Sender } from "../compose/message-sender.ts";
import { checkDomain } from "../senders/domains/check-domain.ts";
import type { DnsResolver } from "../senders/domains/dns-answer.ts";
import { domainQuestion, sendingOutlets } from "../senders/domains/domain-question.ts";
import { isFailed, type Finding } from "../senders/domains/finding.ts";
import { guessAddresses } from "../senders/domains/sending-addresses.ts";
import { isDomainSigned } from "../senders/domains/signed-domain.ts";
import type { FindingCollector } from "./collect-findings.ts";
import type { PreflightSettings } from "./copy-settings.ts";
import { isPrivateHost } from "./find-links.ts";

export async function checkSender(
  {
    pool,
    settings,
    resolver,
  }: { readonly pool: Pool; readonly settings: PreflightSettings; readonly resolver: DnsResolver | undefined },
  { domain, address }: Sender,
  lane: string,
  findings: FindingCollector,
): Promise<void> {
  if (isPrivateHost(domain)) {
    findings.add("from_invalid", address);
    return;
  }
  const isSigned = await isDomainSigned(pool, domain.toLowerCase(), settings.dkim.keys);
  if (!isSigned) findings.add("from_unsigned", domain);
  const stranger = isSigned ? undefined : strangeReturnPath(settings, lane, domain.toLowerCase());
  if (stranger !== undefined) findings.add("from_unaligned", `return paths are of ${stranger}, From is of ${domain}`);
  if (resolver !== undefined) await askForDomain(pool, settings, resolver, domain.toLowerCase(), findings);
}

/** The domain of return paths that names another organization than From, as far as names can tell. */
function strangeReturnPath(
  { lanes, outlets, returnsDomain }: PreflightSettings,
  lane: string,
  domain: string,
): string | undefined {
  if (returnsDomain === undefined || isSameTree(returnsDomain.toLowerCase(), domain)) return undefined;
  const isStrange = (lanes[lane]?.outlets ?? []).some((name) => {
    const outlet = outlets[name];
    return outlet?.type === "smtp" && outlet.returnPath === "verp";
  });
  return isStrange ? returnsDomain : undefined;
}

function isSameTree(one: string, other: string): boolean {
  return one === other || one.endsWith(`.${other}`) || other.endsWith(`.${one}`);
}

async function askForDomain(
  pool: Pool,
  settings: PreflightSettings,
  resolver: DnsResolver,
  domain: string,
  findings: FindingCollector,
): Promise<void> {
  const addresses = await guessAddresses(sendingOutlets(settings), resolver);
  const checked = await checkDomain(await domainQuestion(pool, settings, domain, addresses), resolver);
  for (const finding of checked.findings) {
    const code = codeOf(finding);
    if (code !== undefined) findings.add(code, `${finding.check} ${finding.name}: ${finding.found}`);
  }
}

function codeOf(finding: Finding): "dns_unmet" | "dns_unanswered" | "dns_advice" | undefined {
  if (finding.status === "ok") return undefined;
  if (finding.status === "not_asked") return "dns_unanswered";
  return isFailed(finding) ? "dns_unmet" : "dns_advice";
}
