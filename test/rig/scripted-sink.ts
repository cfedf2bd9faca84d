// An SMTP server that does what its script says: the outside of the scenarios. Left alone it is a correct server that
// takes every message; a script answers single commands otherwise, waits, falls silent or drops the connection.
// It keeps everything it was told: commands, whole contents octet by octet, and each breach of the protocol by the
// client (`breaches`), which a test of ours expects to stay empty. It listens on 127.0.0.1 on a free port only.

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type AddressInfo, type Socket } from "node:net";
import path from "node:path";
import { createSecureContext, TLSSocket } from "node:tls";

export type SinkVerb =
  | "BANNER"
  | "EHLO"
  | "HELO"
  | "STARTTLS"
  | "AUTH"
  | "AUTH_LINE"
  | "MAIL"
  | "RCPT"
  | "DATA"
  | "DOT"
  | "RSET"
  | "NOOP"
  | "QUIT"
  | "OTHER";

/** What a script is asked about. Counts begin at 1. */
export interface SinkCommand {
  readonly verb: SinkVerb;
  /** Without CRLF; empty for BANNER and DOT. */
  readonly line: string;
  /** Of RCPT, and of DOT the first one that was accepted. */
  readonly recipient: string;
  /** Of MAIL and whatever follows it in the transaction. */
  readonly sender: string;
  readonly connection: number;
  /** The how-manieth of this verb in all, and on this connection. */
  readonly nth: number;
  readonly nthHere: number;
  readonly content: Buffer | undefined;
}

/**
 * A string is the reply (lines joined by CRLF, the last CRLF is added); `drop` closes without a word; `silence` never
 * answers; `reply_and_drop` says its last word, and `reply_and_reset` has a reset behind it (not over TLS), at once or when
 * the next octets come. Undefined, or no answer function: as a correct server would.
 */
export type SinkAnswer =
  | string
  | { readonly kind: "drop" }
  | { readonly kind: "silence" }
  | { readonly kind: "reply_and_drop"; readonly text: string }
  | { readonly kind: "reply_and_reset"; readonly text: string; readonly resets: "at once" | "at more" };

export const DROP: SinkAnswer = { kind: "drop" };
export const SILENCE: SinkAnswer = { kind: "silence" };
export const replyAndDrop = (text: string): SinkAnswer => ({ kind: "reply_and_drop", text });
export const replyAndReset = (text: string, resets: "at once" | "at more" = "at once"): SinkAnswer => ({
  kind: "reply_and_reset",
  text,
  resets,
});

export interface SinkScript {
  /** EHLO keywords; STARTTLS is added by `tls`, AUTH by `users`. */
  readonly extensions?: readonly string[];
  readonly answer?: (command: SinkCommand) => SinkAnswer | undefined | Promise<SinkAnswer | undefined>;
  readonly tls?: "none" | "starttls" | "implicit";
  /** The handshake after STARTTLS is answered by something that is not TLS. */
  readonly isHandshakeBroken?: boolean;
  /** Said in clear in the same write as the 220 to STARTTLS, as an attacker would. */
  readonly injectedAfterStartTls?: string;
  /** Who may log in: user → password. */
  readonly users?: Readonly<Record<string, string>>;
  /** Each octet of a reply in a write of its own. */
  readonly isByteByByte?: boolean;
  /** After its 354 the server reads nothing more: the content stays where it is. */
  readonly isDeafAfter354?: boolean;
}

export interface SinkMessage {
  readonly sender: string;
  readonly recipients: readonly string[];
  /** What stood behind the path in MAIL, such as `SIZE=12 BODY=8BITMIME`. */
  readonly mailParameters: string;
  /** Without stuffed dots and the final dot. */
  readonly content: Buffer;
  /** As it came, final dot included. */
  readonly raw: Buffer;
  readonly connection: number;
  readonly isTls: boolean;
  readonly user: string | undefined;
  /** CR, LF or NUL that is not part of a CRLF. */
  readonly hasBareNewline: boolean;
  /** The reply to the final dot; undefined when none was given. */
  reply: string | undefined;
}

