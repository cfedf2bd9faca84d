// What comes home, put together in the front: the loop that judges it, the returns door, and the look at whether the
// domain of the return paths takes mail at all. Sessions of their own, planned for the hot tables.

import { Resolver } from "node:dns/promises";
import type { LaneId } from "../mail/ids.ts";
import type { LaneSettings } from "../mail/lane.ts";
import { openReturnsDoor, type ReturnsDoor } from "../doors/returns/returns-door.ts";
import { systemClock } from "../platform/clock.ts";
import type { Config, OutletConfig, SmtpOutletConfig } from "../platform/config.ts";
import type { Log } from "../platform/log.ts";
import { createMac } from "../platform/mac.ts";
import { systemRandom } from "../platform/random.ts";
import { SESSIONS_MAX } from "../platform/session-limits.ts";
import { connectDatabase, inOrder } from "../postgres/database.ts";
import { readReturnTokenKey } from "../postgres/secret-store.ts";
import { planForTheQueue } from "../queue/session-store.ts";
import { checkReturnDomain } from "../returns/check-return-domain.ts";
import { keepReturn } from "../returns/return-store.ts";
import { createReturnedRefusals } from "../returns/returned-refusals.ts";
import { createReturnsLoop } from "../returns/returns-loop.ts";
import { admitHere } from "./guard-here.ts";
import { tellSupervisor } from "./supervision.ts";
import { readUnsubscribeMacs } from "./unsubscribe-here.ts";

export interface ReturnsHere {
  readonly take: () => Promise<void>;
  /** Takes nothing in any more; to be called first. */
  closeDoor(): Promise<void>;
  /** Once nothing is being judged. */
  close(): Promise<void>;
}

export async function openReturns(
  config: Config,
  laneSettingsOf: (laneId: LaneId) => LaneSettings,
  log: Log,
): Promise<ReturnsHere> {
  const { databaseUrl, dataDir, returnsDomain } = config;
  const role = "front returns";
  const limits = { connectionsMax: SESSIONS_MAX.frontReturns, onConnect: inOrder(admitHere(config), planForTheQueue) };
  const { pool, close } = await connectDatabase({ databaseUrl, dataDir, log, role, ...limits });
  const mac = createMac(await readReturnTokenKey(pool));
  const unsubscribe = await readUnsubscribeMacs(pool);
  const verpOutlets = new Set(
    smtpOutlets(config)
      .filter(isVerp)
      .map(({ name }) => name),
  );
  const random = (): number => systemRandom.unit();
  const refusals = createReturnedRefusals((name) => maxRefusalsOf(config, name));
  const onAlarm = (line: string): void => {
    log.error("alarm.raised", { detail: line });
    tellSupervisor({ kind: "told", line: `ALARM: ${line}` });
  };
  const take = createReturnsLoop(
    { pool, mac, unsubscribe, returnsDomain, verpOutlets, laneSettingsOf, random, refusals, onAlarm, log },
    systemClock,
  );
  const door = await openDoor(config, (mail) => keepReturn(pool, mail), log);
  const resolver = new Resolver({ timeout: DNS_MS_MAX, tries: DNS_TRIES });
  if (returnsDomain !== undefined) void warnOfReturnDomain(returnsDomain, config.resolvers, resolver, log);
  return {
    take,
    async closeDoor() {
      resolver.cancel();
      await door?.close();
    },
    close,
  };
}

/** What upkeep has to know of the outlets. */
export function returnSettingsOf(config: Config): {
  readonly confirmingOutlets: readonly string[];
  readonly returnsKeptMs: number;
} {
  const outlets = smtpOutlets(config);
  return {
    confirmingOutlets: outlets.filter(({ gauge }) => gauge?.type === "postfix").map(({ name }) => name),
    returnsKeptMs: Math.max(RETURNS_KEPT_MS, ...outlets.map(({ returnWindowMs }) => returnWindowMs)),
  };
}

/** Of an installation without an outlet of type smtp: as long as the default `return_window`. */
const RETURNS_KEPT_MS = 8 * 86_400_000;

function smtpOutlets(config: Config): readonly SmtpOutletConfig[] {
  return Object.values(config.outlets).filter(
    (outlet: OutletConfig): outlet is SmtpOutletConfig => outlet.type === "smtp",
  );
}

/** An outlet that the configuration has forgotten has no limit: nobody sends by it. */
function maxRefusalsOf({ outlets }: Config, name: string): number {
  const outlet = outlets[name];
  return outlet?.type === "smtp" ? outlet.maxRefusals : 1;
}

function isVerp({ returnPath }: SmtpOutletConfig): boolean {
  return returnPath === "verp";
}

/** A door that cannot be opened is told, and the rest of the front goes on: mail must not wait for it. */
async function openDoor(
  { listen, returnsDomain }: Config,
  keep: Parameters<typeof openReturnsDoor>[1]["keep"],
  log: Log,
): Promise<ReturnsDoor | undefined> {
  if (listen.returns === undefined || returnsDomain === undefined) return undefined;
  const where = `${listen.returns.host}:${listen.returns.port}`;
  try {
    const door = await openReturnsDoor({ listen: listen.returns, domain: returnsDomain }, { keep, log });
    log.info("returns_door.opened", { host: listen.returns.host, port: door.port });
    return door;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    log.error("returns_door.failed", { where, error: reason });
    tellSupervisor({
      kind: "told",
      line: `WARNING: the returns door cannot listen on ${where} (${reason}): set listen.returns to a free address`,
    });
    return undefined;
  }
}

/** Once, at the start: a resolver that is slow must keep nothing waiting. */
async function warnOfReturnDomain(
  domain: string,
  resolvers: readonly string[],
  resolver: Resolver,
  log: Log,
): Promise<void> {
  if (resolvers.length > 0) resolver.setServers(resolvers);
  const answer = await checkReturnDomain(domain, resolver);
  if (answer.kind === "takes_mail" || answer.kind === "canceled") return;
  if (answer.kind === "takes_none") log.error("returns.domain_takes_no_mail", { domain, detail: answer.warning });
  else log.warn("returns.domain_not_asked", { domain, detail: answer.warning });
  tellSupervisor({ kind: "told", line: answer.warning });
}

const DNS_MS_MAX = 3000;
const DNS_TRIES = 2;
