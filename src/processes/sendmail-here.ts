// What the sendmail command kept, handed over by the front to its own SMTP door: looked for every few seconds, and less
// and less often while nothing of it is taken. A spool that is not there is told once, and looked for all the same.

import { flushSpool, type FlushEnd } from "../doors/sendmail/flush-spool.ts";
import { createSmtpSubmitter } from "../doors/sendmail/submit-by-smtp.ts";
import type { SmtpDoor } from "../doors/smtp/smtp-door.ts";
import { systemClock, type Clock, type Timer } from "../platform/clock.ts";
import type { Config } from "../platform/config.ts";
import type { Log } from "../platform/log.ts";

export interface SpoolSettings {
  readonly spool: string;
  readonly smtp: { readonly host: string; readonly port: number };
}

export interface SpoolLoop {
  /** Resolves when nothing is being handed over any more. */
  stop(): Promise<void>;
}

/** What was kept while Postlane was down goes as soon as it is up and listens. */
const FIRST_LOOK_MS = 1_000;
const LOOK_MS = 5_000;
const LOOK_MS_MAX = 5 * 60_000;
const ROUND_MS_MAX = 60_000;
/** No mail of a spool is larger than the largest that any SMTP door takes. */
const MESSAGE_BYTES_MAX = 64 * 1024 * 1024;

/** Without a spool in the configuration, nothing is looked for. */
export function openSendmailSpool({ sendmailSpool, smtp }: Config, door: SmtpDoor, log: Log): SpoolLoop {
  if (sendmailSpool === undefined) return { stop: async () => {} };
  const index = smtp.listeners.findIndex(({ kind }) => kind === "smtp");
  const listen = smtp.listeners[index]?.listen;
  if (listen === undefined) {
    log.warn("sendmail.spool_without_door", { spool: sendmailSpool, hint: "set listen.smtp" });
    return { stop: async () => {} };
  }
  let loop: SpoolLoop | undefined;
  let isStopped = false;
  const start = (port: number): void => {
    const place = { host: loopbackOf(listen.host), port };
    if (!isStopped) loop = flushSpoolHere({ spool: sendmailSpool, smtp: place }, systemClock, log);
  };
  // A port of any number is known once all listen.
  if (listen.port !== 0) start(listen.port);
  else void door.opened.then((ports) => start(ports[index]!));
  return {
    async stop() {
      isStopped = true;
      await loop?.stop();
    },
  };
}

/** Where everybody is listened to, this machine is too; and it needs no key. */
function loopbackOf(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  return host === "::" ? "::1" : host;
}

export function flushSpoolHere({ spool, smtp }: SpoolSettings, clock: Clock, log: Log): SpoolLoop {
  const submitter = createSmtpSubmitter(smtp);
  let lookMs = LOOK_MS;
  let isMissingTold = false;
  let isStopped = false;
  let timer: Timer | undefined;
  let round = Promise.resolve();

  const look = async (): Promise<void> => {
    try {
      const end = await flushSpool(spool, submitter, { messageBytesMax: MESSAGE_BYTES_MAX, msMax: ROUND_MS_MAX });
      tellOf(end, log);
      lookMs = end.waiting > 0 && end.accepted === 0 ? Math.min(lookMs * 2, LOOK_MS_MAX) : LOOK_MS;
      isMissingTold = false;
    } catch (error) {
      if (!isMissingTold) log.warn("sendmail.spool_not_read", { spool, error: wordsOf(error) });
      isMissingTold = true;
    }
    submitter.close();
  };
  const later = (ms: number): void => {
    timer = clock.after(ms, () => {
      round = look().then(() => {
        if (!isStopped) later(lookMs);
      });
    });
  };

  later(FIRST_LOOK_MS);
  return {
    async stop() {
      isStopped = true;
      timer?.cancel();
      submitter.close();
      await round;
    },
  };
}

/** Without addresses: what a door says of a mail may name them. */
function tellOf({ accepted, waiting, refused, waitsBecause }: FlushEnd, log: Log): void {
  for (const { file, why } of refused) {
    log.warn("sendmail.mail_refused", { file, why: why.replaceAll(/[^\s<>@]+@[^\s<>:@]+/g, "(address)") });
  }
  if (accepted > 0) log.info("sendmail.spool_flushed", { accepted, waiting });
  if (waitsBecause !== undefined) log.debug("sendmail.spool_waits", { waiting, waitsBecause });
}

const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
