// The client's side of one SMTP connection as a state machine without sockets: what happened goes in, what is to be
// done comes out as a list of actions, and time passes only by `timedOut`.
//
//   connect → banner → ehlo [→ helo] [→ starttls → handshake → ehlo] [→ auth…] → open → closed
//
// Replies carry no names: they answer commands only by their order, so whatever disturbs the order (an unsolicited,
// malformed or impossible reply) ends the connection. It never decides what a refusal means.

import type { AttemptFailed, AttemptReplied, AttemptResult } from "../mail/attempt.ts";
import { printReply, type Phase, type Reply } from "../mail/reply.ts";
import type { AttemptToken } from "./outlet.ts";
import { createReplyParser, feedReplies, type ParsedReply, type ReplyParser } from "./reply-parser.ts";
import { NO_EXTENSIONS, parseExtensions, type SmtpExtensions } from "./smtp-extensions.ts";
import type { SmtpAuth, TlsMode } from "./smtp-settings.ts";
import { contentWithFinalDot, type SmtpTransaction } from "./smtp-transaction.ts";

export interface SessionSettings {
  /** As it stands in results: `host:port`. */
  readonly host: string;
  readonly heloName: string;
  readonly tls: TlsMode;
  readonly implicitTls: boolean;
  readonly isLoopback: boolean;
  readonly auth: SmtpAuth | undefined;
}

export type TimerPhase =
  | "connect"
  | "banner"
  | "ehlo"
  | "starttls"
  | "auth"
  | "mail"
  | "rcpt"
  | "data"
  | "dot"
  | "rset"
  | "quit"
  | "idle"
  | "none";

export type SessionAction =
  | { readonly kind: "write"; readonly text: string }
  /** Restart the only timer for this phase; `none` stops it. */
  | { readonly kind: "timer"; readonly phase: TimerPhase }
  | { readonly kind: "start_tls" }
  /** A transaction may begin. */
  | { readonly kind: "ready" }
  /** The current transaction may go past its dot, if the journal permits. */
  | { readonly kind: "want_permit" }
  | { readonly kind: "finished"; readonly token: AttemptToken; readonly result: AttemptResult }
  /** It never came to `ready`, or ended before anything was begun; any message would have ended like this. */
  | { readonly kind: "not_opened"; readonly failure: AttemptReplied | AttemptFailed; readonly mayTryInClear: boolean }
  /** The server is to blame if it failed us on a connection by which no message went. */
  | { readonly kind: "close"; readonly isServerFault: boolean };

type Stage =
  | "connect"
  | "banner"
  | "ehlo"
  | "helo"
  | "starttls"
  | "handshake"
  | "auth_plain"
  | "auth_login"
  | "auth_login_user"
  | "auth_login_password"
  | "open"
  | "closed";

type Expected = "rset" | "mail" | "rcpt" | "data" | "lone_dot" | "dot" | "quit";

/**
 * While open, at most two transactions live here. `current` is the one whose replies come next. `riding` is the one whose
 * MAIL, RCPT and DATA were written right behind current's final dot (RFC 2920 §3.1 lets content begin a group); its own
 * content waits until it is current and all its three replies were positive. So no connection ever has two final dots
 * unanswered, and no content can go out under another transaction's envelope.
 */
export interface SmtpSession {
  readonly settings: SessionSettings;
  /** What the coming replies will answer, in order. */
  readonly expected: Expected[];
  stage: Stage;
  extensions: SmtpExtensions;
  parser: ReplyParser;
  isTls: boolean;
  /** The server answered STARTTLS with a refusal, and clear is allowed. */
  isTlsDeclined: boolean;
  current: SmtpTransaction | undefined;
  riding: SmtpTransaction | undefined;
  /** The last transaction ended before its content: RSET comes ahead of the next MAIL. */
  needsReset: boolean;
  /** Kept by whoever writes: the last octets of what was given to write have not reached the socket yet. */
  isTailUnsent: boolean;
  begunCount: number;
  sentCount: number;
  /** What this step wants done; emptied at its end. */
  actions: SessionAction[];
  out: string;
}

export function createSmtpSession(settings: SessionSettings): SmtpSession {
  return {
    settings,
    expected: [],
    stage: "connect",
    extensions: NO_EXTENSIONS,
    parser: createReplyParser(),
    isTls: false,
    isTlsDeclined: false,
    current: undefined,
    riding: undefined,
    needsReset: false,
    isTailUnsent: false,
    begunCount: 0,
    sentCount: 0,
    actions: [],
    out: "",
  };
}

