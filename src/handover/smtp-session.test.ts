import assert from "node:assert/strict";
import { test } from "node:test";
import type { AttemptResult } from "../mail/attempt.ts";
import type { HandOver } from "./outlet.ts";
import * as smtp from "./smtp-session.ts";
import type { SessionAction, SessionSettings, SmtpSession } from "./smtp-session.ts";
import { prepareTransaction, type SmtpTransaction } from "./smtp-transaction.ts";

// A session that is talked to by hand: what it wants is collected here.
class Talk {
  readonly session: SmtpSession;
  readonly results = new Map<string, AttemptResult>();
  readonly wishes: string[] = [];
  wire = "";
  timer = "none";
  notOpened: Extract<SessionAction, { kind: "not_opened" }> | undefined;
  closed: Extract<SessionAction, { kind: "close" }> | undefined;

  constructor(settings: Partial<SessionSettings> = {}) {
    this.session = smtp.createSmtpSession({
      host: "relay:25",
      heloName: "client.example",
      tls: "off",
      implicitTls: false,
      isLoopback: true,
      auth: undefined,
      ...settings,
    });
    this.do(smtp.connected(this.session));
  }

  do(actions: readonly SessionAction[]): this {
    for (const action of actions) this.#keep(action);
    return this;
  }

  hear(...replies: readonly string[]): this {
    for (const reply of replies) this.do(smtp.received(this.session, Buffer.from(`${reply}\r\n`)));
    return this;
  }

  /** What was written since the last time. */
  said(): string {
    const { wire } = this;
    this.wire = "";
    return wire;
  }

  #keep(action: SessionAction): void {
    switch (action.kind) {
      case "write":
        this.wire += action.text;
        return;
      case "timer":
        this.timer = action.phase;
        return;
      case "finished":
        assert.ok(!this.results.has(action.token), `${action.token} finished twice`);
        this.results.set(action.token, action.result);
        return;
      case "not_opened":
        this.notOpened = action;
        return;
      case "close":
        this.closed = action;
        return;
      case "start_tls":
      case "ready":
      case "want_permit":
        this.wishes.push(action.kind);
        return;
    }
  }
}

const EHLO = "250-relay\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 1000000";

function opened(ehlo = EHLO, settings: Partial<SessionSettings> = {}): Talk {
  const talk = new Talk(settings).hear("220 relay", ehlo);
  assert.deepEqual(talk.wishes, ["ready"]);
  talk.said();
  return talk;
}

function transaction(talk: Talk, token: string): SmtpTransaction {
  const text = `Subject: ${token}\r\n\r\n.dot\r\n`;
  const handOver: HandOver = {
    token,
    envelope: { sender: `${token}@example.org`, recipient: `to-${token}@example.net` },
    content: { text, isAscii: true },
  };
  const prepared = prepareTransaction(handOver, talk.session.extensions, "relay:25");
  if (prepared.kind === "refused") throw new Error(prepared.result.reply.text);
  return prepared.transaction;
}

const begun = (talk: Talk, token: string): Talk => talk.do(smtp.begin(talk.session, transaction(talk, token)));

const permitted = (talk: Talk, riding?: string): Talk =>
  talk.do(smtp.permitDot(talk.session, riding === undefined ? undefined : transaction(talk, riding)));

/** A sent, and B riding behind its dot. */
const riding = (): Talk => permitted(begun(opened(), "A").hear("250 m", "250 r", "354 d"), "B");

const summary = (result: AttemptResult | undefined): string => {
  switch (result?.kind) {
    case "replied":
      return `replied ${result.phase} ${result.reply.code}`;
    case "failed":
      return `failed ${result.phase} ${result.code} ${result.isPastDot ? "past dot" : "safe"}`;
    case "refused_here":
      return `refused_here ${result.reply.code}`;
    case "not_started":
      return "not_started";
    case undefined:
      return "open";
  }
};

