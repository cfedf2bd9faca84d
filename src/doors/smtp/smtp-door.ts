// The SMTP door: its listeners, opened and kept at. A port that is taken, or a certificate that cannot be used, is said
// loudly, once, and tried again, and everything else works on meanwhile. All listeners share the limits: what is one
// client on one is the same client on another.

import { once } from "node:events";
import { BlockList, isIP, type AddressInfo } from "node:net";
import type { Clock } from "../../platform/clock.ts";
import type { SmtpDoorConfig, SmtpListenerConfig } from "../../platform/config.ts";
import type { Log } from "../../platform/log.ts";
import { createPauses } from "../../platform/pauses.ts";
import type { Keyring } from "../../senders/keyring.ts";
import type { Acceptance } from "../../submission/accept-submission.ts";
import { watchCertificate, type CertificateWatch } from "./certificate.ts";
import { createSessionCount } from "./count-sessions.ts";
import { createReadingRoom } from "./read-content.ts";
import type { SmtpConversation } from "./smtp-conversation.ts";
import { SmtpListener, type ListenerPorts } from "./smtp-listener.ts";

export interface SmtpDoorSettings extends SmtpDoorConfig {
  readonly messageIdDomain: string;
}

export type SmtpLimits = SmtpDoorConfig["limits"];

export interface SmtpDoorPorts {
  readonly acceptance: Acceptance;
  readonly keyring: Keyring;
  /** `markOf` this installation. */
  readonly mark: string;
  readonly clock: Clock;
  readonly log: Log;
  /** A line that a person should see. */
  readonly tell: (line: string) => void;
}

export interface SmtpDoor {
  /** Once all listen: their ports, in the order of the settings. */
  readonly opened: Promise<readonly number[]>;
  /** Looks at the certificate's files now. */
  renewCertificate(): Promise<void>;
  stop(): Promise<void>;
}

export function openSmtpDoor(settings: SmtpDoorSettings, ports: SmtpDoorPorts): SmtpDoor {
  const { clock, log, tell } = ports;
  const keepers: Keeper[] = [];
  const certificate =
    settings.certificate === undefined
      ? undefined
      : watchCertificate(settings.certificate, {
          clock,
          log,
          tell,
          onNew: (fresh) => keepers.forEach((keeper) => keeper.listener()?.renew(fresh)),
        });
  const sessions = createSessionCount(settings.limits);
  const shared = {
    ...ports,
    host: settings.host,
    messageIdDomain: settings.messageIdDomain,
    limits: settings.limits,
    hasCertificate: () => certificate?.current() !== undefined,
    isAllowed: networksOf(settings.allow),
    room: createReadingRoom(settings.limits.readingBytesMax),
    sessions,
    makeRoom: (address: string) => {
      const open = keepers.flatMap((keeper) => [...(keeper.listener()?.connections ?? [])] as SmtpConversation[]);
      const spared = sessions.spare(address, open);
      spared?.makeRoom();
      return spared !== undefined;
    },
    onRefused: tellRefused(clock, log),
  };
  const looked = certificate?.look() ?? Promise.resolve();
  for (const listener of settings.listeners) {
    const { kind, lane } = listener;
    const own = { ...shared, listener: kind, ...(lane === undefined ? {} : { lane }) };
    keepers.push(keepOpen(listener, own, { ports, limits: settings.limits, certificate, looked }));
  }
  return {
    opened: Promise.all(keepers.map(({ opened }) => opened)),
    renewCertificate: () => certificate?.look() ?? Promise.resolve(),
    async stop() {
      certificate?.stop();
      await Promise.all(keepers.map((keeper) => keeper.stop()));
    },
  };
}

// ---- one listener ----------------------------------------------------------------------------------------------------

interface Keeper {
  readonly opened: Promise<number>;
  listener(): SmtpListener | undefined;
  stop(): Promise<void>;
}

interface Surroundings {
  readonly ports: SmtpDoorPorts;
  readonly limits: SmtpLimits;
  readonly certificate: CertificateWatch | undefined;
  /** The certificate was looked at for the first time. */
  readonly looked: Promise<void>;
}

const RETRY_MS = 5000;
/** Connections the kernel may hold until they are taken. With Node's 511, some of 2,000 at once hang for half a minute. */
const BACKLOG = 4096;

function keepOpen({ kind, listen, lane }: SmtpListenerConfig, own: ListenerPorts, around: Surroundings): Keeper {
  const { clock, log, tell } = around.ports;
  const where = `${listen.host}:${listen.port}`;
  let listener: SmtpListener | undefined;
  const pauses = createPauses(clock);
  let told: string | undefined;
  let open = (_port: number): void => {};
  const opened = new Promise<number>((resolve) => {
    open = resolve;
  });

  const tryOnce = async (): Promise<boolean> => {
    const certificate = around.certificate?.current();
    if (kind !== "smtp" && certificate === undefined) return failed("there is no certificate that can be used");
    const fresh = new SmtpListener(own, around.limits, certificate);
    try {
      fresh.listen(listen.port, listen.host, BACKLOG);
      await once(fresh.server, "listening");
    } catch (error) {
      return failed(error instanceof Error ? error.message : String(error));
    }
    listener = fresh;
    const { port } = fresh.server.address() as AddressInfo;
    log.info("smtp.opened", { listener: kind, lane, host: listen.host, port });
    tell(`smtp: ${kind} listens at ${listen.host}:${port}${told === undefined ? "" : " now"}`);
    open(port);
    return true;
  };
  const failed = (error: string): false => {
    if (error === told) return false;
    told = error;
    log.error("smtp.open_failed", { listener: kind, where, error, retry_ms: RETRY_MS });
    tell(
      `smtp: ${kind} CANNOT listen at ${where} (${error}): no mail comes in there; it tries again every ` +
        `${RETRY_MS / 1000} s. Free the port, or set listen.${kind}`,
    );
    return false;
  };
  const trying = (async () => {
    await around.looked;
    while (!pauses.isEnded && !(await tryOnce())) await pauses.wait(RETRY_MS);
  })();

  return {
    opened,
    listener: () => listener,
    async stop() {
      pauses.end();
      await trying;
      await listener?.stop();
    },
  };
}

// ---- what the listeners share ----------------------------------------------------------------------------------------

function networksOf(allow: SmtpDoorConfig["allow"]): (address: string) => boolean {
  const networks = new BlockList();
  for (const { address, prefix } of allow) networks.addSubnet(address, prefix, familyOf(address));
  return (address) => isIP(address) !== 0 && networks.check(address, familyOf(address));
}

function familyOf(address: string): "ipv4" | "ipv6" {
  return isIP(address) === 6 ? "ipv6" : "ipv4";
}

/** Between two lines about sessions that were too many. */
const REFUSED_TOLD_MS = 60_000;

/** Thousands may come in a second; the log gets a line a minute. */
function tellRefused(clock: Clock, log: Log): (address: string) => void {
  let refused = 0;
  let toldAtMs = -Infinity;
  return (client) => {
    refused++;
    if (clock.monotonicMs() - toldAtMs < REFUSED_TOLD_MS) return;
    log.warn("smtp.sessions_refused", { refused, client });
    toldAtMs = clock.monotonicMs();
    refused = 0;
  };
}