// ── What can happen ────────────────────────────────────────────────────────────────────────────────────────────────

export function connected(session: SmtpSession): SessionAction[] {
  if (session.stage !== "connect") return [];
  session.stage = session.settings.implicitTls ? "handshake" : "banner";
  if (session.settings.implicitTls) session.actions.push({ kind: "start_tls" });
  return endStep(session);
}

export function secured(session: SmtpSession): SessionAction[] {
  if (session.stage !== "handshake") return [];
  session.isTls = true;
  if (session.settings.implicitTls) session.stage = "banner";
  else sayEhlo(session);
  return endStep(session);
}

export function received(session: SmtpSession, bytes: Buffer): SessionAction[] {
  if (isDeaf(session)) return [];
  const { parser } = session;
  const replies = feedReplies(parser, bytes);
  // Only a whole reply is an answer: one that trickles in does not keep its timer from firing (RFC 5321 §4.5.3.2).
  if (replies.length === 0 && parser.error === undefined) return [];
  for (const parsed of replies) {
    takeReply(session, parsed);
    if (isDeaf(session)) return endStep(session);
  }
  if (parser.error !== undefined) endByFault(session, "bad_reply", parser.error);
  return endStep(session);
}

/** The connection is gone, or could not be made. */
export function lost(session: SmtpSession, code: string, detail: string): SessionAction[] {
  if (session.stage === "closed") return [];
  if (!wasOpenedInVain(session) && wasClosedBeforeUse(session)) return endBeforeUse(session);
  endByFault(session, session.stage === "handshake" ? "tls" : code, detail);
  return endStep(session);
}

export function timedOut(session: SmtpSession, phase: TimerPhase): SessionAction[] {
  if (session.stage === "closed") return [];
  if (phase === "idle") return quit(session);
  if (phase === "quit") close(session, false);
  else endByFault(session, "timeout", `no answer in phase ${phase}`);
  return endStep(session);
}

/** Only after `ready`. */
export function begin(session: SmtpSession, transaction: SmtpTransaction): SessionAction[] {
  if (!isReady(session)) throw new Error("a transaction may only begin when the session is ready");
  session.current = transaction;
  session.begunCount++;
  if (session.extensions.hasPipelining) {
    if (session.needsReset) send(session, "rset", "RSET\r\n");
    sendEnvelope(session, transaction);
  } else if (session.needsReset) send(session, "rset", "RSET\r\n");
  else sendMail(session, transaction);
  session.needsReset = false;
  return endStep(session);
}

/** Only after `want_permit`. `next` may be given if `mayRide`: its envelope goes out in the same write. */
export function permitDot(session: SmtpSession, next: SmtpTransaction | undefined): SessionAction[] {
  const { current } = session;
  if (current?.step !== "permit") throw new Error("no final dot waits for permission");
  current.step = "content";
  send(session, "dot", contentWithFinalDot(current));
  if (next !== undefined) {
    session.riding = next;
    session.begunCount++;
    sendEnvelope(session, next);
  }
  return endStep(session);
}

/** After 354 only content or the end of the connection can follow, so without permission the connection ends. */
export function refuseDot(session: SmtpSession, reason: string): SessionAction[] {
  if (session.stage === "closed") return [];
  finishCurrent(session, { kind: "not_started", reason });
  close(session, false);
  return endStep(session);
}

export function quit(session: SmtpSession): SessionAction[] {
  if (!isReady(session)) return [];
  send(session, "quit", "QUIT\r\n");
  return endStep(session);
}

/** Ends at once, from our side. */
export function abort(session: SmtpSession, reason: string): SessionAction[] {
  if (session.stage === "closed") return [];
  finishCurrent(session, isDotOut(session) ? failure(session, "closed", reason) : { kind: "not_started", reason });
  close(session, false);
  return endStep(session);
}

// ── What can be asked ──────────────────────────────────────────────────────────────────────────────────────────────

export function isReady(session: SmtpSession): boolean {
  return session.stage === "open" && session.current === undefined && session.expected.length === 0;
}

export function wantsPermit(session: SmtpSession): boolean {
  return session.stage === "open" && session.current?.step === "permit";
}

export function isClosed(session: SmtpSession): boolean {
  return session.stage === "closed";
}

// ── Opening ────────────────────────────────────────────────────────────────────────────────────────────────────────