test("one message: banner, EHLO, one group of commands, content, QUIT", () => {
  const talk = new Talk().hear("220 relay");
  assert.equal(talk.said(), "EHLO client.example\r\n");
  talk.hear(EHLO);
  begun(talk, "A");
  assert.equal(talk.said(), "MAIL FROM:<A@example.org> SIZE=20\r\nRCPT TO:<to-A@example.net>\r\nDATA\r\n");
  talk.hear("250 m", "250 r", "354 d");
  assert.deepEqual(talk.wishes, ["ready", "want_permit"]);
  assert.equal(talk.said(), "");
  permitted(talk);
  assert.equal(talk.said(), "Subject: A\r\n\r\n..dot\r\n.\r\n");
  talk.hear("250 2.0.0 queued");
  assert.deepEqual(talk.results.get("A"), {
    kind: "replied",
    phase: "dot",
    reply: { code: 250, enhanced: "2.0.0", text: "queued" },
    host: "relay:25",
  });
  assert.equal(talk.timer, "idle");
  talk.do(smtp.timedOut(talk.session, "idle"));
  assert.equal(talk.said(), "QUIT\r\n");
  talk.hear("221 bye");
  assert.deepEqual(talk.closed, { kind: "close", isServerFault: false });
});

test("the next envelope rides behind the final dot in the same write, its content waits", () => {
  const talk = riding();
  assert.equal(
    talk
      .said()
      .slice(-"..dot\r\n.\r\nMAIL FROM:<B@example.org> SIZE=20\r\nRCPT TO:<to-B@example.net>\r\nDATA\r\n".length),
    "..dot\r\n.\r\nMAIL FROM:<B@example.org> SIZE=20\r\nRCPT TO:<to-B@example.net>\r\nDATA\r\n",
  );
  talk.hear("250 taken");
  assert.equal(summary(talk.results.get("A")), "replied dot 250");
  talk.hear("250 m", "250 r");
  assert.equal(talk.wishes.length, 2);
  talk.hear("354 d");
  assert.deepEqual(talk.wishes, ["ready", "want_permit", "want_permit"]);
  assert.throws(() => smtp.begin(talk.session, transaction(talk, "C")));
});

test("each phase and code ends the attempt as it should, pipelined or not", () => {
  const positive = { mail: "250 m", rcpt: "250 r", data: "354 d", dot: "250 q" };
  const phases = ["mail", "rcpt", "data", "dot"] as const;
  for (const ehlo of [EHLO, "250 relay"]) {
    for (const [at, phase] of phases.entries()) {
      for (const code of [250, 251, 299, 300, 354, 399, 421, 450, 451, 452, 499, 500, 503, 521, 550, 552, 554, 599]) {
        const talk = begun(opened(ehlo), "A");
        for (const before of phases.slice(0, at)) talk.hear(positive[before]);
        if (phase === "dot") permitted(talk);
        talk.hear(`${code} x`);
        assert.equal(summary(talk.results.get("A")), expectedEnd(phase, code), `${phase} ${code}`);
      }
    }
  }
});

function expectedEnd(phase: "mail" | "rcpt" | "data" | "dot", code: number): string {
  if (code >= 400)
    return phase === "mail" && code === 503 ? "failed mail bad_sequence safe" : `replied ${phase} ${code}`;
  if (phase === "dot") return code < 300 ? `replied dot ${code}` : "failed dot bad_reply past dot";
  const isFine = phase === "data" ? code === 354 : code < 300;
  return isFine ? "open" : `failed ${phase} bad_reply safe`;
}

test("a refused recipient concerns its own transaction, and RSET goes ahead of the next MAIL", () => {
  const talk = riding();
  talk.hear("250 q", "250 m", "550 5.1.1 nobody");
  assert.equal(summary(talk.results.get("B")), "replied rcpt 550");
  assert.deepEqual(talk.wishes, ["ready", "want_permit"]);
  talk.hear("554 no valid recipients");
  assert.deepEqual(talk.wishes, ["ready", "want_permit", "ready"]);
  talk.said();
  begun(talk, "C");
  assert.match(talk.said(), /^RSET\r\nMAIL FROM:<C@/);
  talk.hear("250 reset", "250 m", "250 r", "354 d");
  assert.equal(talk.wishes.at(-1), "want_permit");
  assert.equal(smtp.wantsPermit(talk.session), true);
});