export interface ScriptedSink {
  readonly port: number;
  /** Every content whose final dot came, whatever was answered. */
  readonly messages: readonly SinkMessage[];
  /** Those that were answered by 2yz. */
  readonly accepted: readonly SinkMessage[];
  /** `N> ` what connection N's client said, content left out. */
  readonly commands: readonly string[];
  readonly breaches: readonly string[];
  /** Octets of each read, by connection: what the client wrote at once. */
  readonly reads: readonly { readonly connection: number; readonly bytes: Buffer }[];
  readonly connectionCount: number;
  readonly openConnectionCount: number;
  readonly openConnectionCountMax: number;
  /** Resolves when it is true, looked at whenever something happens. */
  waitFor(isTrue: () => boolean): Promise<void>;
  /** Refuses connections from now on and drops those that are open; `start` listens again on the same port. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

export interface SinkScope {
  after(release: () => Promise<void> | void): void;
}

/**
 * `port` 0, the default, takes a free one.
 *
 *     const sink = await startScriptedSink(t, {
 *       answer: ({ verb, nth }) => (verb === "RCPT" && nth === 2 ? "550 5.1.1 no such user" : undefined),
 *     });
 *     await sink.waitFor(() => sink.accepted.length === 3);
 */
export async function startScriptedSink(t: SinkScope, script: SinkScript = {}, port = 0): Promise<ScriptedSink> {
  const sink = new SinkAtWork(script, port);
  await sink.start();
  t.after(() => sink.stop());
  return sink;
}

export const SINK_EXTENSIONS: readonly string[] = [
  "PIPELINING",
  "SIZE 10485760",
  "8BITMIME",
  "SMTPUTF8",
  "ENHANCEDSTATUSCODES",
];

const tlsFolder = path.join(import.meta.dirname, "..", "fixtures", "tls");
export const sinkCertificate: string = readFileSync(path.join(tlsFolder, "cert.pem"), "utf8");
const secureContext = createSecureContext({
  cert: sinkCertificate,
  key: readFileSync(path.join(tlsFolder, "key.pem"), "utf8"),
});

class SinkAtWork implements ScriptedSink {
  readonly script: SinkScript;
  readonly messages: SinkMessage[] = [];
  readonly commands: string[] = [];
  readonly breaches: string[] = [];
  readonly reads: { readonly connection: number; readonly bytes: Buffer }[] = [];
  readonly counts = new Map<SinkVerb, number>();
  port: number;
  connectionCount = 0;
  openConnectionCountMax = 0;
  readonly #sockets = new Set<Socket>();
  readonly #waiting = new Set<() => void>();
  #server = createServer();

  constructor(script: SinkScript, port: number) {
    this.script = script;
    this.port = port;
  }

  get accepted(): readonly SinkMessage[] {
    return this.messages.filter(({ reply }) => reply?.startsWith("2"));
  }

  get openConnectionCount(): number {
    return this.#sockets.size;
  }

  async start(): Promise<void> {
    this.#server = createServer((socket) => this.#accept(socket));
    this.#server.listen(this.port, "127.0.0.1");
    await once(this.#server, "listening");
    this.port = (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, "close");
  }

  waitFor(isTrue: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!isTrue()) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }

  happened(): void {
    for (const look of this.#waiting) look();
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    this.openConnectionCountMax = Math.max(this.openConnectionCountMax, this.#sockets.size);
    socket.setNoDelay(true);
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.#sockets.delete(socket);
      this.happened();
    });
    void new SinkDialogue(this, socket, ++this.connectionCount).serve();
    this.happened();
  }
}

interface OpenTransaction {
  readonly sender: string;
  readonly parameters: string;
  readonly recipients: string[];
}

// One connection: a loop that reads a line or a content, asks the script, and answers.
class SinkDialogue {
  readonly #sink: SinkAtWork;
  readonly #connection: number;
  readonly #counts = new Map<SinkVerb, number>();
  #socket: Socket;
  #buffer = Buffer.alloc(0);
  #isEnded = false;
  #isTls = false;
  #user: string | undefined;
  #pipelines = false;
  #transaction: OpenTransaction | undefined;
  #whenMore: () => void = () => undefined;

  constructor(sink: SinkAtWork, socket: Socket, connection: number) {
    this.#sink = sink;
    this.#socket = socket;
    this.#connection = connection;
  }

