// The checks of the engine and of the configuration: a look at the books, the leases and the pauses. Reads only.

import { hostname } from "node:os";
import type { Pool } from "pg";
import { domainOf, parseMailbox } from "../mail/address.ts";
import { readSnapshot } from "../reports/engine-snapshot.ts";
import { readStatus } from "../reports/status-report.ts";
import { isDomainSigned } from "../senders/domains/signed-domain.ts";
import { withSchema } from "./database-checks.ts";
import type { DatabaseGate } from "./database-gate.ts";
import { readSessions } from "./engine-facts-store.ts";
import { finding, type Finding } from "./finding.ts";
import { judgeConfig, leavesMachine } from "./judge-config.ts";
import { judgeEngine } from "./judge-engine.ts";
import { looked, type Check } from "./run-checks.ts";
import type { Surroundings } from "./surroundings.ts";

export function engineChecks({ config }: Surroundings, gate: Promise<DatabaseGate>): readonly Check[] {
  return [
    { name: "configuration", look: () => Promise.resolve(looked(judgeConfig(config, hostname()))) },
    { name: "engine", look: () => withSchema(gate, (pool) => checkEngine(pool, config)) },
    { name: "signing", look: () => withSchema(gate, (pool) => checkSigning(pool, config)) },
  ];
}

async function checkEngine(pool: Pool, config: Surroundings["config"]): Promise<readonly Finding[]> {
  const [snapshot, { lanes: status }, sessions] = await Promise.all([
    readSnapshot(pool),
    readStatus(pool),
    readSessions(pool),
  ]);
  return judgeEngine({ snapshot, status, sessions, config });
}

async function checkSigning(pool: Pool, config: Surroundings["config"]): Promise<readonly Finding[]> {
  const from = parseMailbox(config.from);
  if (!leavesMachine(config) || from.kind !== "mailbox") return [];
  const domain = domainOf(from.address);
  if (await isDomainSigned(pool, domain, config.dkim.keys)) return [];
  return [finding("from_unsigned", `no key of ours signs mail from ${domain}`, { domain })];
}