function takeReply(session: SmtpSession, parsed: ParsedReply): void {
  // What we would say next is not out yet: this is one reply too many, and it must not be taken for the next one's.
  if (session.out !== "") return endByFault(session, "bad_reply", `unsolicited reply: ${printReply(parsed.reply)}`);
  if (session.stage === "open") takeTransactionReply(session, parsed.reply);
  else takeOpeningReply(session, parsed);
}

function takeOpeningReply(session: SmtpSession, { reply, lines }: ParsedReply): void {
  switch (session.stage) {
    case "banner":
      return reply.code === 220 ? sayEhlo(session) : endUnopened(session, "banner", reply);
    case "ehlo":
      return takeEhloReply(session, reply, lines);
    case "helo":
      return reply.code === 250 ? secureOrLogIn(session) : endUnopened(session, "ehlo", reply);
    case "starttls":
      return takeStartTlsReply(session, reply);
    case "auth_plain":
    case "auth_login":
    case "auth_login_user":
    case "auth_login_password":
      return takeAuthReply(session, session.stage, reply);
    case "connect":
    case "handshake":
    case "open":
    case "closed":
      throw new Error(`no reply is read in stage ${session.stage}`);
  }
}

// What was learned before TLS is forgotten (RFC 3207 §4.2).
function sayEhlo(session: SmtpSession): void {
  session.stage = "ehlo";
  session.extensions = NO_EXTENSIONS;
  write(session, `EHLO ${session.settings.heloName}\r\n`);
}

// RFC 5321 §3.2: a server that does not know EHLO is spoken to with HELO, and offers nothing.
function takeEhloReply(session: SmtpSession, reply: Reply, lines: readonly string[]): void {
  if (reply.code === 250) {
    session.extensions = parseExtensions(lines);
    return secureOrLogIn(session);
  }
  if (reply.code !== 500 && reply.code !== 502) return endUnopened(session, "ehlo", reply);
  session.stage = "helo";
  write(session, `HELO ${session.settings.heloName}\r\n`);
}

function secureOrLogIn(session: SmtpSession): void {
  const { settings, extensions } = session;
  if (session.isTls || session.isTlsDeclined || settings.tls === "off") return logInOrOpen(session);
  if (extensions.hasStartTls) {
    session.stage = "starttls";
    return write(session, "STARTTLS\r\n");
  }
  if (settings.tls === "opportunistic") return logInOrOpen(session);
  session.stage = "starttls";
  endByFault(session, "tls", "TLS is required and the server does not offer STARTTLS");
}

function takeStartTlsReply(session: SmtpSession, reply: Reply): void {
  if (reply.code === 220) return startTls(session);
  if (isRefusal(reply) && reply.code !== 421 && session.settings.tls === "opportunistic") {
    session.isTlsDeclined = true;
    return logInOrOpen(session);
  }
  endUnopened(session, "starttls", reply);
}

// Whatever came in clear behind the 220 is thrown away: it could be anybody's (RFC 3207 §6).
function startTls(session: SmtpSession): void {
  session.stage = "handshake";
  session.parser = createReplyParser();
  session.actions.push({ kind: "start_tls" });
}

function logInOrOpen(session: SmtpSession): void {
  const { auth, isLoopback } = session.settings;
  if (auth === undefined) return open(session);
  session.stage = "auth_plain";
  if (!session.isTls && !isLoopback) {
    return endByFault(session, "no_auth_over_plaintext", "credentials go out only over TLS or to loopback");
  }
  logIn(session, auth);
}

// RFC 4954 §4; PLAIN is RFC 4616, LOGIN was never more than a draft, but some relays know nothing else.
function logIn(session: SmtpSession, auth: SmtpAuth): void {
  const mechanisms = session.extensions.authMechanisms;
  if (mechanisms.includes("PLAIN")) {
    return write(session, `AUTH PLAIN ${base64(`\0${auth.user}\0${auth.password}`)}\r\n`);
  }
  if (!mechanisms.includes("LOGIN")) {
    return endByFault(session, "no_auth_mechanism", "the server offers neither AUTH PLAIN nor AUTH LOGIN");
  }
  session.stage = "auth_login";
  write(session, "AUTH LOGIN\r\n");
}

type AuthStage = "auth_plain" | "auth_login" | "auth_login_user" | "auth_login_password";

