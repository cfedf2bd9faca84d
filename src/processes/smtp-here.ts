// The SMTP door, put together in the front: its listeners as the configuration has them, and the mark by which a mail is
// recognised that has been here before.

import { wireDomainOf } from "../compose/mailbox-header.ts";
import { openSmtpDoor, type SmtpDoor } from "../doors/smtp/smtp-door.ts";
import { markOf } from "../doors/smtp/received-field.ts";
import { systemClock } from "../platform/clock.ts";
import type { Config } from "../platform/config.ts";
import type { Log } from "../platform/log.ts";
import { createMac } from "../platform/mac.ts";
import { readReturnTokenKey } from "../postgres/secret-store.ts";
import type { EntryHere } from "./entry-here.ts";
import { tellSupervisor } from "./supervision.ts";

export async function openSmtp({ smtp, from }: Config, entry: EntryHere, log: Log): Promise<SmtpDoor> {
  const { acceptance, keyring, pool } = entry;
  // Made by the migrations and never changed: the same for all fronts of this installation, and for ever.
  const mark = markOf(createMac(await readReturnTokenKey(pool)));
  const tell = (line: string): void => tellSupervisor({ kind: "told", line });
  return openSmtpDoor(
    { ...smtp, messageIdDomain: wireDomainOf(from) },
    { acceptance, keyring, mark, clock: systemClock, log, tell },
  );
}