  async serve(): Promise<void> {
    if (this.#sink.script.tls === "implicit") this.#wrapInTls();
    this.#listen();
    if (!(await this.#reply("BANNER", "", "220 sink.example ESMTP"))) return;
    for (;;) {
      const line = await this.#readLine();
      if (line === undefined || !(await this.#takeCommand(line))) return;
    }
  }

  #listen(): void {
    this.#socket.on("data", (bytes: Buffer) => {
      this.#buffer = Buffer.concat([this.#buffer, bytes]);
      this.#sink.reads.push({ connection: this.#connection, bytes });
      this.#whenMore();
      this.#sink.happened();
    });
    this.#socket.on("error", () => undefined);
    this.#socket.on("close", () => {
      this.#isEnded = true;
      this.#whenMore();
    });
  }

  #wrapInTls(): void {
    this.#socket = new TLSSocket(this.#socket, { isServer: true, secureContext });
    this.#isTls = true;
    this.#buffer = Buffer.alloc(0);
  }

  async #readUntil(end: string): Promise<Buffer | undefined> {
    for (let from = 0; ;) {
      const at = this.#buffer.indexOf(end, from, "latin1");
      if (at >= 0) {
        const bytes = this.#buffer.subarray(0, at + end.length);
        this.#buffer = this.#buffer.subarray(at + end.length);
        return bytes;
      }
      if (this.#isEnded) return undefined;
      from = Math.max(0, this.#buffer.length - end.length);
      await new Promise<void>((resolve) => (this.#whenMore = resolve));
    }
  }

  async #readLine(): Promise<string | undefined> {
    const bytes = await this.#readUntil("\r\n");
    if (bytes === undefined) return undefined;
    const line = bytes.toString("utf8").slice(0, -2);
    // oxlint-disable-next-line no-control-regex
    if (/[\r\n\0]/.test(line)) this.#breach(`a bare CR, LF or NUL in the command ${JSON.stringify(line)}`);
    return line;
  }

  async #takeCommand(line: string): Promise<boolean> {
    const verb = verbOf(line);
    this.#sink.commands.push(`${this.#connection}> ${line}`);
    this.#sink.happened();
    this.#watchOrder(verb, line);
    switch (verb) {
      case "EHLO":
        this.#pipelines = this.#extensions().includes("PIPELINING");
        this.#transaction = undefined;
        return this.#reply(verb, line, ["sink.example", ...this.#extensions()].map(ehloLine).join("\r\n"));
      case "STARTTLS":
        return this.#startTls(line);
      case "AUTH":
        return this.#authenticate(line);
      case "MAIL":
        return this.#takeMail(line);
      case "RCPT":
        return this.#takeRcpt(line);
      case "DATA":
        return this.#takeData(line);
      case "QUIT":
        if (await this.#reply(verb, line, "221 2.0.0 bye")) this.#socket.end();
        return false;
      case "RSET":
        this.#transaction = undefined;
        return this.#reply(verb, line, "250 2.0.0 ok");
      case "HELO":
      case "NOOP":
        return this.#reply(verb, line, "250 sink.example");
      case "BANNER":
      case "AUTH_LINE":
      case "DOT":
      case "OTHER":
        return this.#reply("OTHER", line, "500 5.5.2 what?");
    }
  }

  // RFC 2920 §3.1: what may only end a group, and that nothing is grouped unless PIPELINING was offered.
  #watchOrder(verb: SinkVerb, line: string): void {
    if (this.#buffer.length === 0) return;
    const isLastOfGroup = ["EHLO", "HELO", "STARTTLS", "AUTH", "DATA", "QUIT", "NOOP"].includes(verb);
    if (isLastOfGroup || !this.#pipelines) this.#breach(`something was sent ahead of the reply to ${line}`);
  }

  #extensions(): readonly string[] {
    const { script } = this.#sink;
    const offered = [...(script.extensions ?? SINK_EXTENSIONS)];
    if (script.tls === "starttls" && !this.#isTls) offered.push("STARTTLS");
    if (script.users !== undefined && !offered.some((word) => word.startsWith("AUTH")))
      offered.push("AUTH PLAIN LOGIN");
    return offered;
  }

  async #startTls(line: string): Promise<boolean> {
    const { script } = this.#sink;
    const answer = await this.#ask("STARTTLS", line, "220 2.0.0 go ahead");
    const injected = script.injectedAfterStartTls ?? "";
    if (!(await this.#give(typeof answer === "string" ? answer + injected : answer))) return false;
    if (typeof answer !== "string" || !answer.startsWith("220")) return true;
    this.#socket.uncork();
    this.#socket.removeAllListeners("data");
    if (script.isHandshakeBroken) {
      this.#socket.end("this is not TLS\r\n");
      return false;
    }
    this.#wrapInTls();
    this.#pipelines = false;
    this.#listen();
    return true;
  }

  async #authenticate(line: string): Promise<boolean> {
    const [, mechanism, initial] = line.split(" ");
    if (mechanism?.toUpperCase() === "PLAIN" && initial !== undefined) {
      const [, user, password] = decode64(initial).split("\0");
      return this.#logIn("AUTH", line, user!, password!);
    }
    const user = await this.#challenge("AUTH", line, "334 VXNlcm5hbWU6");
    if (user === undefined) return false;
    const password = await this.#challenge("AUTH_LINE", user, "334 UGFzc3dvcmQ6");
    if (password === undefined) return false;
    return this.#logIn("AUTH_LINE", password, decode64(user), decode64(password));
  }

  async #challenge(verb: SinkVerb, line: string, text: string): Promise<string | undefined> {
    return (await this.#reply(verb, line, text)) ? this.#readLine() : undefined;
  }

  #logIn(verb: SinkVerb, line: string, user: string, password: string): Promise<boolean> {
    const isRight = this.#sink.script.users?.[user] === password;
    if (isRight) this.#user = user;
    return this.#reply(verb, line, isRight ? "235 2.7.0 welcome" : "535 5.7.8 wrong user or password");
  }

  async #takeMail(line: string): Promise<boolean> {
    const [, sender, parameters] = /^MAIL FROM:<([^>]*)>(?: (.*))?$/i.exec(line) ?? [];
    if (this.#transaction !== undefined) {
      this.#breach(`MAIL inside a transaction: ${line}`);
      return this.#reply("MAIL", line, "503 5.5.1 nested MAIL");
    }
    const opened = { sender: sender ?? "", parameters: parameters ?? "", recipients: [] };
    const answer = await this.#ask("MAIL", line, "250 2.1.0 ok", opened);
    if (isPositive(answer)) this.#transaction = opened;
    return this.#give(answer);
  }

  async #takeRcpt(line: string): Promise<boolean> {
    const [, recipient = ""] = /^RCPT TO:<([^>]*)>/i.exec(line) ?? [];
    const own = this.#transaction === undefined ? "503 5.5.1 need MAIL" : "250 2.1.5 ok";
    const answer = await this.#ask("RCPT", line, own, this.#transaction, recipient);
    if (isPositive(answer)) this.#transaction?.recipients.push(recipient);
    return this.#give(answer);
  }

