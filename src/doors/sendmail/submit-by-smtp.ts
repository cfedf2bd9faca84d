// A small SMTP client for mail that goes to Postlane's own door: one transaction after the other on one connection, a
// whole mail as octets, and an answer as a value. It never tries a mail twice by itself, and never takes silence for a
// yes: what was not answered is put off, and the key in the mail keeps a second try from becoming a second mail.
//
// It needs nothing but a socket, so that a program that uses it starts at once; TLS is loaded when it is wanted.

import { connect, type Socket } from "node:net";
import { hostname } from "node:os";

export interface SmtpPlace {
  readonly host: string;
  readonly port: number;
  /** From the first octet, with a certificate that verifies. Without it passwords go to this machine alone. */
  readonly tls?: boolean;
  /** Certificates in PEM to trust in place of the system's. */
  readonly ca?: string;
  readonly auth?: { readonly user: string; readonly password: string };
}

/** A mail with CRLF line ends and no bare CR, LF or NUL, its idempotency key among its headers. */
export interface WholeMail {
  /** Empty: the null sender. */
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly octets: Buffer;
  /** RFC 3461; said where the server offers DSN. */
  readonly ret?: "FULL" | "HDRS";
  readonly envid?: string;
  readonly notify?: string;
}

export type SubmissionEnd =
  | { readonly kind: "accepted"; readonly reply: SmtpReply }
  /** For good: another try gets the same. Nobody has it, whichever recipient was refused. */
  | { readonly kind: "refused"; readonly reply: SmtpReply; readonly recipient?: string }
  /** Not taken now, or nobody knows. `isReachable`: the door answered, and it is about this mail. */
  | { readonly kind: "put_off"; readonly why: string; readonly isReachable: boolean; readonly reply?: SmtpReply };

export interface SmtpReply {
  readonly code: number;
  /** In one line, fit for a terminal, with its code. */
  readonly text: string;
}

export interface SmtpSubmitter {
  /** Opens a connection at the first mail and after a failure. Never throws. One mail at a time. */
  submit(mail: WholeMail, msMax: number): Promise<SubmissionEnd>;
  /** An open connection does not keep the process alive between two mails. */
  rest(): void;
  close(): void;
}

/** Nothing that speaks SMTP says more in one reply. */
const REPLY_CHARACTERS_MAX = 64 * 1024;
const TEXT_CHARACTERS_MAX = 1000;

export function createSmtpSubmitter(place: SmtpPlace): SmtpSubmitter {
  let socket: Socket | undefined;
  let open: Conversation | undefined;
  const drop = (error?: Error): void => {
    socket?.destroy(error);
    socket = open = undefined;
  };
  return {
    async submit(mail, msMax) {
      const timer = setTimeout(() => drop(new Error(`no answer within ${Math.round(msMax)} ms`)), msMax);
      try {
        if (socket?.destroyed === true) drop();
        socket?.ref();
        open ??= await converse(place, (socket = await newSocket(place)));
        return await carry(open, mail);
      } catch (error) {
        drop();
        return putOff(error);
      } finally {
        clearTimeout(timer);
      }
    },
    rest() {
      socket?.unref();
    },
    close() {
      socket?.end("QUIT\r\n").unref();
      socket = open = undefined;
    },
  };
}

/** A reply that ends the conversation: before a mail had its turn, or 421 in the middle. */
class Turned extends Error {
  readonly reply: SmtpReply;

  constructor(reply: SmtpReply) {
    super(reply.text);
    this.reply = reply;
  }
}

function putOff(error: unknown): SubmissionEnd {
  // What a door says for good to everybody (AUTH wanted, say) does not get better by waiting.
  if (error instanceof Turned && error.reply.code >= 500) return { kind: "refused", reply: error.reply };
  if (error instanceof Turned) return { kind: "put_off", why: error.message, isReachable: false, reply: error.reply };
  const why = error instanceof Error ? error.message : String(error);
  return { kind: "put_off", why: printable(why), isReachable: false };
}

// ---- one connection --------------------------------------------------------------------------------------------------

interface Conversation {
  readonly extensions: ReadonlySet<string>;
  /** Sends a command, or a whole content, and answers the reply to it. */
  say(words: string | Buffer): Promise<ParsedReply>;
}

/** Not connected yet: what goes wrong is heard by whoever listens to it. */
async function newSocket({ host, port, tls, ca }: SmtpPlace): Promise<Socket> {
  if (tls !== true) return connect({ host, port }).setNoDelay(true);
  const { connect: connectTls } = await import("node:tls");
  return connectTls({ host, port, servername: host, ...(ca === undefined ? {} : { ca }) }).setNoDelay(true);
}

async function converse(place: SmtpPlace, socket: Socket): Promise<Conversation> {
  const nextReply = listenTo(socket);
  const say = async (words: string | Buffer): Promise<ParsedReply> => {
    socket.write(typeof words === "string" ? `${words}\r\n` : words);
    const reply = await nextReply();
    if (reply.code === 421) throw new Turned(reply);
    return reply;
  };
  expect2(await nextReply());
  const hello = expect2(await say(`EHLO ${heloName()}`));
  const extensions = new Set(hello.lines.slice(1).map((line) => line.split(" ", 1)[0]!.toUpperCase()));
  if (place.auth !== undefined) await logIn(place, place.auth, say);
  return { extensions, say };
}

