// One client's session. The library speaks the protocol around it (greeting, EHLO's grammar, AUTH's exchange, STARTTLS,
// timeouts, the splitting into commands); what this door decides stands here: who may send, the envelope, the content,
// and how much of everything. A reply that is ours opens with its enhanced code; the library adds one to its own.

import type net from "node:net";
import type tls from "node:tls";
import type { SMTPServer } from "smtp-server";
import { SMTPConnection, type SMTPConnectionOptions } from "smtp-server/lib/smtp-connection.js";
import type { Timer } from "../../platform/clock.ts";
import { isLoopback } from "../../platform/config-host.ts";
import type { Keyring } from "../../senders/keyring.ts";
import { LOOPBACK_SENDER, laneFor, whyNotAllowed } from "../../senders/may-submit.ts";
import type { Sender } from "../../senders/sender.ts";
import { ContentStream } from "./content-stream.ts";
import { ContentReader, type ContentFault, type ReadingRoom } from "./read-content.ts";
import { readMail, readRcpt, type MailCommand, type RcptCommand } from "./read-envelope.ts";
import { offerTo, replyWithoutAuth, type ListenerKind, type Offer } from "./session-rules.ts";
import type { SmtpReply } from "./smtp-reply.ts";
import { ANSWER_MS_MAX, PERMISSION_TEXTS, takeMail, type TakenMail, type TakePorts } from "./take-mail.ts";
import { within } from "./within.ts";

export interface ConversationPorts extends TakePorts {
  readonly listener: ListenerKind;
  /** Of the listener; absent: the sender's. */
  readonly lane?: string;
  readonly hasCertificate: () => boolean;
  /** Of a network in `smtp.allow`. */
  readonly isAllowed: (address: string) => boolean;
  readonly keyring: Keyring;
  readonly room: ReadingRoom;
  readonly limits: {
    readonly messageBytesMax: number;
    readonly recipientsMax: number;
    readonly errorsMax: number;
  };
}

/** What AUTH leaves in the session, of which the library knows nothing. */
export interface SessionUser {
  /** The key, which was good then. */
  readonly token: string;
}

interface Transaction {
  readonly sender: Sender;
  readonly mail: MailCommand;
  /** By address. */
  readonly recipients: Map<string, RcptCommand>;
}

interface Begun {
  readonly reply: SmtpReply;
  readonly transaction?: Transaction;
}

/** However slowly the octets come: who dribbles would hold its memory for ever. RFC 5321 §4.5.3.2.5 gives 3 min a block. */
const CONTENT_MS_MAX = 10 * 60_000;
/** Between two mails, besides those that a mail needs. Postfix begins to count them as errors at 100. */
const OTHER_COMMANDS_MAX = 100;
const OWN_CODE = /^[245]\.\d{1,3}\.\d{1,3} /;
const AUTH_METHODS = ["PLAIN", "LOGIN"];

export class SmtpConversation extends SMTPConnection {
  readonly #ports: ConversationPorts;
  #transaction: Transaction | undefined;
  #reader: ContentReader | undefined;
  #deadline: Timer | undefined;
  #errors = 0;
  #otherCommands = 0;
  #isTaking = false;
  #heardAtMs: number;
  readonly #leaveSeat: (() => void) | undefined;

  /** `leaveSeat`: what it counts for among the sessions; absent: it cannot be ended for another. */
  constructor(
    server: SMTPServer,
    socket: net.Socket | tls.TLSSocket,
    options: SMTPConnectionOptions | null | undefined,
    ports: ConversationPorts,
    leaveSeat?: () => void,
  ) {
    super(server, socket, options);
    this.#ports = ports;
    this.#heardAtMs = ports.clock.monotonicMs();
    this.#leaveSeat = leaveSeat;
  }

  /** At once: waiting for early talkers is for servers that strangers call, and a password reset would wait with them. */
  override init(): void {
    this._setListeners(() => this.connectionReady());
  }