  async #takeData(line: string): Promise<boolean> {
    const hasRecipient = (this.#transaction?.recipients.length ?? 0) > 0;
    const answer = await this.#ask("DATA", line, hasRecipient ? "354 go ahead" : "554 5.5.1 no valid recipients");
    if (!(await this.#give(answer))) return false;
    if (typeof answer !== "string" || !answer.startsWith("354")) return true;
    if (this.#sink.script.isDeafAfter354) {
      this.#socket.pause();
      return false;
    }
    return this.#takeContent();
  }

  async #takeContent(): Promise<boolean> {
    const raw = await this.#readContent();
    if (raw === undefined) return false;
    if (raw.length === 3) return this.#takeLoneDot();
    const message = this.#messageOf(raw);
    this.#sink.messages.push(message);
    this.#sink.happened();
    const answer = await this.#ask("DOT", "", "250 2.0.0 taken", this.#transaction, message.recipients[0], message);
    this.#transaction = undefined;
    if (typeof answer === "string") message.reply = answer;
    else if ("text" in answer) message.reply = answer.text;
    return this.#give(answer);
  }

  /** RFC 5321 §4.1.1.4: the content ends at CRLF.CRLF, whose first CRLF may be that of the DATA line. */
  async #readContent(): Promise<Buffer | undefined> {
    const first = await this.#readUntil("\r\n");
    if (first === undefined || first.equals(Buffer.from(".\r\n"))) return first;
    this.#buffer = Buffer.concat([first, this.#buffer]);
    return this.#readUntil("\r\n.\r\n");
  }