async function logIn(
  { host, tls }: SmtpPlace,
  { user, password }: NonNullable<SmtpPlace["auth"]>,
  say: Conversation["say"],
): Promise<void> {
  if (tls !== true && !/^(?:localhost|127(?:\.\d{1,3}){3}|::1)$/i.test(host)) {
    throw new Error(`no password goes to ${host} without TLS: set tls`);
  }
  expect2(await say(`AUTH PLAIN ${Buffer.from(`\0${user}\0${password}`).toString("base64")}`));
}

function expect2(reply: ParsedReply): ParsedReply {
  if (reply.code < 200 || reply.code > 299) throw new Turned(reply);
  return reply;
}

interface ParsedReply extends SmtpReply {
  readonly lines: readonly string[];
}

/** Replies one after the other; fails when the connection does. */
function listenTo(socket: Socket): () => Promise<ParsedReply> {
  let heard = "";
  let failure: Error | undefined;
  let wake = (): void => {};
  socket.setEncoding("utf8").on("data", (piece: string) => {
    heard += piece;
    if (heard.length > REPLY_CHARACTERS_MAX) socket.destroy(new Error("what answers does not speak SMTP"));
    wake();
  });
  socket.on("error", (error) => (failure = error));
  socket.on("close", () => {
    failure ??= new Error("the connection was closed");
    wake();
  });
  return async () => {
    for (;;) {
      const whole = /^(?:\d{3}-[^\n]*\n)*(\d{3})(?: [^\n]*)?\r?\n/.exec(heard);
      if (whole !== null) {
        heard = heard.slice(whole[0].length);
        return parseReply(whole[0], Number(whole[1]));
      }
      if (failure !== undefined) throw failure;
      if (/^(?!\d{3}[ \r\n-])[^\n]*\n/.test(heard)) throw new Error("what answers does not speak SMTP");
      await new Promise<void>((resolve) => (wake = resolve));
    }
  };
}

function parseReply(whole: string, code: number): ParsedReply {
  const lines = whole
    .trimEnd()
    .split(/\r?\n/)
    .map((line) => line.slice(4));
  return { code, lines, text: printable(`${code} ${lines.join(" ")}`) };
}

// ---- one transaction -------------------------------------------------------------------------------------------------

async function carry(open: Conversation, mail: WholeMail): Promise<SubmissionEnd> {
  const begun = await open.say(`MAIL FROM:<${mail.sender}>${mailParameters(open, mail)}`);
  if (begun.code !== 250) return await giveUp(open, begun);
  for (const recipient of mail.recipients) {
    const reply = await open.say(`RCPT TO:<${recipient}>${rcptParameters(open, mail)}`);
    if (reply.code !== 250 && reply.code !== 251) return await giveUp(open, reply, recipient);
  }
  const ready = await open.say("DATA");
  if (ready.code !== 354) return await giveUp(open, ready);
  const end = await open.say(stuffed(mail.octets));
  return end.code === 250 ? { kind: "accepted", reply: end } : endOf(end);
}

/** The connection is good for the next mail. */
async function giveUp(open: Conversation, reply: SmtpReply, recipient?: string): Promise<SubmissionEnd> {
  await open.say("RSET");
  return endOf(reply, recipient);
}

function endOf(reply: SmtpReply, recipient?: string): SubmissionEnd {
  if (reply.code < 500) return { kind: "put_off", why: reply.text, isReachable: true, reply };
  return { kind: "refused", reply, ...(recipient === undefined ? {} : { recipient }) };
}

function mailParameters({ extensions }: Conversation, mail: WholeMail): string {
  const { octets, ret, envid } = mail;
  const parameters: string[] = [];
  if (extensions.has("SIZE")) parameters.push(`SIZE=${octets.length}`);
  if (extensions.has("8BITMIME") && hasHighOctet(octets)) parameters.push("BODY=8BITMIME");
  if (extensions.has("SMTPUTF8") && isInternational(mail)) parameters.push("SMTPUTF8");
  if (extensions.has("DSN") && ret !== undefined) parameters.push(`RET=${ret}`);
  if (extensions.has("DSN") && envid !== undefined) parameters.push(`ENVID=${xtext(envid)}`);
  return parameters.map((parameter) => ` ${parameter}`).join("");
}

function rcptParameters({ extensions }: Conversation, { notify }: WholeMail): string {
  return extensions.has("DSN") && notify !== undefined ? ` NOTIFY=${notify}` : "";
}

/** RFC 6531 §3.4: an address or a header field beyond ASCII. */
function isInternational({ sender, recipients, octets }: WholeMail): boolean {
  const end = octets.indexOf("\r\n\r\n");
  return [sender, ...recipients].some((address) => /[^ -~]/.test(address)) || hasHighOctet(octets.subarray(0, end));
}

const hasHighOctet = (octets: Buffer): boolean => /[\x80-\xff]/.test(octets.toString("latin1"));

/** RFC 3461 §4. */
function xtext(text: string): string {
  return text.replaceAll(/[^!-*,-<>-~]/gu, (character) =>
    [...Buffer.from(character)].map((octet) => `+${octet.toString(16).toUpperCase().padStart(2, "0")}`).join(""),
  );
}

/** RFC 5321 §4.5.2, with the final dot. Octets as characters, of the same number. */
function stuffed(octets: Buffer): Buffer {
  return Buffer.from(`${octets.toString("latin1").replaceAll(/^\./gm, "..")}.\r\n`, "latin1");
}

function heloName(): string {
  const name = hostname();
  return /^[A-Za-z0-9.-]{1,253}$/.test(name) ? name : "localhost";
}

/** Of another program: in one line, bounded, and fit for a terminal. */
function printable(text: string): string {
  return text.slice(0, TEXT_CHARACTERS_MAX).replaceAll(/[\p{Cc}\p{Cs}]/gu, "?");
}
