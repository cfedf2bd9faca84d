// Nodemailer's transport to Postlane: `nodemailer.createTransport(postlaneTransport())` in place of the application's own
// transport, and nothing else changes. Nodemailer writes the mail, with its attachments; here it goes to the SMTP door octet
// by octet, with an idempotency key among its headers, and is tried again with it when nothing is known of it or the door
// puts it off. Nodemailer itself is the application's: nothing of it is loaded here.

import { randomUUID } from "node:crypto";
import {
  createSmtpSubmitter,
  type SmtpPlace,
  type SmtpSubmitter,
  type SubmissionEnd,
} from "../doors/sendmail/submit-by-smtp.ts";
import { PostlaneError } from "./postlane-error.ts";
import { pauseMs, sleep } from "./retry-pause.ts";

export { PostlaneError } from "./postlane-error.ts";

export interface PostlaneTransportOptions {
  /** 127.0.0.1 by default: this machine, without a password. */
  readonly host?: string;
  /** 2525 by default; with `tls` 465. */
  readonly port?: number;
  /** TLS from the first octet, for another machine's door (`listen.submissions`). */
  readonly tls?: boolean;
  /** Certificates in PEM to trust in place of the system's. */
  readonly ca?: string;
  /** A key, as `postlane key create` has shown it; wanted by another machine's door. */
  readonly key?: string;
  /** Connections open at once; 5 by default. */
  readonly connectionsMax?: number;
  /** Of one try; 30 s by default. */
  readonly timeoutMs?: number;
  /** Tries after the first one; 5 by default. */
  readonly retries?: number;
}

/** What `sendMail` answers; named as Nodemailer's own transports name it. */
export interface PostlaneSentInfo {
  readonly envelope: MailEnvelope;
  readonly messageId: string;
  readonly accepted: readonly string[];
  readonly rejected: readonly string[];
  /** The door's reply, with the submission's id. */
  readonly response: string;
}

export interface MailEnvelope {
  readonly from: string | false;
  readonly to: readonly string[];
}

/** As much of Nodemailer's `MailMessage` as is needed here. */
export interface NodemailerMail {
  readonly message: {
    getEnvelope(): { from: string | false; to: string[] };
    messageId(): string;
    createReadStream(): NodeJS.ReadableStream;
  };
}

export interface PostlaneTransport {
  readonly name: string;
  readonly version: string;
  send(mail: NodemailerMail, callback: (error: Error | null, info: PostlaneSentInfo) => void): void;
  close(): void;
}

const PORT = 2525;
const TLS_PORT = 465;
const CONNECTIONS_MAX = 5;
const TIMEOUT_MS = 30_000;
const RETRIES = 5;

export function postlaneTransport(options: PostlaneTransportOptions = {}): PostlaneTransport {
  const { timeoutMs = TIMEOUT_MS, retries = RETRIES, connectionsMax = CONNECTIONS_MAX } = options;
  const pool = createPool(placeOf(options), connectionsMax);
  const submit = async (mail: NodemailerMail): Promise<PostlaneSentInfo> => {
    const { from, to } = mail.message.getEnvelope();
    const messageId = mail.message.messageId();
    // Once: what is composed again has another boundary, and would be another mail under the same key.
    const octets = withKey(await readAll(mail.message.createReadStream()));
    const whole = { sender: from === false ? "" : from, recipients: to, octets };
    for (let tries = 1; ; tries++) {
      const end = await pool.use((submitter) => submitter.submit(whole, timeoutMs));
      if (end.kind === "accepted") {
        return { envelope: { from, to }, messageId, accepted: to, rejected: [], response: end.reply.text };
      }
      if (end.kind === "refused" || tries > retries) throw errorOf(end);
      await sleep(pauseMs(tries, Math.random()));
    }
  };
  return {
    name: "Postlane",
    version: "1",
    send(mail, callback) {
      submit(mail).then(
        (info) => callback(null, info),
        // Nodemailer's own transports leave the second argument out as well.
        (error: unknown) => callback(error as Error, undefined as never),
      );
    },
    close: () => pool.close(),
  };
}

function placeOf({ host = "127.0.0.1", port, tls = false, ca, key }: PostlaneTransportOptions): SmtpPlace {
  return {
    host,
    port: port ?? (tls ? TLS_PORT : PORT),
    tls,
    ...(ca === undefined ? {} : { ca }),
    // The door takes any name beside a key.
    ...(key === undefined ? {} : { auth: { user: "postlane", password: key } }),
  };
}

async function readAll(stream: NodeJS.ReadableStream): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString("latin1");
}

/** Octets as characters. A mail that brings a key of its own keeps it. */
function withKey(composed: string): Buffer {
  if (/\0|\r(?!\n)/.test(composed)) {
    throw new PostlaneError("the mail contains a NUL, or a CR that ends no line", {
      code: "bad_content",
      hint: "Give binary content as an attachment, and end lines of a raw mail by CRLF.",
    });
  }
  const text = composed.replaceAll(/\r?\n/g, "\r\n");
  const mail = text.endsWith("\r\n") ? text : `${text}\r\n`;
  const header = mail.slice(0, mail.indexOf("\r\n\r\n") + 2);
  const hasKey = /^X-Postlane-Idempotency-Key[ \t]*:/im.test(header);
  return Buffer.from(hasKey ? mail : `X-Postlane-Idempotency-Key: nodemailer-${randomUUID()}\r\n${mail}`, "latin1");
}

function errorOf(end: Exclude<SubmissionEnd, { readonly kind: "accepted" }>): PostlaneError {
  if (end.kind === "refused") {
    const about = end.recipient === undefined ? "" : `${end.recipient}: `;
    return new PostlaneError(`${about}${end.reply.text}`, { code: "refused", status: end.reply.code });
  }
  return new PostlaneError(end.why, {
    code: end.reply === undefined ? "unreachable" : "put_off",
    status: end.reply?.code,
    hint: "Nothing is known of it, or it was not taken: send it again, with an X-Postlane-Idempotency-Key of yours.",
  });
}

// ---- connections -----------------------------------------------------------------------------------------------------

interface Pool {
  use<T>(work: (submitter: SmtpSubmitter) => Promise<T>): Promise<T>;
  close(): void;
}

/** Those who come when all are in use wait for their turn. What rests does not keep the process alive. */
function createPool(place: SmtpPlace, connectionsMax: number): Pool {
  const resting: SmtpSubmitter[] = [];
  const waiting: ((submitter: SmtpSubmitter) => void)[] = [];
  let made = 0;
  let isClosed = false;
  const take = async (): Promise<SmtpSubmitter> => {
    const rested = resting.pop();
    if (rested !== undefined) return rested;
    if (made >= connectionsMax) return await new Promise((resolve) => waiting.push(resolve));
    made++;
    return createSmtpSubmitter(place);
  };
  const giveBack = (submitter: SmtpSubmitter): void => {
    const next = waiting.shift();
    if (next !== undefined) return next(submitter);
    if (isClosed) return submitter.close();
    submitter.rest();
    resting.push(submitter);
  };
  return {
    async use(work) {
      const submitter = await take();
      try {
        return await work(submitter);
      } finally {
        giveBack(submitter);
      }
    },
    close() {
      isClosed = true;
      for (const submitter of resting) submitter.close();
    },
  };
}