test("354 after a refused recipient is answered by a lone dot whose reply says nothing", () => {
  for (const answer of ["554 no valid recipients", "250 as you like", "354 what?"]) {
    const talk = begun(opened(), "A").hear("250 m", "550 r");
    talk.said();
    talk.hear("354 d");
    assert.equal(talk.said(), ".\r\n");
    assert.deepEqual(talk.wishes, ["ready"]);
    talk.hear(answer);
    assert.deepEqual(talk.wishes, ["ready", "ready"]);
    assert.equal(summary(talk.results.get("A")), "replied rcpt 550");
    begun(talk, "B");
    assert.match(talk.said(), /^RSET\r\nMAIL FROM:<B@/);
  }
});

test("after a refused MAIL neither 354 nor an accepted recipient is trusted", () => {
  const withData = begun(opened(), "A").hear("451 m", "503 r", "354 d");
  assert.equal(summary(withData.results.get("A")), "replied mail 451");
  assert.deepEqual([withData.closed?.kind, withData.wire.endsWith(".\r\n")], ["close", false]);
  const withRecipient = begun(opened(), "A").hear("451 m", "250 r");
  assert.equal(withRecipient.closed?.kind, "close");
});

test("without PIPELINING one command at a time", () => {
  const talk = begun(opened("250 relay"), "A");
  assert.equal(talk.said(), "MAIL FROM:<A@example.org>\r\n");
  assert.equal(talk.hear("250 m").said(), "RCPT TO:<to-A@example.net>\r\n");
  assert.equal(talk.hear("450 r").said(), "");
  assert.deepEqual(talk.wishes, ["ready", "ready"]);
  assert.equal(begun(talk, "B").said(), "RSET\r\n");
  assert.equal(talk.hear("250 ok").said(), "MAIL FROM:<B@example.org>\r\n");
  talk.hear("250 m", "250 r");
  assert.equal(talk.said(), "RCPT TO:<to-B@example.net>\r\nDATA\r\n");
  talk.hear("354 d");
  assert.equal(talk.wishes.at(-1), "want_permit");
});

test("503 to MAIL ends the connection, and the message is safe to repeat", () => {
  const talk = begun(opened(), "A").hear("503 nested MAIL");
  assert.equal(summary(talk.results.get("A")), "failed mail bad_sequence safe");
  assert.deepEqual(talk.closed, { kind: "close", isServerFault: true });
});

test("421 is the end of the connection and the answer of the attempt whose turn it is", () => {
  const cases: readonly (readonly [string, () => Talk, string, string])[] = [
    ["to the dot", riding, "replied dot 421", "not_started"],
    ["to the riding MAIL", () => riding().hear("250 q"), "replied dot 250", "not_started"],
    ["to the riding RCPT", () => riding().hear("250 q", "250 m"), "replied dot 250", "replied rcpt 421"],
    ["to the riding DATA", () => riding().hear("250 q", "250 m", "250 r"), "replied dot 250", "replied data 421"],
    [
      "between 354 and content",
      () => riding().hear("250 q", "250 m", "250 r", "354 d"),
      "replied dot 250",
      "replied data 421",
    ],
    ["after B was refused", () => riding().hear("250 q", "550 m"), "replied dot 250", "replied mail 550"],
  ];
  for (const [when, make, first, second] of cases) {
    const talk = make().hear("421 4.3.2 closing");
    assert.deepEqual([summary(talk.results.get("A")), summary(talk.results.get("B"))], [first, second], when);
    assert.equal(talk.closed?.kind, "close", when);
  }
  const toReset = begun(begun(opened(), "A").hear("550 m", "503 r", "503 d"), "B").hear("421 closing");
  assert.equal(summary(toReset.results.get("B")), "not_started");
  assert.deepEqual(opened().hear("421 idle for too long").closed, { kind: "close", isServerFault: false });
});