function takeAuthReply(session: SmtpSession, stage: AuthStage, reply: Reply): void {
  const isLast = stage === "auth_plain" || stage === "auth_login_password";
  if (isLast && reply.code === 235) return open(session);
  if (isLast || reply.code !== 334) return endUnopened(session, "auth", reply);
  const { user, password } = session.settings.auth!;
  session.stage = stage === "auth_login" ? "auth_login_user" : "auth_login_password";
  write(session, `${base64(stage === "auth_login" ? user : password)}\r\n`);
}

const base64 = (text: string): string => Buffer.from(text, "utf8").toString("base64");

function open(session: SmtpSession): void {
  session.stage = "open";
  session.actions.push({ kind: "ready" });
}

// ── Transactions ───────────────────────────────────────────────────────────────────────────────────────────────────

function takeTransactionReply(session: SmtpSession, reply: Reply): void {
  const kind = session.expected[0];
  if (reply.code === 421) return endBy421(session, kind, reply);
  if (kind === undefined) return endByFault(session, "bad_reply", `unsolicited reply: ${printReply(reply)}`);
  if (isImpossible(kind, reply)) {
    return endByFault(session, "bad_reply", `${printReply(reply)} is no reply to ${kind}`);
  }
  switch (kind) {
    case "quit":
      return close(session, false);
    case "rset":
      return takeRsetReply(session, reply);
    case "mail":
      return takeMailReply(session, session.current!, reply);
    case "rcpt":
      return takeRcptReply(session, session.current!, reply);
    case "data":
      return takeDataReply(session, session.current!, reply);
    case "lone_dot":
      return endTransaction(session, true);
    case "dot":
      return takeDotReply(session, session.current!, reply);
  }
}

// RFC 5321 §4.3.2: only DATA has an intermediate reply, and DATA has no positive one.
function isImpossible(kind: Expected, reply: Reply): boolean {
  if (isRefusal(reply) || kind === "quit" || kind === "lone_dot") return false;
  return kind === "data" ? reply.code !== 354 : !isPositive(reply);
}

function takeRsetReply(session: SmtpSession, reply: Reply): void {
  if (!isPositive(reply)) return endByFault(session, "bad_reply", `RSET was refused: ${printReply(reply)}`);
  session.expected.shift();
  if (!session.extensions.hasPipelining) sendMail(session, session.current!);
}

// 503 says that the server is in another state than we believe, in which it might put the message under the envelope
// of an earlier one. It is a fault of the connection, not of the message.
function takeMailReply(session: SmtpSession, transaction: SmtpTransaction, reply: Reply): void {
  transaction.isAnswered = true;
  if (reply.code === 503) return endByFault(session, "bad_sequence", printReply(reply));
  session.expected.shift();
  transaction.isMailAccepted = isPositive(reply);
  if (!isPositive(reply)) return refuse(session, transaction, "mail", reply);
  if (!session.extensions.hasPipelining) send(session, "rcpt", transaction.rcpt);
}

function takeRcptReply(session: SmtpSession, transaction: SmtpTransaction, reply: Reply): void {
  // A recipient taken although its MAIL was refused: the server keeps an envelope that is not this transaction's.
  if (transaction.isFinished && isPositive(reply)) return close(session, true);
  session.expected.shift();
  if (!isPositive(reply)) return refuse(session, transaction, "rcpt", reply);
  if (!session.extensions.hasPipelining) send(session, "data", "DATA\r\n");
}

function takeDataReply(session: SmtpSession, transaction: SmtpTransaction, reply: Reply): void {
  session.expected.shift();
  if (reply.code !== 354) return refuse(session, transaction, "data", reply);
  if (transaction.isFinished) return endUnwantedData(session, transaction);
  transaction.step = "permit";
  session.actions.push({ kind: "want_permit" });
}

// RFC 2920 §3.1: 354 although no recipient was taken is answered by a lone dot, whose reply says nothing. If MAIL
// itself was refused, an empty message could go out under an envelope that is not this one's: then the connection ends.
function endUnwantedData(session: SmtpSession, transaction: SmtpTransaction): void {
  if (!transaction.isMailAccepted) return close(session, true);
  send(session, "lone_dot", ".\r\n");
}

// RFC 5321 §4.1.1.4: whatever the reply, the server's buffers are clear now, and what rides behind has its own envelope.
function takeDotReply(session: SmtpSession, transaction: SmtpTransaction, reply: Reply): void {
  if (session.isTailUnsent) return endByEarlyDotReply(session, transaction, reply);
  session.expected.shift();
  if (isPositive(reply)) session.sentCount++;
  finish(session, transaction, replied(session, "dot", reply));
  endTransaction(session, false);
}