  /** Ends it when there is nothing that must be answered; a mail that is being taken in is answered first. */
  leave(): void {
    if (!this.#isTaking) this.send(421, "4.3.2 the server is being stopped, try again in a moment");
  }

  /** Between two mails, and nothing is under way. */
  idleMs(): number | undefined {
    const isBusy = this.#transaction !== undefined || this.#isTaking || this._handlerPending || this._upgrading;
    if (isBusy || this._closing || this.#leaveSeat === undefined) return undefined;
    return this.#ports.clock.monotonicMs() - this.#heardAtMs;
  }

  /** Ends it, and its seat is free at once. */
  makeRoom(): void {
    this.#leaveSeat?.();
    this.send(421, "4.3.2 it was idle while others wait to come in");
  }

  // ---- commands ------------------------------------------------------------------------------------------------------

  override _onCommand(line: Buffer, callback?: () => void): void {
    this.#heardAtMs = this.#ports.clock.monotonicMs();
    const isOfMail = /^(?:MAIL|RCPT|DATA)$/i.test(line.toString("latin1", 0, 4));
    if (!isOfMail && ++this.#otherCommands > OTHER_COMMANDS_MAX) {
      return this.send(421, `4.7.0 more than ${OTHER_COMMANDS_MAX} commands without a mail`);
    }
    super._onCommand(line, callback);
  }

  /** The library writes its list from options that all sessions share: they are set to what this one is offered. */
  override handler_EHLO(line: Buffer, done: () => void): void {
    const offer = this.#offer();
    this._server.options.hideSTARTTLS = !offer.offersTls;
    this._server.options.authMethods = offer.offersAuth ? AUTH_METHODS : [];
    super.handler_EHLO(line, done);
  }

  override handler_STARTTLS(line: Buffer, done: () => void): void {
    if (this.#offer().offersTls || this.secure) return super.handler_STARTTLS(line, done);
    this.#answer({ code: 502, text: "5.5.1 STARTTLS is not offered here" }, done);
  }

  override handler_AUTH(line: Buffer, done: () => void): void {
    if (!this.#offer().offersAuth) {
      return this.#answer({ code: 538, text: "5.7.11 authenticate over TLS only" }, done);
    }
    if (this.#transaction !== undefined) return this.#answer({ code: 503, text: "5.5.1 not amid a mail" }, done);
    this._server.options.authMethods = AUTH_METHODS;
    super.handler_AUTH(line, done);
  }

  override handler_MAIL(line: Buffer, done: () => void): void {
    within(this.#ports.clock, ANSWER_MS_MAX, this.#begin(line)).then(
      (begun) => {
        this.#transaction = begun?.transaction ?? this.#transaction;
        this.#answer(begun?.reply ?? SILENT, done);
      },
      (error: unknown) => {
        this.#ports.log.warn("smtp.key_not_asked", { error: error instanceof Error ? error.message : String(error) });
        this.#answer(SILENT, done);
      },
    );
  }

  override handler_RCPT(line: Buffer, done: () => void): void {
    this.#answer(this.#addRecipient(line), done);
  }

  override handler_DATA(line: Buffer, done: () => void): void {
    const transaction = this.#transaction;
    if (transaction === undefined) return this.#answer({ code: 503, text: "5.5.1 MAIL first" }, done);
    if (transaction.recipients.size === 0) {
      return this.#answer({ code: 554, text: "5.5.1 no recipient was taken" }, done);
    }
    if (!/^DATA[ \t]*$/i.test(line.toString("latin1"))) {
      return this.#answer({ code: 501, text: "5.5.4 DATA takes no parameter" }, done);
    }
    this.#readContent(transaction);
    done();
  }

  /** Changes nothing: who was answered meanwhile that it takes too long must not have begun a mail. */
  async #begin(line: Buffer): Promise<Begun> {
    if (this.#transaction !== undefined)
      return { reply: { code: 503, text: "5.5.1 a mail is begun already, RSET ends it" } };
    const offer = this.#offer();
    const user = userOf(this.session.user);
    const sender = user === undefined ? (offer.needsAuth ? undefined : LOOPBACK_SENDER) : await this.#senderOf(user);
    if (sender === undefined) return { reply: user === undefined ? replyWithoutAuth(offer) : KEY_IS_OVER };
    const mail = readMail(line, this.#ports.limits.messageBytesMax);
    if (mail.kind === "refused") return { reply: mail.reply };
    const problem = mailFromProblem(sender, mail) ?? (await this.#rateProblem(sender));
    if (problem !== undefined) return { reply: problem };
    return { reply: { code: 250, text: "2.1.0 go on" }, transaction: { sender, mail, recipients: new Map() } };
  }

  /** Asked anew for each mail: a key may be revoked while a session is open. Undefined: it is not good any more. */
  async #senderOf({ token }: SessionUser): Promise<Sender | undefined> {
    const answer = await this.#ports.keyring.check(token, this.remoteAddress);
    return answer.kind === "admitted" ? answer.sender : undefined;
  }

  async #rateProblem(sender: Sender): Promise<SmtpReply | undefined> {
    if (sender.maxRatePerS === undefined) return undefined;
    const answer = await this.#ports.keyring.take(sender, 1);
    if (answer.kind === "granted") return undefined;
    const waitS = Math.ceil(answer.retryAfterS);
    return { code: 450, text: `4.7.1 this key sends faster than it may, try again in ${waitS} s` };
  }

  #addRecipient(line: Buffer): SmtpReply {
    const transaction = this.#transaction;
    if (transaction === undefined) return { code: 503, text: "5.5.1 MAIL first" };
    const rcpt = readRcpt(line, transaction.mail.isUtf8);
    if (rcpt.kind === "refused") return rcpt.reply;
    const { recipients } = transaction;
    if (!recipients.has(rcpt.recipient) && recipients.size >= this.#ports.limits.recipientsMax) {
      return { code: 452, text: "4.5.3 too many recipients, send it to the others in another transaction" };
    }
    if (!recipients.has(rcpt.recipient)) recipients.set(rcpt.recipient, rcpt);
    return { code: 250, text: "2.1.5 go on" };
  }

  // ---- the content ---------------------------------------------------------------------------------------------------

  override _createParser(): ContentStream {
    const parser = new ContentStream({ maxCommandLength: this._server.options.maxCommandLength });
    parser.oncommand = (line, callback) => this._onCommand(line, callback);
    parser.on("error", (error) => this.send(421, error.message));
    return parser;
  }

  #readContent(transaction: Transaction): void {
    const { room, limits, clock } = this.#ports;
    const reader = new ContentReader(room, limits.messageBytesMax);
    this.#reader = reader;
    this.#deadline = clock.after(CONTENT_MS_MAX, () => this.send(421, "4.4.2 the content comes too slowly"));
    (this._parser as ContentStream).startContent(reader, (goOn) => {
      void this.#take(transaction, reader).then(goOn);
    });
    this.send(354, "End data with <CR><LF>.<CR><LF>");
  }

  /** Never throws: what was not foreseen is said to the log, and the client tries again. */
  async #take(transaction: Transaction, reader: ContentReader): Promise<void> {
    this.#deadline?.cancel();
    this.#isTaking = true;
    // The idle timeout counts only while the client owes us something.
    this._handlerPending = true;
    const reply = await this.#replyTo(transaction, reader).catch((error: unknown) => {
      this.#ports.log.error("smtp.failed", { error: error instanceof Error ? error.stack : String(error) });
      return SILENT;
    });
    reader.drop();
    this.#reader = undefined;
    this._handlerPending = false;
    this.#isTaking = false;
    this.#otherCommands = 0;
    this.#heardAtMs = this.#ports.clock.monotonicMs();
    this._resetSession();
    this.#log(reply);
    this.send(reply.code, reply.text);
    if (this._server._closeTimeout !== false) this.leave();
  }

  async #replyTo({ sender, mail, recipients }: Transaction, reader: ContentReader): Promise<SmtpReply> {
    const read = reader.end();
    if (read.kind === "faulty") return this.#replyToFault(read.fault);
    const { session, secure, openingCommand, remoteAddress, hostNameAppearsAs } = this;
    const taken: TakenMail = {
      sender,
      mail,
      recipients: [...recipients.values()],
      content: read.content,
      client: {
        address: remoteAddress,
        helo: hostNameAppearsAs === false ? "" : hostNameAppearsAs,
        isLoopback: isLoopback(remoteAddress),
        protocol: {
          isExtended: openingCommand !== "HELO",
          isSecure: secure,
          isAuthenticated: userOf(session.user) !== undefined,
          isUtf8: mail.isUtf8,
        },
      },
      ...(this.#ports.lane === undefined ? {} : { lane: this.#ports.lane }),
    };
    return await takeMail(taken, this.#ports);
  }

  #replyToFault(fault: ContentFault): SmtpReply {
    switch (fault) {
      case "bare_cr":
        return { code: 554, text: "5.6.0 the mail has a CR without its LF: lines end in CR LF" };
      case "bare_lf":
        return { code: 554, text: "5.6.0 the mail has an LF without its CR: lines end in CR LF" };
      case "nul":
        return { code: 554, text: "5.6.0 the mail has a NUL octet: encode it" };
      case "too_large": {
        const { messageBytesMax } = this.#ports.limits;
        return { code: 552, text: `5.3.4 the mail is too large: at most ${messageBytesMax} octets are taken` };
      }
      case "no_room":
        return { code: 452, text: "4.3.1 too much is being taken in at once, try again in a moment" };
    }
  }

  // ---- the session ---------------------------------------------------------------------------------------------------

  override _resetSession(): void {
    super._resetSession();
    this.#transaction = undefined;
  }

  override _onClose(): void {
    this.#deadline?.cancel();
    // The library takes every listener from the socket that it upgrades, and who counts the sessions is one.
    this.#leaveSeat?.();
    // What is being taken in is still needed, and given back when it is answered.
    if (!this.#isTaking) this.#reader?.drop();
    super._onClose();
  }

  override send(code: number, data?: string | string[] | null, context?: string | false): void {
    const text = typeof data === "string" ? data : "";
    if (code === 421) return super.send(421, closingText(text), false);
    super.send(code, data, OWN_CODE.test(text) ? false : context);
    if (code < 500 || this._closing || ++this.#errors < this.#ports.limits.errorsMax) return;
    this.send(421, `4.7.0 ${this.#errors} errors in one session are too many`);
  }

  #answer(reply: SmtpReply, done: () => void): void {
    if (reply.code >= 400) this.#log(reply);
    this.send(reply.code, reply.text);
    done();
  }

  #log({ code, text }: SmtpReply): void {
    const { log, listener } = this.#ports;
    const about = { listener, client: this.remoteAddress, reply: `${code} ${text}` };
    if (code < 400) log.debug("smtp.accepted", about);
    else log.info("smtp.refused", about);
  }

  #offer(): Offer {
    const { listener, hasCertificate, isAllowed } = this.#ports;
    return offerTo({
      listener,
      hasCertificate: hasCertificate(),
      isLoopback: isLoopback(this.remoteAddress),
      isAllowed: isAllowed(this.remoteAddress),
      isSecure: this.secure,
    });
  }
}