test("a lost connection is safe before the dot and unknown after it, and what rode behind was never started", () => {
  const steps: readonly (readonly [string, () => Talk, string])[] = [
    ["MAIL", () => begun(opened(), "A"), "failed mail connection_lost safe"],
    ["RCPT", () => begun(opened(), "A").hear("250 m"), "failed rcpt connection_lost safe"],
    ["DATA", () => begun(opened(), "A").hear("250 m", "250 r"), "failed data connection_lost safe"],
    ["permission", () => begun(opened(), "A").hear("250 m", "250 r", "354 d"), "failed data connection_lost safe"],
    ["dot", riding, "failed dot connection_lost past dot"],
  ];
  for (const [when, make, expected] of steps) {
    const talk = make();
    talk.do(smtp.lost(talk.session, "connection_lost", "gone"));
    assert.equal(summary(talk.results.get("A")), expected, when);
    if (when === "dot") assert.equal(summary(talk.results.get("B")), "not_started");
    assert.deepEqual(talk.closed, { kind: "close", isServerFault: true });
    assert.deepEqual(smtp.lost(talk.session, "connection_lost", "again"), []);
  }
});

test("as long as the end of a content is held back, its dot cannot have been sent", () => {
  const talk = riding();
  talk.session.isTailUnsent = true;
  talk.do(smtp.lost(talk.session, "ECONNRESET", "reset"));
  assert.equal(summary(talk.results.get("A")), "failed dot ECONNRESET safe");
  const early = riding();
  early.session.isTailUnsent = true;
  early.hear("552 too much");
  assert.deepEqual([summary(early.results.get("A")), early.closed?.kind], ["replied dot 552", "close"]);
  const tooEarly = riding();
  tooEarly.session.isTailUnsent = true;
  tooEarly.hear("250 thanks");
  assert.equal(summary(tooEarly.results.get("A")), "failed dot bad_reply past dot");
});

test("a connection that served well and closes before MAIL is answered did nothing to the message", () => {
  const talk = riding().hear("250 q");
  talk.do(smtp.lost(talk.session, "connection_lost", "gone"));
  assert.equal(summary(talk.results.get("B")), "not_started");
  assert.deepEqual(talk.closed, { kind: "close", isServerFault: false });
});

test("unsolicited, malformed and impossible replies end the connection", () => {
  for (const junk of ["250 out of the blue", "HTTP/1.1 400 Bad Request", "250-a\r\n251 b"]) {
    const idle = opened().hear(junk);
    assert.equal(idle.closed?.kind, "close", junk);
    const waiting = begun(opened(), "A").hear("250 m", "250 r", "354 d").hear(junk);
    assert.equal(summary(waiting.results.get("A")), "failed data bad_reply safe", junk);
  }
  const after = riding().hear("what?");
  assert.equal(summary(after.results.get("A")), "failed dot bad_reply past dot");
  assert.equal(summary(after.results.get("B")), "not_started");
});

test("without PIPELINING, a reply that comes ahead of its command is not taken for it", () => {
  const talk = begun(opened("250 relay"), "A").hear("250 mail\r\n250 rcpt");
  assert.equal(summary(talk.results.get("A")), "failed rcpt bad_reply safe");
  assert.ok(!talk.said().includes("DATA"));
});

test("a reply behind the fault is not read", () => {
  const talk = begun(opened(), "A").hear("250 m\r\njunk\r\n250 r\r\n354 d");
  assert.equal(summary(talk.results.get("A")), "failed rcpt bad_reply safe");
});

