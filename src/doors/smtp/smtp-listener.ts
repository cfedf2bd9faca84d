// One listening socket of the SMTP door: counts who comes in before anything is spent on them, and begins a conversation
// with each. Who is too many is told 421 and closed at once; where TLS comes first nothing can be told.

import type net from "node:net";
import type tls from "node:tls";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import type { SMTPConnectionOptions } from "smtp-server/lib/smtp-connection.js";
import type { Clock } from "../../platform/clock.ts";
import type { Keyring } from "../../senders/keyring.ts";
import type { Certificate } from "./certificate.ts";
import type { SessionCount } from "./count-sessions.ts";
import { SmtpConversation, type ConversationPorts, type SessionUser } from "./smtp-conversation.ts";
import { within } from "./within.ts";

export interface ListenerPorts extends ConversationPorts {
  readonly sessions: SessionCount;
  /** Somebody was too many: ends an idle session for it, if there is one. */
  readonly makeRoom: (address: string) => boolean;
  readonly onRefused: (address: string) => void;
}

export interface ListenerLimits {
  readonly idleMs: number;
  readonly messageBytesMax: number;
}

/** MAIL and RCPT with all parameters take less than 2,000 octets, AUTH with a key less than 500. */
const COMMAND_OCTETS_MAX = 4096;
/** For what is being taken in when the front is told to stop. */
const CLOSE_MS_MAX = 5000;
const TOO_MANY = "421 4.7.0 too many sessions are open, close some or try again later\r\n";

export class SmtpListener extends SMTPServer {
  readonly #ports: ListenerPorts;
  /** What a socket counts for among the sessions. */
  readonly #seats = new WeakMap<net.Socket, () => void>();

  constructor(ports: ListenerPorts, limits: ListenerLimits, certificate: Certificate | undefined) {
    super(optionsOf(ports, limits, certificate));
    this.#ports = ports;
    // Of single sessions: a client that resets, or does not speak TLS.
    this.on("error", (error) => ports.log.debug("smtp.session_failed", { error: error.message }));
  }

  /** What the library calls for each socket, before anything else. */
  override _acceptSocket(socket: net.Socket, handshake: boolean): (() => void) | false {
    const address = socket.remoteAddress ?? "";
    const leave = this.#seatFor(address);
    if (leave !== undefined) {
      this.#seats.set(socket, leave);
      socket.once("close", leave);
      return super._acceptSocket(socket, handshake);
    }
    this.#ports.onRefused(address);
    socket.on("error", () => {});
    if (handshake) socket.destroy();
    else socket.end(TOO_MANY, () => socket.destroy());
    return false;
  }

  override connect(socket: net.Socket | tls.TLSSocket, options?: SMTPConnectionOptions | null): void {
    const conversation = new SmtpConversation(this, socket, options, this.#ports, this.#seats.get(socket));
    this.connections.add(conversation);
    conversation.on("error", (error) => this._onError(error as Error));
    conversation.init();
  }

  #seatFor(address: string): (() => void) | undefined {
    const { sessions, makeRoom } = this.#ports;
    return sessions.enter(address) ?? (makeRoom(address) ? sessions.enter(address) : undefined);
  }

  renew({ cert, key }: Certificate): void {
    this.updateSecureContext({ cert, key });
  }

  /** Takes nobody in any more, ends who waits, and lets what is being taken in be answered. */
  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.close(() => resolve()));
    for (const conversation of this.connections) (conversation as SmtpConversation).leave();
    await closed;
  }
}

function optionsOf(
  ports: ListenerPorts,
  { idleMs, messageBytesMax }: ListenerLimits,
  certificate: Certificate | undefined,
): SMTPServerOptions {
  return {
    name: ports.host,
    banner: "Postlane",
    heloResponse: "%s",
    logger: false,
    secure: ports.listener === "submissions",
    // RFC 8996, RFC 9325 §3.1.1.
    minVersion: "TLSv1.2",
    ...certificate,
    // The library's jokes, and what is for proxies.
    disabledCommands: ["WIZ", "SHELL", "KILL", "HELP", "XCLIENT", "XFORWARD"],
    // Who must authenticate is decided at MAIL, and where it may be done at AUTH.
    authOptional: true,
    allowInsecureAuth: true,
    disableReverseLookup: true,
    hideENHANCEDSTATUSCODES: false,
    hideDSN: false,
    size: messageBytesMax,
    maxCommandLength: COMMAND_OCTETS_MAX,
    socketTimeout: idleMs,
    closeTimeout: CLOSE_MS_MAX,
    onConnect: (_session, answer) => answer(),
    onSecure: (_socket, _session, answer) => answer(),
    onAuth({ password }, session, answer) {
      authenticate(password ?? "", session.remoteAddress, ports).then(
        (outcome) => (outcome instanceof Error ? answer(outcome) : answer(null, { user: outcome })),
        (error: unknown) => {
          ports.log.warn("smtp.key_not_checked", { error: error instanceof Error ? error.message : String(error) });
          answer(UNCHECKED);
        },
      );
    },
  };
}

/** A key takes less; what is longer is none. */
const PASSWORD_CHARS_MAX = 256;
/** Longer than the keyring holds up whoever guesses. */
const CHECK_MS_MAX = 20_000;
const UNCHECKED = failure(454, "4.7.0 keys cannot be checked at the moment, try again later");

async function authenticate(
  password: string,
  address: string,
  { keyring, clock }: { readonly keyring: Keyring; readonly clock: Clock },
): Promise<SessionUser | Error> {
  const token = password.slice(0, PASSWORD_CHARS_MAX);
  const answer = await within(clock, CHECK_MS_MAX, keyring.check(token, address));
  if (answer === undefined) return UNCHECKED;
  if (answer.kind === "refused") {
    return failure(535, "5.7.8 no such key: the password is a key of postlane key create, the user name may be any");
  }
  if (answer.sender.scope === "read") {
    return failure(535, "5.7.8 this key may read and not send: make one with --scope send");
  }
  return { token };
}

function failure(responseCode: number, message: string): Error {
  return Object.assign(new Error(message), { responseCode });
}
