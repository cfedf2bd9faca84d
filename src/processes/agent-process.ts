// The process of one agent: connect, ask the relay's mailer what it is like, take the outlet's reading over unless
// another agent is well, and work until told to stop or replaced. Here the agent's parts are made. It needs no more than
// the rights of the role postlane_agent: it reads and writes no table but `reading`, and brings nothing up to date.

import { readFile, statfs } from "node:fs/promises";
import os from "node:os";
import pg from "pg";
import { startAgent, type AgentSettings } from "../gauges/agent.ts";
import { startFsyncProbe, type FsyncProbe } from "../gauges/fsync-probe.ts";
import type { LogPosition } from "../gauges/log-position.ts";
import type { MachinePorts } from "../gauges/machine-gauge.ts";
import { openProbeFile } from "../gauges/probe-file.ts";
import {
  holderOf,
  readAgent,
  takeReadingIfHeldBy,
  type AgentIdentity,
  type AgentRow,
} from "../gauges/reading-store.ts";
import { createCommandGauge, createPostfixGauge, type RelayGauge } from "../gauges/relay-gauge.ts";
import { tokenOfReturnPath } from "../mail/return-token.ts";
import { readInstance, type InstanceFacts } from "../mailers/postfix/read-instance.ts";
import { systemClock } from "../platform/clock.ts";
import type { Config, GaugeConfig, SmtpOutletConfig } from "../platform/config.ts";
import { createLog } from "../platform/log.ts";
import { processStartOf } from "../platform/process-identity.ts";
import { systemRandom } from "../platform/random.ts";
import { SESSIONS_MAX } from "../platform/session-limits.ts";
import { connectDatabase } from "../postgres/database.ts";
import { admitHere } from "./guard-here.ts";
import { beAlive, onStop, tellSupervisor } from "./supervision.ts";

/** An agent that wrote nothing for so long is taken for dead; it writes once a second. */
const STALE_MS = 10_000;
/** What is under way when it is told to stop gets this long. */
const STOP_MS_MAX = 10_000;

export async function runAgent(config: Config, outlet: SmtpOutletConfig, gauge: GaugeConfig): Promise<number> {
  const log = createLog(config.logLevel, { process: "agent", outlet: outlet.name });
  const stopAlive = beAlive();
  const { databaseUrl, dataDir } = config;
  const role = `agent ${outlet.name}`;
  const database = await connectDatabase({
    databaseUrl,
    dataDir,
    log,
    role,
    connectionsMax: SESSIONS_MAX.agent,
    onConnect: admitHere(config),
  });
  try {
    const relay = await describeRelay(config, outlet, gauge);
    const identity = identityOfThisProcess();
    const kept = await takeOver(database.pool, outlet.name, identity);
    const fsync = relay.spool === undefined ? undefined : startProbe(config, outlet, relay.spool);
    const agent = startAgent(
      { ...relay, ...followedFrom(relay, kept), outlet: outlet.name, identity },
      {
        pool: database.pool,
        clock: systemClock,
        log,
        machine: systemMachine,
        measureRelay: relay.measure,
        ...(fsync === undefined ? {} : { fsync }),
      },
    );
    log.info("agent.started", { holder: holderOf(identity), problems: relay.problems });
    tellSupervisor({ kind: "ready" });
    onStop((why) => {
      log.info("agent.stopping", { why });
      agent.stop();
      systemClock.after(STOP_MS_MAX, () => process.exit(0));
    });
    await agent.ended;
    return 0;
  } finally {
    stopAlive();
    await database.close();
  }
}

// ---- who writes ------------------------------------------------------------------------------------------------------

export class AgentRefused extends Error {
  readonly code: "agent_elsewhere" | "agent_not_permitted" | "agent_without_relay";