test("each phase has a timer of its own", () => {
  const talk = new Talk();
  const seen = [talk.timer];
  for (const reply of ["220 relay", EHLO]) seen.push(talk.hear(reply).timer);
  seen.push(begun(talk, "A").timer);
  for (const reply of ["250 m", "250 r", "354 d"]) seen.push(talk.hear(reply).timer);
  seen.push(permitted(talk).timer, talk.hear("250 q").timer);
  seen.push(talk.do(smtp.quit(talk.session)).timer);
  assert.deepEqual(seen, ["banner", "ehlo", "idle", "mail", "rcpt", "data", "none", "dot", "idle", "quit"]);
});

test("a timeout is a failure of its phase, and past the dot only after it", () => {
  const make = (count: number): Talk => begun(opened(), "A").hear(...["250 m", "250 r"].slice(0, count));
  for (const [count, phase] of (["mail", "rcpt", "data"] as const).entries()) {
    const talk = make(count);
    talk.do(smtp.timedOut(talk.session, phase));
    assert.equal(summary(talk.results.get("A")), `failed ${phase} timeout safe`);
  }
  const talk = riding();
  talk.do(smtp.timedOut(talk.session, "dot"));
  assert.equal(summary(talk.results.get("A")), "failed dot timeout past dot");
  assert.equal(summary(talk.results.get("B")), "not_started");
});

test("before it is open, a refusal or fault is told with its phase and no message is touched", () => {
  const required = { tls: "required" } as const;
  const auth = { auth: { user: "u", password: "p" } };
  const authEhlo = "250-relay\r\n250 AUTH PLAIN";
  const cases: readonly (readonly [Partial<SessionSettings>, readonly string[], string])[] = [
    [{}, ["554 go away"], "replied banner 554"],
    [{}, ["421 busy"], "replied banner 421"],
    [{}, ["250 not a banner"], "failed banner bad_reply safe"],
    [{}, ["SSH-2.0-OpenSSH"], "failed banner bad_reply safe"],
    [{}, ["220 x", "550 no"], "replied ehlo 550"],
    [{}, ["220 x", "421 no"], "replied ehlo 421"],
    [{}, ["220 x", "502 what", "550 no"], "replied ehlo 550"],
    [required, ["220 x", "250 relay"], "failed starttls tls safe"],
    [required, ["220 x", "502 what", "250 relay"], "failed starttls tls safe"],
    [required, ["220 x", "250-relay\r\n250 STARTTLS", "454 not now"], "replied starttls 454"],
    [{ ...auth, isLoopback: false }, ["220 x", authEhlo], "failed auth no_auth_over_plaintext safe"],
    [auth, ["220 x", "250 relay"], "failed auth no_auth_mechanism safe"],
    [auth, ["220 x", authEhlo, "535 5.7.8 no"], "replied auth 535"],
    [auth, ["220 x", authEhlo, "454 4.7.0 later"], "replied auth 454"],
    [auth, ["220 x", authEhlo, "250 well"], "failed auth bad_reply safe"],
  ];
  for (const [settings, replies, expected] of cases) {
    const talk = new Talk(settings).hear(...replies);
    assert.equal(summary(talk.notOpened?.failure), expected);
    assert.deepEqual([talk.closed?.kind, talk.wishes], ["close", []]);
  }
});

test("a server that does not know EHLO is spoken to with HELO and one command at a time", () => {
  const talk = new Talk().hear("220 relay", "500 what?");
  assert.equal(talk.said(), "EHLO client.example\r\nHELO client.example\r\n");
  begun(talk.hear("250 relay"), "A");
  assert.equal(talk.said(), "MAIL FROM:<A@example.org>\r\n");
});

test("after STARTTLS nothing that was said in clear is believed", () => {
  const talk = new Talk({ tls: "required", isLoopback: false, auth: { user: "ü", password: "p" } });
  talk.hear("220 relay", "250-relay\r\n250-PIPELINING\r\n250-AUTH PLAIN\r\n250 STARTTLS");
  assert.match(talk.said(), /STARTTLS\r\n$/);
  talk.hear("220 go\r\n250-injected\r\n250 PIPELINING");
  assert.deepEqual(talk.wishes, ["start_tls"]);
  assert.deepEqual([talk.said(), talk.timer], ["", "starttls"]);
  talk.do(smtp.secured(talk.session));
  assert.equal(talk.said(), "EHLO client.example\r\n");
  talk.hear("250-relay\r\n250 AUTH LOGIN PLAIN");
  assert.equal(talk.said(), `AUTH PLAIN ${Buffer.from("\0ü\0p").toString("base64")}\r\n`);
  talk.hear("235 welcome");
  assert.equal(talk.session.extensions.hasPipelining, false);
  assert.equal(talk.wishes.at(-1), "ready");
});

