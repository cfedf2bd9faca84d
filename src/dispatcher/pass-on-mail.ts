// A mail that came whole, by SMTP or sendmail, on its way out: octet for octet, since the door has added what had to be
// added. What its submitter asked of failure notices goes with it.

import { wireDomainOf } from "../compose/mailbox-header.ts";
import type { DsnWishes } from "../mail/envelope.ts";
import type { ClaimedRow } from "../queue/queue-store.ts";
import type { KeptMail } from "../submission/submission.ts";
import type { ComposedMail } from "../mail/envelope.ts";
import type { ListLines } from "./list-lines.ts";

/** Of a list, its headers go ahead. */
export function passOnMail(
  row: ClaimedRow,
  raw: Buffer,
  { from, lists }: { readonly from: string; readonly lists?: ListLines | undefined },
): ComposedMail {
  const mail = row.content as unknown as KeptMail;
  const octets = raw.toString("latin1");
  const text = (lists?.ofMail(row, wireDomainOf(mail.sender || from), mail.list, octets) ?? "") + octets;
  const dsn = dsnWishes(mail, row.recipient);
  return {
    envelope: { sender: mail.sender, recipient: row.recipient, ...(dsn === undefined ? {} : { dsn }) },
    content: {
      text,
      isAscii: Buffer.byteLength(text) === text.length,
      ...(mail.is_utf8 === true ? { isUtf8: true } : {}),
    },
  };
}

function dsnWishes({ ret, envid, notify, orcpt }: KeptMail, recipient: string): DsnWishes | undefined {
  const asked = notify?.[recipient];
  const wishes = {
    ...(ret === undefined ? {} : { ret }),
    ...(envid === undefined ? {} : { envid }),
    ...(asked === undefined ? {} : { notify: withoutSuccess(asked) }),
    ...(orcpt?.[recipient] === undefined ? {} : { orcpt: orcpt[recipient] }),
  };
  return Object.keys(wishes).length === 0 ? undefined : wishes;
}

/** That a message went out is told from here, once. */
function withoutSuccess(notify: string): string {
  const others = notify.split(",").filter((word) => word !== "SUCCESS");
  return others.length === 0 ? "NEVER" : others.join(",");
}
