// A short talk with a host of an outlet: greeting, EHLO, STARTTLS where it is offered, the certificate, EHLO again, QUIT.
// It gives no credentials and no mail. Sockets and time come from outside; what goes wrong is a value.

import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { createReplyParser, feedReplies, type ParsedReply } from "../handover/reply-parser.ts";
import { NO_EXTENSIONS, parseExtensions, type SmtpExtensions } from "../handover/smtp-extensions.ts";
import type { SmtpOutletConfig } from "../platform/config.ts";
import { withinTime } from "./run-checks.ts";
import type { Surroundings, TlsWish } from "./surroundings.ts";

export interface RelayTalk {
  readonly end:
    | "done"
    /** The name has no address. */
    | "unresolved"
    | "unreachable"
    | "silent"
    | "refused"
    | "tls_failed";
  /** What the other side or the system said, where it did not end well. */
  readonly said: string;
  /** The last that were told, so those within TLS where there is TLS. */
  readonly extensions: SmtpExtensions;
  readonly wasTlsOffered: boolean;
  readonly isTls: boolean;
  readonly certificate?: CertificateFacts;
}

export interface CertificateFacts {
  /** Null: it verifies for this host. */
  readonly problem: string | null;
  readonly validToMs: number;
}

/** Of one step. A greeting may be delayed on purpose, by a few seconds; longer, and the check as a whole ends first. */
export const STEP_MS_MAX = 4000;

type Host = Pick<SmtpOutletConfig["hosts"][number], "host" | "port">;
type Outlet = Pick<SmtpOutletConfig, "tls" | "implicitTls" | "ca" | "heloName">;
export type TalkPorts = Pick<Surroundings, "clock" | "connect" | "startTls">;

export async function talkToRelay({ host, port }: Host, outlet: Outlet, ports: TalkPorts): Promise<RelayTalk> {
  const open: Duplex[] = [];
  const known: { -readonly [Key in keyof RelayTalk]: RelayTalk[Key] } = {
    end: "done",
    said: "",
    extensions: NO_EXTENSIONS,
    wasTlsOffered: outlet.implicitTls,
    isTls: false,
  };
  const step = async <T>(work: Promise<T>): Promise<T> => {
    const answer = await withinTime(work, ports.clock, STEP_MS_MAX);
    if (answer === "late") throw new TalkEnd("silent", `no answer within ${STEP_MS_MAX / 1000} s`);
    return answer;
  };
  const wish: TlsWish = {
    host,
    servername: /^[\d.]+$|:/.test(host) ? undefined : host,
    ca: outlet.ca,
    isVerified: false,
  };
  const secure = async (plain: Duplex): Promise<Line> => {
    const socket = ports.startTls(plain, wish);
    open.push(socket);
    await step(emitted(socket, "secureConnect", "tls_failed"));
    Object.assign(known, { isTls: true, certificate: certificateOf(socket as TLSSocket) });
    return lineOn(socket);
  };
  try {
    const socket = ports.connect(host, port);
    open.push(socket);
    await step(emitted(socket, "connect", "unreachable"));
    let line = outlet.implicitTls ? await secure(socket) : lineOn(socket);
    const greeting = await step(line.reply());
    if (greeting.reply.code !== 220) throw new TalkEnd("refused", `${greeting.reply.code} ${greeting.lines.join(" ")}`);
    known.extensions = await introduce(line, outlet.heloName, step);
    if (!outlet.implicitTls && outlet.tls !== "off" && known.extensions.hasStartTls) {
      known.wasTlsOffered = true;
      const { reply, lines } = await step(line.ask("STARTTLS"));
      if (reply.code !== 220) throw new TalkEnd("tls_failed", `${reply.code} ${lines.join(" ")}`);
      line.leave();
      line = await secure(socket);
      known.extensions = await introduce(line, outlet.heloName, step);
    }
    await step(line.ask("QUIT")).catch(() => {});
  } catch (error) {
    Object.assign(known, endOf(error));
  } finally {
    for (const socket of open.toReversed()) socket.destroy();
  }
  return known;
}

class TalkEnd extends Error {
  readonly end: RelayTalk["end"];

  constructor(end: RelayTalk["end"], said: string) {
    super(said);
    this.end = end;
  }
}

function endOf(error: unknown): Pick<RelayTalk, "end" | "said"> {
  if (error instanceof TalkEnd) return { end: error.end, said: error.message };
  throw error;
}

async function introduce(
  line: Line,
  name: string,
  step: (work: Promise<ParsedReply>) => Promise<ParsedReply>,
): Promise<SmtpExtensions> {
  const { reply, lines } = await step(line.ask(`EHLO ${name}`));
  return reply.code === 250 ? parseExtensions(lines) : NO_EXTENSIONS;
}

/** The names of the system's errors that say that a name has no address. */
const UNRESOLVED = new Set(["ENOTFOUND", "EAI_AGAIN", "ENODATA", "EAI_NONAME"]);

function emitted(socket: Duplex, event: string, otherwise: RelayTalk["end"]): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, () => resolve());
    socket.on("error", (error: NodeJS.ErrnoException) => {
      const end = UNRESOLVED.has(error.code ?? "") ? "unresolved" : otherwise;
      reject(new TalkEnd(end, wordsOf(error)));
    });
    socket.once("close", () => reject(new TalkEnd(otherwise, "the connection was closed")));
  });
}

/** Node tries every address of a host, and says nothing but an empty AggregateError. */
function wordsOf(error: Error): string {
  return error instanceof AggregateError ? error.errors.map((one) => (one as Error).message).join("; ") : error.message;
}

interface Line {
  ask(command: string): Promise<ParsedReply>;
  reply(): Promise<ParsedReply>;
  /** Somebody else reads from here on. */
  leave(): void;
}

function lineOn(socket: Duplex): Line {
  const parser = createReplyParser();
  const replies: ParsedReply[] = [];
  let waiting: { resolve(reply: ParsedReply): void; reject(error: Error): void } | undefined;
  let fault: TalkEnd | undefined;
  const settle = (): void => {
    if (waiting === undefined) return;
    const next = replies.shift();
    if (next !== undefined) waiting.resolve(next);
    else if (fault !== undefined) waiting.reject(fault);
    else return;
    waiting = undefined;
  };
  const fail = (said: string): void => {
    fault ??= new TalkEnd("refused", said);
    settle();
  };
  const hear = (bytes: Buffer): void => {
    replies.push(...feedReplies(parser, bytes));
    if (parser.error !== undefined) fail(`what it says is not SMTP: ${parser.error}`);
    settle();
  };
  socket.on("data", hear);
  socket.on("error", (error: Error) => fail(error.message));
  socket.on("close", () => fail("it closed the connection"));
  const reply = (): Promise<ParsedReply> =>
    new Promise((resolve, reject) => {
      waiting = { resolve, reject };
      settle();
    });
  return {
    reply,
    ask(command) {
      socket.write(`${command}\r\n`);
      return reply();
    },
    leave() {
      socket.off("data", hear);
    },
  };
}

function certificateOf(socket: TLSSocket): CertificateFacts {
  const problem = socket.authorized ? null : String(socket.authorizationError);
  return { problem, validToMs: Date.parse(socket.getPeerCertificate().valid_to) };
}