test("after STARTTLS neither half a line nor an old offer is left", () => {
  const talk = new Talk({ tls: "opportunistic" }).hear("220 relay", "250-relay\r\n250-PIPELINING\r\n250 STARTTLS");
  talk.do(smtp.received(talk.session, Buffer.from("220 go\r\n250-half a line")));
  talk.do(smtp.secured(talk.session)).hear("502 what?", "250 relay");
  assert.deepEqual(talk.wishes, ["start_tls", "ready"]);
  assert.match(talk.said(), /HELO client\.example\r\n$/);
  assert.equal(talk.session.extensions.hasPipelining, false);
});

test("opportunistic TLS goes on in clear when it is refused, and asks for a new connection when it breaks", () => {
  const offer = "250-relay\r\n250 STARTTLS";
  const refused = new Talk({ tls: "opportunistic" }).hear("220 relay", offer, "454 not now");
  assert.deepEqual(refused.wishes, ["ready"]);
  const broken = new Talk({ tls: "opportunistic" }).hear("220 relay", offer, "220 go");
  broken.do(smtp.lost(broken.session, "ERR_SSL_WRONG_VERSION_NUMBER", "wrong version"));
  assert.deepEqual(
    [summary(broken.notOpened?.failure), broken.notOpened?.mayTryInClear],
    ["failed starttls tls safe", true],
  );
  const required = new Talk({ tls: "required" }).hear("220 relay", offer, "220 go");
  required.do(smtp.lost(required.session, "ERR_TLS_CERT_ALTNAME_INVALID", "wrong name"));
  assert.equal(required.notOpened?.mayTryInClear, false);
});

test("AUTH LOGIN answers its two questions", () => {
  const talk = new Talk({ auth: { user: "user", password: "secret" } }).hear(
    "220 relay",
    "250-relay\r\n250 AUTH LOGIN",
  );
  talk.said();
  assert.equal(talk.hear("334 VXNlcm5hbWU6").said(), `${Buffer.from("user").toString("base64")}\r\n`);
  assert.equal(talk.hear("334 UGFzc3dvcmQ6").said(), `${Buffer.from("secret").toString("base64")}\r\n`);
  assert.deepEqual(talk.hear("235 welcome").wishes, ["ready"]);
});

test("implicit TLS secures before the banner", () => {
  const talk = new Talk({ tls: "required", implicitTls: true });
  assert.deepEqual([talk.wishes, talk.timer], [["start_tls"], "starttls"]);
  talk.do(smtp.secured(talk.session)).hear("220 relay", EHLO);
  assert.deepEqual(talk.wishes, ["start_tls", "ready"]);
});

test("without permission the connection ends and nothing was started", () => {
  const talk = begun(opened(), "A").hear("250 m", "250 r", "354 d");
  talk.said();
  talk.do(smtp.refuseDot(talk.session, "lease over"));
  assert.deepEqual([summary(talk.results.get("A")), talk.said(), talk.closed?.kind], ["not_started", "", "close"]);
});

test("an end from our side is unknown only past the dot", () => {
  const before = begun(opened(), "A").hear("250 m");
  before.do(smtp.abort(before.session, "closing"));
  assert.equal(summary(before.results.get("A")), "not_started");
  const after = riding();
  after.do(smtp.abort(after.session, "closing"));
  assert.equal(summary(after.results.get("A")), "failed dot closed past dot");
  assert.equal(summary(after.results.get("B")), "not_started");
});