// The server answers content that it has not wholly read. A refusal stands, and from here on the two of us are out of
// step. An acceptance cannot be believed, and yet it may mean something: that is past the dot.
function endByEarlyDotReply(session: SmtpSession, transaction: SmtpTransaction, reply: Reply): void {
  if (!isPositive(reply)) {
    finish(session, transaction, replied(session, "dot", reply));
    return close(session, true);
  }
  session.isTailUnsent = false;
  endByFault(session, "bad_reply", `${printReply(reply)} came before the final dot`);
}

function refuse(session: SmtpSession, transaction: SmtpTransaction, phase: Phase, reply: Reply): void {
  transaction.isAnswered = true;
  if (!transaction.isFinished) finish(session, transaction, replied(session, phase, reply));
  if (session.expected.length === 0) endTransaction(session, true);
}

function endTransaction(session: SmtpSession, needsReset: boolean): void {
  if (session.expected[0] === "lone_dot") session.expected.shift();
  session.current = session.riding;
  session.riding = undefined;
  session.needsReset = needsReset;
  if (session.current === undefined) session.actions.push({ kind: "ready" });
}

function sendEnvelope(session: SmtpSession, transaction: SmtpTransaction): void {
  session.expected.push("mail", "rcpt", "data");
  write(session, transaction.envelope);
}

function sendMail(session: SmtpSession, transaction: SmtpTransaction): void {
  send(session, "mail", transaction.mail);
}

function send(session: SmtpSession, kind: Expected, text: string): void {
  session.expected.push(kind);
  write(session, text);
}

function write(session: SmtpSession, text: string): void {
  session.out += text;
}

// ── Endings ────────────────────────────────────────────────────────────────────────────────────────────────────────

// RFC 5321 §3.8: 421 may come at any moment and closes the channel. It is the answer of the attempt whose command it
// answers, or that is between 354 and its content; to RSET or to a lone dot it answers nobody. To the MAIL of a
// connection that has served before it is a server's way to limit messages or age: the message was not begun.
function endBy421(session: SmtpSession, kind: Expected | undefined, reply: Reply): void {
  if (wasOpenedInVain(session)) return giveUpUnused(session, replied(session, "mail", reply));
  const isEndOfService = wasClosedBeforeUse(session);
  const isForCurrent = !isEndOfService && kind !== "rset" && kind !== "lone_dot" && kind !== "quit";
  if (isForCurrent) finishCurrent(session, replied(session, phaseOf(session), reply));
  else finishCurrent(session, { kind: "not_started", reason: "the server closed the connection (421)" });
  close(session, isForCurrent && session.current !== undefined);
}

function endByFault(session: SmtpSession, code: string, detail: string): void {
  const failed = failure(session, code, detail);
  if (wasOpenedInVain(session)) return giveUpUnused(session, failed);
  if (session.stage === "open") finishCurrent(session, failed);
  else session.actions.push({ kind: "not_opened", failure: failed, mayTryInClear: isHandshakeOptional(session) });
  close(session, true);
}

function endUnopened(session: SmtpSession, phase: Phase, reply: Reply): void {
  if (!isRefusal(reply)) return endByFault(session, "bad_reply", `${printReply(reply)} is no reply to expect`);
  session.actions.push({ kind: "not_opened", failure: replied(session, phase, reply), mayTryInClear: false });
  if (reply.code !== 421) write(session, "QUIT\r\n");
  close(session, true);
}

const isHandshakeOptional = ({ stage, settings }: SmtpSession): boolean =>
  stage === "handshake" && settings.tls === "opportunistic" && !settings.implicitTls;

// Nothing was ever asked of an open connection that the server ends: as good as one that could not be opened. Where each
// of them goes like that, somebody has to be told, and the host left alone for a while.
function wasOpenedInVain({ stage, begunCount, expected }: SmtpSession): boolean {
  return stage === "open" && begunCount === 0 && expected.length === 0;
}

function giveUpUnused(session: SmtpSession, failed: AttemptReplied | AttemptFailed): void {
  session.actions.push({ kind: "not_opened", failure: failed, mayTryInClear: false });
  close(session, false);
}