const SILENT: SmtpReply = { code: 451, text: "4.3.0 the database does not answer, try again later" };

const KEY_IS_OVER: SmtpReply = { code: 535, text: "5.7.8 the key is not good any more: authenticate with another one" };

function userOf(user: unknown): SessionUser | undefined {
  return typeof user === "object" && user !== null ? (user as SessionUser) : undefined;
}

/** Said early, before the content is sent; From is looked at when it is there. */
function mailFromProblem(sender: Sender, mail: MailCommand): SmtpReply | undefined {
  if (mail.sender === "") return undefined;
  const problem = whyNotAllowed(sender, { lane: laneFor(sender, undefined), from: [mail.sender] });
  return problem?.field === "from" ? { code: 550, text: PERMISSION_TEXTS.from } : undefined;
}

/** The library's reasons for closing, with codes of their own. */
function closingText(text: string): string {
  if (OWN_CODE.test(text)) return text;
  if (text.startsWith("Timeout")) return "4.4.2 nothing came for too long";
  if (text.startsWith("Server shutting down")) return "4.3.2 the server is being stopped, try again in a moment";
  if (text.startsWith("HTTP")) return "4.7.0 this is SMTP and not HTTP";
  if (text.includes("too long")) return "4.7.0 a command line is too long";
  return "4.7.0 the session is ended: too many commands that are none";
}
