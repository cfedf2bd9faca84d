// The checks of relays: a talk with each host of each outlet that a lane uses, and of its gauge. Hands nothing over; runs
// the gauge's command and Postfix's own check, as `postlane postfix check` does.

import { readCommandGauge } from "../mailers/command-gauge.ts";
import { checkInstance } from "../mailers/postfix/check-instance.ts";
import type { Config, SmtpOutletConfig } from "../platform/config.ts";
import { readSnapshot } from "../reports/engine-snapshot.ts";
import { withSchema } from "./database-checks.ts";
import type { DatabaseGate } from "./database-gate.ts";
import { finding, type Finding } from "./finding.ts";
import { judgeGauges } from "./judge-gauge.ts";
import { judgeRelay } from "./judge-relay.ts";
import { looked, type Check } from "./run-checks.ts";
import type { Surroundings } from "./surroundings.ts";
import { talkToRelay } from "./talk-to-relay.ts";

export function relayChecks(around: Surroundings, gate: Promise<DatabaseGate>): readonly Check[] {
  const { config } = around;
  const outlets = smtpOutlets(config);
  if (outlets.length === 0) return [];
  return [
    ...outlets.map((outlet) => ({
      name: `relay ${outlet.name}`,
      look: async () => looked(await checkHosts(outlet, around)),
    })),
    ...outlets
      .filter(({ gauge }) => gauge?.isRemote !== true)
      .map((outlet) => ({
        name: `gauge ${outlet.name}`,
        look: async () => looked(await checkGauge(outlet, around)),
      })),
    {
      name: "readings",
      look: () => withSchema(gate, async (pool) => judgeGauges(config.outlets, (await readSnapshot(pool)).readings)),
    },
  ];
}

/** Outlets that lanes use, also for retries. */
function smtpOutlets({ lanes, outlets }: Config): readonly SmtpOutletConfig[] {
  const used = new Set(Object.values(lanes).flatMap((lane) => lane.outlets));
  for (const outlet of Object.values(outlets)) {
    if (outlet.type === "smtp" && used.has(outlet.name) && outlet.retryOutlet !== undefined)
      used.add(outlet.retryOutlet);
  }
  return Object.values(outlets).flatMap((outlet) => (outlet.type === "smtp" && used.has(outlet.name) ? [outlet] : []));
}

/** So many are talked to at once; an outlet rarely has more. */
const HOSTS_MAX = 16;

async function checkHosts(outlet: SmtpOutletConfig, around: Surroundings): Promise<readonly Finding[]> {
  const nowMs = around.clock.wallMs();
  const judged = await Promise.all(
    outlet.hosts.slice(0, HOSTS_MAX).map(async ({ host, port }) => {
      const talk = await talkToRelay({ host, port }, outlet, around);
      return judgeRelay({ outlet, host, port, talk, nowMs });
    }),
  );
  return judged.flat();
}

async function checkGauge(
  { name, gauge }: SmtpOutletConfig,
  { config, clock, uid }: Surroundings,
): Promise<readonly Finding[]> {
  if (gauge === undefined) return [finding("relay_unmeasured", `outlet ${name} has no gauge`, { outlet: name })];
  if (gauge.type === "command") {
    const read = await readCommandGauge(gauge.command);
    return read.kind === "read"
      ? []
      : [finding("gauge_command_failed", `outlet ${name}: ${read.problem}`, { outlet: name })];
  }
  const { findings } = await checkInstance(gauge.configDir, config.returnsDomain, { clock, uid });
  return findings
    .filter(({ level }) => level === "wrong")
    .map(({ message, remedy }) => ({
      ...finding("postfix_instance_wrong", `outlet ${name}, ${gauge.configDir}: ${message}`, { outlet: name }),
      remedy,
    }));
}
