// The returns door: an SMTP listener that takes what comes back from the outside, handed on by whatever is MX for the
// domain of the return paths. It keeps first and lets others judge: 250 follows the commit, and what cannot be kept is
// answered 4yz, so that the other side tries again. Takes mail for `b+…@` (failures) and `u+…@` (unsubscribes) that domain
// and no other, whatever its token and form; it never answers 5yz to a null sender of such mail (RFC 5321 §4.5.5: nobody
// would hear of it).
//
// No AUTH and no STARTTLS: it listens where the MX is, on loopback by default, and takes nothing that is secret.

import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from "smtp-server";
import { tokenOfReturnPath } from "../../mail/return-token.ts";
import { tokenOfUnsubscribeAddress } from "../../mail/unsubscribe-token.ts";
import type { ListenAddress } from "../../platform/config.ts";
import type { Log } from "../../platform/log.ts";
import { createRateLimit } from "../../platform/rate-limit.ts";

export interface ReturnsDoorSettings {
  readonly listen: ListenAddress;
  readonly domain: string;
}

export interface ReturnsDoorPorts {
  /** Durable when it answers. */
  readonly keep: (mail: ReturnedBytes) => Promise<void>;
  readonly log: Log;
}

export interface ReturnedBytes {
  /** The beginning of the mail, at most `KEPT_BYTES_MAX`. */
  readonly raw: Buffer;
  /** Empty: the null sender. */
  readonly sender: string;
  readonly recipients: readonly string[];
  /** The address that it came from. */
  readonly client: string;
}

export interface ReturnsDoor {
  readonly port: number;
  close(): Promise<void>;
}

/** Of each mail; the fields of a notice stand within its first few thousand octets. The rest is read and dropped. */
export const KEPT_BYTES_MAX = 256 * 1024;
/** From a sender who would hear of it; a null sender's is cut without a word. */
const MAIL_BYTES_MAX = 1024 * 1024;
const CONNECTIONS_MAX = 50;
/** RFC 5321 §4.5.3.1.8 wants 100 taken; a notice has one. */
const RECIPIENTS_MAX = 100;
/** Mails a second, all clients together: each is a commit. Beyond it they are put off, and come again. */
const RATE_PER_S = 100;
const BURST = 500;
const IDLE_MS_MAX = 60_000;
/** For what is being kept when the front is told to stop. */
const CLOSE_MS_MAX = 5_000;
/** A commit that takes longer is not waited for: the other side comes again, and a notice that is there twice acts once. */
const KEEP_MS_MAX = 20_000;

export async function openReturnsDoor(
  { listen, domain }: ReturnsDoorSettings,
  { keep, log }: ReturnsDoorPorts,
): Promise<ReturnsDoor> {
  const limit = createRateLimit({ perS: RATE_PER_S, burst: BURST, nowMs: () => performance.now() });
  const server = new SMTPServer({
    banner: "Postlane returns",
    disabledCommands: ["AUTH", "STARTTLS"],
    authOptional: true,
    disableReverseLookup: true,
    lenientAddressParsing: true,
    maxClients: CONNECTIONS_MAX,
    socketTimeout: IDLE_MS_MAX,
    closeTimeout: CLOSE_MS_MAX,
    onMailFrom(_sender, _session, answer) {
      answer(limit.take() ? null : refusal(451, "4.3.2 more comes back than is taken at a time, try again later"));
    },
    onRcptTo({ address }, session, answer) {
      answer(judgeRecipient(address, domain, session.envelope.rcptTo.length));
    },
    onData(stream, session, answer) {
      takeMail(stream, session, keep).then(
        (answered) => answer(answered, "2.6.0 kept"),
        (error: unknown) => {
          log.warn("returns_door.kept_nothing", { error: error instanceof Error ? error.message : String(error) });
          answer(refusal(451, "4.3.0 it cannot be kept at the moment, try again later"));
        },
      );
    },
  });
  // Of single connections: a client that resets, or does not speak SMTP.
  server.on("error", (error) => log.debug("returns_door.connection_failed", { error: error.message }));
  server.listen(listen.port, listen.host);
  await once(server.server, "listening");
  return {
    port: (server.server.address() as AddressInfo).port,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

function judgeRecipient(address: string, domain: string, taken: number): Error | null {
  if (tokenOfReturnPath(address, domain) === undefined && tokenOfUnsubscribeAddress(address, domain) === undefined) {
    return refusal(550, "5.1.1 no such recipient: only return paths and addresses to unsubscribe are taken here");
  }
  return taken >= RECIPIENTS_MAX ? refusal(452, "4.5.3 too many recipients, send the others apart") : null;
}

/** Null: it is kept. */
async function takeMail(
  stream: SMTPServerDataStream,
  { envelope, remoteAddress }: SMTPServerSession,
  keep: ReturnsDoorPorts["keep"],
): Promise<Error | null> {
  const { raw, bytes } = await readBeginning(stream);
  const sender = envelope.mailFrom === false ? "" : envelope.mailFrom.address;
  if (sender !== "" && bytes > MAIL_BYTES_MAX) return refusal(552, `5.3.4 more than ${MAIL_BYTES_MAX} octets`);
  const recipients = envelope.rcptTo.map(({ address }) => address);
  await within(
    KEEP_MS_MAX,
    keep({ raw, sender: printable(sender), recipients: recipients.map(printable), client: remoteAddress }),
  );
  return null;
}

async function readBeginning(stream: SMTPServerDataStream): Promise<{ readonly raw: Buffer; readonly bytes: number }> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    if (bytes < KEPT_BYTES_MAX) chunks.push(chunk.subarray(0, KEPT_BYTES_MAX - bytes));
    bytes += chunk.length;
  }
  return { raw: Buffer.concat(chunks), bytes };
}

async function within<T>(msMax: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`the database has not answered for ${msMax} ms`)), msMax);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function refusal(responseCode: number, message: string): Error {
  return Object.assign(new Error(message), { responseCode });
}

/** No text in the database can hold a NUL or half a surrogate pair. */
function printable(address: string): string {
  return address.slice(0, 320).replaceAll(/[\p{Cc}\p{Cs}]/gu, "?");
}