  #takeLoneDot(): Promise<boolean> {
    this.#sink.commands.push(`${this.#connection}> .`);
    if ((this.#transaction?.recipients.length ?? 0) > 0) this.#breach("an empty content for an accepted recipient");
    this.#transaction = undefined;
    return this.#reply("DOT", ".", "554 5.5.1 no valid recipients");
  }

  #messageOf(raw: Buffer): SinkMessage {
    const text = raw.toString("latin1");
    const hasBareNewline = /\r(?!\n)|(?<!\r)\n|\0/.test(text);
    if (hasBareNewline) this.#breach("a bare CR, LF or NUL in the content");
    return {
      sender: this.#transaction?.sender ?? "",
      recipients: [...(this.#transaction?.recipients ?? [])],
      mailParameters: this.#transaction?.parameters ?? "",
      content: Buffer.from(text.slice(0, -3).replaceAll(/(^|\r\n)\./g, "$1"), "latin1"),
      raw,
      connection: this.#connection,
      isTls: this.#isTls,
      user: this.#user,
      hasBareNewline,
      reply: undefined,
    };
  }

  #breach(what: string): void {
    this.#sink.breaches.push(`${this.#connection}> ${what}`);
  }

  async #reply(verb: SinkVerb, line: string, own: string): Promise<boolean> {
    return this.#give(await this.#ask(verb, line, own, this.#transaction));
  }

  async #ask(
    verb: SinkVerb,
    line: string,
    own: string,
    transaction = this.#transaction,
    recipient = "",
    message?: SinkMessage,
  ): Promise<SinkAnswer> {
    const command: SinkCommand = {
      verb,
      line,
      recipient,
      sender: transaction?.sender ?? "",
      connection: this.#connection,
      nth: countUp(this.#sink.counts, verb),
      nthHere: countUp(this.#counts, verb),
      content: message?.content,
    };
    const answer = this.#sink.script.answer?.(command);
    // A promise only where the script gives one: a correct server answers within the same turn.
    return (answer instanceof Promise ? await answer : answer) ?? own;
  }

  async #give(answer: SinkAnswer): Promise<boolean> {
    if (typeof answer === "string") {
      await this.#say(answer);
      return !this.#isEnded;
    }
    switch (answer.kind) {
      case "reply_and_drop":
        this.#socket.end(`${answer.text}\r\n`);
        return false;
      case "reply_and_reset":
        this.#socket.uncork();
        this.#socket.write(`${answer.text}\r\n`);
        if (answer.resets === "at once") this.#socket.resetAndDestroy();
        else this.#socket.once("data", () => this.#socket.resetAndDestroy());
        return false;
      case "drop":
        this.#socket.uncork();
        this.#socket.destroy();
        return false;
      case "silence":
        return false;
    }
  }

  async #say(text: string): Promise<void> {
    const bytes = Buffer.from(text.endsWith("\n") ? text : `${text}\r\n`, "utf8");
    if (this.#sink.script.isByteByByte) {
      for (const byte of bytes) await this.#writeAlone(byte);
    } else this.#writeSoon(bytes);
    this.#sink.happened();
  }

  // The replies to one group of commands leave in one write, as those of a real server do.
  #writeSoon(bytes: Buffer): void {
    if (this.#socket.destroyed) return;
    const socket = this.#socket;
    if (socket.writableCorked === 0) {
      socket.cork();
      setImmediate(() => socket.uncork());
    }
    socket.write(bytes);
  }

  async #writeAlone(byte: number): Promise<void> {
    if (!this.#socket.destroyed) this.#socket.write(Buffer.of(byte));
    await new Promise((resolve) => void setImmediate(resolve));
  }
}

const ehloLine = (text: string, at: number, lines: readonly string[]): string =>
  `250${at === lines.length - 1 ? " " : "-"}${text}`;

const isPositive = (answer: SinkAnswer): boolean => typeof answer === "string" && answer.startsWith("2");

const decode64 = (text: string): string => Buffer.from(text, "base64").toString("utf8");

function countUp(counts: Map<SinkVerb, number>, verb: SinkVerb): number {
  const count = (counts.get(verb) ?? 0) + 1;
  counts.set(verb, count);
  return count;
}

const VERBS: readonly SinkVerb[] = ["EHLO", "HELO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "RSET", "NOOP", "QUIT"];

function verbOf(line: string): SinkVerb {
  const word = line.split(" ", 1)[0]!.toUpperCase();
  return VERBS.find((verb) => verb === word) ?? "OTHER";
}
