// What a short talk with a relay means for mail that is to go out by it. Pure.

import type { SmtpOutletConfig } from "../platform/config.ts";
import { finding, foundIf, type Finding } from "./finding.ts";
import type { FindingCode } from "./finding-catalogue.ts";
import type { RelayTalk } from "./talk-to-relay.ts";

export interface RelayFacts {
  readonly outlet: Pick<SmtpOutletConfig, "name" | "tls" | "implicitTls" | "auth">;
  readonly host: string;
  readonly port: number;
  readonly talk: RelayTalk;
  readonly nowMs: number;
}

export function judgeRelay(facts: RelayFacts): readonly Finding[] {
  const { talk } = facts;
  if (talk.end !== "done") {
    // A handshake that failed has told nothing of what is behind it.
    return [tell(facts, ENDS[talk.end], talk.said)];
  }
  return [...judgeTls(facts), ...judgeCertificate(facts), ...judgeAuth(facts), ...judgeOffers(facts)];
}

const ENDS: Readonly<Record<Exclude<RelayTalk["end"], "done">, FindingCode>> = {
  unresolved: "relay_unresolved",
  unreachable: "relay_unreachable",
  silent: "relay_silent",
  refused: "relay_refuses",
  tls_failed: "relay_tls_failed",
};

function tell({ outlet, host, port }: RelayFacts, code: FindingCode, said: string): Finding {
  return finding(code, `outlet ${outlet.name}, ${host}:${port}: ${said}`, { outlet: outlet.name, host, port });
}

function judgeTls(facts: RelayFacts): readonly Finding[] {
  const { outlet, host, talk } = facts;
  if (talk.isTls) return [];
  if (outlet.tls === "required") return [tell(facts, "relay_tls_not_offered", "it does not offer STARTTLS")];
  return foundIf(!isLoopback(host), () =>
    tell(facts, "relay_clear_text", outlet.tls === "off" ? "tls is off" : "it does not offer STARTTLS"),
  );
}

const DAY_MS = 86_400_000;
/** Usual certificates live for 90 days and are renewed 30 days before they end. */
const EXPIRES_DAYS_MIN = 14;

function judgeCertificate(facts: RelayFacts): readonly Finding[] {
  const { outlet, host, talk, nowMs } = facts;
  if (talk.certificate === undefined) return [];
  const { problem, validToMs } = talk.certificate;
  const isRequired = outlet.tls === "required";
  const ends = `it ends at ${new Date(validToMs).toISOString()}`;
  if (problem !== null) {
    const said = `its certificate does not verify (${problem}; ${ends})`;
    if (isRequired) return [tell(facts, "relay_certificate_refused", said)];
    return foundIf(!isLoopback(host), () => tell(facts, "relay_certificate_unverified", said));
  }
  const days = Math.floor((validToMs - nowMs) / DAY_MS);
  return foundIf(days < EXPIRES_DAYS_MIN, () =>
    tell(facts, "relay_certificate_expires", `its certificate is valid for ${days} more days: ${ends}`),
  );
}

function judgeAuth(facts: RelayFacts): readonly Finding[] {
  const { outlet, host, talk } = facts;
  if (outlet.auth === undefined) return [];
  if (!talk.isTls && !isLoopback(host)) return [tell(facts, "relay_auth_in_clear", "there is no TLS")];
  const offered = talk.extensions.authMechanisms;
  return foundIf(!offered.includes("PLAIN") && !offered.includes("LOGIN"), () =>
    tell(facts, "relay_auth_not_offered", `it offers ${offered.join(", ") || "no AUTH"}, and PLAIN or LOGIN is needed`),
  );
}

function judgeOffers(facts: RelayFacts): readonly Finding[] {
  return foundIf(!facts.talk.extensions.hasPipelining, () =>
    tell(facts, "relay_slow_to_talk", "it does not offer PIPELINING"),
  );
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
}