  constructor(code: AgentRefused["code"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "AgentRefused";
    this.code = code;
  }
}

function identityOfThisProcess(): AgentIdentity {
  return {
    host: os.hostname(),
    pid: process.pid,
    process_start: processStartOf(process.pid) ?? "unknown",
    started_at: new Date(systemClock.wallMs()).toISOString(),
  };
}

/** Answers how far the log was followed by the agent before this one. */
export async function takeOver(
  pool: pg.Pool,
  outlet: string,
  identity: AgentIdentity,
): Promise<LogPosition | undefined> {
  try {
    const row = await readAgent(pool, outlet);
    if (row !== undefined && isWell(row)) throw elsewhere(outlet, row.holder);
    const state = { ...identity, uses: null };
    const taken = await takeReadingIfHeldBy(pool, { outlet, state, seenHolder: row?.holder ?? null });
    if (taken === undefined) throw elsewhere(outlet, (await readAgent(pool, outlet))?.holder ?? null);
    return taken.log ?? undefined;
  } catch (error) {
    throw explainedRefusal(error);
  }
}

function elsewhere(outlet: string, holder: string | null): AgentRefused {
  return new AgentRefused(
    "agent_elsewhere",
    `Outlet ${outlet} is measured by another agent (${holder ?? "not known"}), which wrote within the last ` +
      `${STALE_MS / 1000} s. Stop that one, or leave it at that: one agent for each outlet is enough.`,
  );
}

/** A process of this machine that is gone need not be waited for. */
function isWell({ silent_ms, holder, agent }: AgentRow): boolean {
  if (holder === null || (agent.ended_at ?? null) !== null || silent_ms >= STALE_MS) return false;
  const isHere = agent.host === os.hostname() && agent.pid !== undefined;
  return !isHere || processStartOf(agent.pid) === agent.process_start;
}

function explainedRefusal(error: unknown): unknown {
  const code = error instanceof pg.DatabaseError ? error.code : undefined;
  if (code === "42501") {
    const message =
      "The database does not let this user write readings. Make it a member of the role postlane_agent: " +
      "GRANT postlane_agent TO that user (docs/reference/agent.md).";
    return new AgentRefused("agent_not_permitted", message, { cause: error });
  }
  if (code === "42P01" || code === "3F000") {
    const message =
      "The database has no table for readings, or this user may not see it. Run `postlane up` of this version once, " +
      "then make the user a member of the role postlane_agent (docs/reference/agent.md).";
    return new AgentRefused("agent_not_permitted", message, { cause: error });
  }
  return error;
}

// ---- what is measured ------------------------------------------------------------------------------------------------

type Relay = Pick<AgentSettings, "spool" | "followed" | "maildir" | "problems"> & { readonly measure: RelayGauge };

async function describeRelay(config: Config, outlet: SmtpOutletConfig, gauge: GaugeConfig): Promise<Relay> {
  switch (gauge.type) {
    case "postfix": {
      const read = await readInstance(gauge.configDir);
      if (read.kind === "instance") return describePostfix(config, outlet, read.facts);
      throw new AgentRefused(
        "agent_without_relay",
        `The Postfix instance of outlet ${outlet.name} does not tell its settings: ${read.problem}. ` +
          "Check `gauge.config_dir` of the outlet, and that Postfix is installed on this machine.",
      );
    }
    case "command":
      return {
        measure: createCommandGauge(gauge.command),
        problems: [],
        ...(gauge.spool === undefined ? {} : { spool: gauge.spool }),
      };
  }
}

function describePostfix(config: Config, outlet: SmtpOutletConfig, facts: InstanceFacts): Relay {
  const { configDir, queueDir, logFile, maildir, hostname, lifetimeMs, settings } = facts;
  const domain = config.returnsDomain;
  const problems: string[] = [];
  if (logFile === undefined) {
    problems.push(
      "the relay logs to syslog or the journal, which may drop lines: set maillog_file, and it is followed",
    );
  } else if (settings["smtpd_client_port_logging"] !== "yes") {
    problems.push("smtpd_client_port_logging is off: that an unknown message was not accepted can never be shown");
  }
  const bringsNotices = maildir !== undefined && domain !== undefined && facts.returnsDomain === domain;
  return {
    spool: queueDir,
    measure: createPostfixGauge({ configDir, queueDir, lifetimeMs }, { random: systemRandom, clock: systemClock }),
    problems,
    ...(bringsNotices ? { maildir: { folder: maildir, reportingMta: hostname } } : {}),
    ...(logFile === undefined ? {} : { followed: { ...followedOf(outlet, facts, domain), file: logFile } }),
  };
}

function followedOf(
  outlet: SmtpOutletConfig,
  { queueDir, nameInLog, relayhost }: InstanceFacts,
  domain: string | undefined,
): Omit<NonNullable<AgentSettings["followed"]>, "file"> {
  return {
    queueDirectory: queueDir,
    instance: nameInLog,
    means: relayhost === undefined ? "delivered" : "relayed",
    tokenOf: (address) => (domain === undefined ? undefined : tokenOfReturnPath(address, domain)),
    ...(domain === undefined || outlet.returnPath === "keep" ? {} : { returnsDomain: domain }),
  };
}

function followedFrom({ followed }: Relay, kept: LogPosition | undefined): Pick<AgentSettings, "followed"> {
  if (followed === undefined) return {};
  return { followed: { ...followed, ...(kept === undefined ? {} : { kept }) } };
}

function startProbe(config: Config, outlet: SmtpOutletConfig, spool: string): FsyncProbe {
  const name = `.postlane-fsync-${outlet.name}`;
  return startFsyncProbe(() => openProbeFile(name, spool, [config.dataDir]), systemClock);
}

const systemMachine: MachinePorts = {
  readText: (path) => readFile(path, "utf8").catch(() => undefined),
  loadOf1Min: () => os.loadavg()[0] ?? 0,
  cores: () => os.availableParallelism(),
  diskOf: (path) => statfs(path),
};