// A server may close an idle connection, and our MAIL may cross that on its way to one that it served well. No reply
// came and no content went, so nothing happened to the message, and nothing is wrong with the server.
function wasClosedBeforeUse({ stage, current, sentCount }: SmtpSession): boolean {
  if (stage !== "open") return false;
  return current === undefined || (sentCount > 0 && current.step === "envelope" && !current.isAnswered);
}

function endBeforeUse(session: SmtpSession): SessionAction[] {
  finishCurrent(session, { kind: "not_started", reason: "the server had closed the connection" });
  close(session, false);
  return endStep(session);
}

// What rides behind has no content on the wire: it was never started.
function finishCurrent(session: SmtpSession, result: AttemptResult): void {
  const { current, riding } = session;
  if (current !== undefined && !current.isFinished) finish(session, current, result);
  if (riding !== undefined) finish(session, riding, { kind: "not_started", reason: "the connection ended before it" });
}

function finish(session: SmtpSession, transaction: SmtpTransaction, result: AttemptResult): void {
  transaction.isFinished = true;
  session.actions.push({ kind: "finished", token: transaction.token, result });
}

function close(session: SmtpSession, isFault: boolean): void {
  const isServerFault = isFault && session.sentCount === 0;
  session.stage = "closed";
  session.current = undefined;
  session.riding = undefined;
  session.expected.length = 0;
  session.actions.push({ kind: "close", isServerFault });
}

function replied(session: SmtpSession, phase: Phase, reply: Reply): AttemptReplied {
  return { kind: "replied", phase, reply, host: session.settings.host };
}

function failure(session: SmtpSession, code: string, detail: string): AttemptFailed {
  const { host } = session.settings;
  return { kind: "failed", phase: phaseOf(session), code, detail, host, isPastDot: isDotOut(session) };
}

// A large content goes to the socket in blocks; as long as the last block is held back, so is the final dot.
const isDotOut = (session: SmtpSession): boolean => session.current?.step === "content" && !session.isTailUnsent;

function phaseOf(session: SmtpSession): Phase {
  if (session.current?.step === "content") return "dot";
  const phase = timerPhase(session);
  switch (phase) {
    case "rset":
    case "quit":
    case "idle":
      return "mail";
    case "none":
      return "data";
    case "connect":
    case "banner":
    case "ehlo":
    case "starttls":
    case "auth":
    case "mail":
    case "rcpt":
    case "data":
    case "dot":
      return phase;
  }
}

// ── The end of a step ──────────────────────────────────────────────────────────────────────────────────────────────

// All that a step says goes out in one write, ahead of everything that follows from it.
function endStep(session: SmtpSession): SessionAction[] {
  const { actions } = session;
  session.actions = [];
  if (session.out !== "") actions.unshift({ kind: "write", text: session.out });
  session.out = "";
  if (session.stage !== "closed") actions.push(TIMERS[timerPhase(session)]);
  return actions;
}

function timerPhase(session: SmtpSession): TimerPhase {
  switch (session.stage) {
    case "connect":
    case "banner":
    case "ehlo":
    case "starttls":
      return session.stage;
    case "helo":
      return "ehlo";
    case "handshake":
      return "starttls";
    case "auth_plain":
    case "auth_login":
    case "auth_login_user":
    case "auth_login_password":
      return "auth";
    case "open":
      return openTimerPhase(session);
    case "closed":
      return "none";
  }
}

// Between 354 and the permission nothing is awaited from the server.
function openTimerPhase({ expected, current }: SmtpSession): TimerPhase {
  const kind = expected[0];
  if (kind === undefined) return current === undefined ? "idle" : "none";
  return kind === "lone_dot" ? "data" : kind;
}

const timer = (phase: TimerPhase): SessionAction => ({ kind: "timer", phase });

// Made once: every step ends with one of them.
const TIMERS: Readonly<Record<TimerPhase, SessionAction>> = {
  connect: timer("connect"),
  banner: timer("banner"),
  ehlo: timer("ehlo"),
  starttls: timer("starttls"),
  auth: timer("auth"),
  mail: timer("mail"),
  rcpt: timer("rcpt"),
  data: timer("data"),
  dot: timer("dot"),
  rset: timer("rset"),
  quit: timer("quit"),
  idle: timer("idle"),
  none: timer("none"),
};

const isDeaf = ({ stage }: SmtpSession): boolean => stage === "closed" || stage === "handshake" || stage === "connect";

const isPositive = (reply: Reply): boolean => reply.code < 300;
const isRefusal = (reply: Reply): boolean => reply.code >= 400;
