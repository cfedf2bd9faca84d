// Outlets of the configuration made into outlets at work, with real sockets and folders, and each lane's part of them.

import net from "node:net";
import type { Duplex } from "node:stream";
import tls from "node:tls";
import type { OutletLimits } from "../dispatcher/outlets-at-work.ts";
import { createCaptureOutlet } from "../handover/capture-outlet.ts";
import type { Outlet, OutletDriver } from "../handover/outlet.ts";
import type { TlsOptions } from "../handover/smtp-connection.ts";
import { createSmtpOutlet } from "../handover/smtp-outlet.ts";
import type { LaneSettings } from "../mail/lane.ts";
import { systemClock } from "../platform/clock.ts";
import type { Config, OutletConfig, SmtpOutletConfig } from "../platform/config.ts";
import type { Log } from "../platform/log.ts";
import { systemRandom } from "../platform/random.ts";

/**
 * Of an outlet that both kinds of lane use, bulk may open this part at most: what is left is always free for mail that
 * someone waits for.
 */
const BULK_SHARE = 0.75;

export function outletOpener(config: Config, log: Log): (name: string, driver: OutletDriver) => Outlet {
  const ports = { clock: systemClock, random: systemRandom, log, connect: connectSocket, startTls: startTlsOn };
  return (name, driver) => {
    const outlet = outletOf(config, name);
    switch (outlet.type) {
      case "capture":
        return createCaptureOutlet(outlet, ports, driver);
      case "smtp":
        return createSmtpOutlet(outlet, ports, driver);
    }
  };
}

/** What this lane may use of each of its outlets. The parts of all lanes that use an outlet sum to its whole. */
export function limitsOf(config: Config, lane: LaneSettings): readonly OutletLimits[] {
  const limits = (route: OutletLimits["route"]) => (name: string) =>
    limitsOn(config, lane, outletOf(config, name), route);
  return [...lane.outlets.map(limits("main")), ...retryOutletsOf(config, lane).map(limits("retry"))];
}

/** From which share of refusals on bulk stops: the strictest of the lane's outlets says it. */
export function maxRefusalsOf(config: Config, lane: LaneSettings): number {
  const outlets = lane.outlets.map((name) => outletOf(config, name));
  return Math.min(1, ...outlets.map((outlet) => (outlet.type === "smtp" ? outlet.maxRefusals : 1)));
}

function limitsOn(
  config: Config,
  lane: LaneSettings,
  outlet: OutletConfig,
  route: OutletLimits["route"],
): OutletLimits {
  const { name, openMax, openPerDestinationMax } = outlet;
  return {
    name,
    route,
    openMax,
    openPerDestinationMax,
    share: shareOf(config, lane, name),
    isVerp: outlet.type === "smtp" && outlet.returnPath === "verp",
    isToldOf: outlet.type === "smtp" && outlet.gauge?.type === "postfix",
    ...(outlet.type === "smtp" ? pacedBy(outlet, route) : {}),
  };
}

/** As many as `postfix init` gives delivery processes to the instance for retries: each may hang on a silent server. */
const RETRY_HANGING_MAX = 100;

function pacedBy(
  { name, maxRatePerS, gauge, horizonMs, maxQueue, maxPlug }: SmtpOutletConfig,
  route: OutletLimits["route"],
): Partial<OutletLimits> {
  const hanging = route === "retry" ? { hangingMax: RETRY_HANGING_MAX } : {};
  const relay = { name, horizonMs, maxQueue, maxPlug, ...hanging };
  return { ...(maxRatePerS === undefined ? {} : { maxRatePerS }), ...(gauge === undefined ? {} : { relay }) };
}

/** An outlet that is one of the lane's own takes its retries as it takes all else. */
function retryOutletsOf(config: Config, lane: LaneSettings): readonly string[] {
  const names = lane.outlets.flatMap((name) => {
    const outlet = outletOf(config, name);
    return outlet.type === "smtp" && outlet.retryOutlet !== undefined ? [outlet.retryOutlet] : [];
  });
  return [...new Set(names)].filter((name) => !lane.outlets.includes(name));
}

function shareOf(config: Config, lane: LaneSettings, outletName: string): number {
  const uses = (other: LaneSettings): boolean =>
    other.outlets.includes(outletName) || retryOutletsOf(config, other).includes(outletName);
  const users = Object.values(config.lanes).filter(uses);
  const alike = users.filter((other) => other.priority === lane.priority).length;
  if (alike === users.length) return 1 / alike;
  return (lane.priority === "bulk" ? BULK_SHARE : 1 - BULK_SHARE) / alike;
}

function outletOf(config: Config, name: string): OutletConfig {
  const outlet = config.outlets[name];
  if (outlet === undefined) throw new Error(`no outlet is named "${name}"`);
  return outlet;
}

export function connectSocket(host: string, port: number): Duplex {
  return net.connect({ host, port });
}

// A name of an IP address is no server name (RFC 6066 §3), and any certificate will do where clear text would too.
export function startTlsOn(socket: Duplex, { host, servername, ca, isVerified }: TlsOptions): Duplex {
  const name = servername ?? (net.isIP(host) === 0 ? host : undefined);
  return tls.connect({
    socket,
    host,
    rejectUnauthorized: isVerified,
    minVersion: "TLSv1.2",
    ...(name === undefined ? {} : { servername: name }),
    ...(ca === undefined ? {} : { ca }),
  });
}
