// The session against a server that answers anything: whatever it says, however its octets come in pieces, and wherever
// the connection breaks, the rules of the dialogue hold. A model beside it reads only what goes over the wire.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { HandOver } from "../../src/handover/outlet.ts";
import * as smtp from "../../src/handover/smtp-session.ts";
import type { SessionAction } from "../../src/handover/smtp-session.ts";
import { prepareTransaction, type SmtpTransaction } from "../../src/handover/smtp-transaction.ts";
import type { AttemptResult } from "../../src/mail/attempt.ts";

// Mostly what a good server says, so that runs get far; else a refusal, nonsense, or the end.
interface Mood {
  readonly kind: "good" | "refuse" | "odd" | "lost" | "timeout";
  readonly code: number;
}
const mood: fc.Arbitrary<Mood> = fc.oneof(
  { weight: 14, arbitrary: fc.constant<Mood>({ kind: "good", code: 0 }) },
  { weight: 4, arbitrary: fc.integer({ min: 400, max: 599 }).map((code): Mood => ({ kind: "refuse", code })) },
  { weight: 1, arbitrary: fc.integer({ min: 100, max: 699 }).map((code): Mood => ({ kind: "odd", code })) },
  { weight: 1, arbitrary: fc.constantFrom<Mood>({ kind: "lost", code: 0 }, { kind: "timeout", code: 0 }) },
);

interface Plan {
  readonly moods: readonly Mood[];
  readonly rides: readonly boolean[];
  readonly permits: readonly boolean[];
  readonly pieceBytes: number;
  readonly hasPipelining: boolean;
}

/** A server by the letter that refuses when told to: it keeps what was delivered under which envelope. */
class ModelServer {
  readonly delivered: { sender: string; recipient: string; text: string }[] = [];
  readonly replies: string[] = [];
  readonly #moods: Mood[];
  readonly #hasPipelining: boolean;
  #buffer = "";
  #sender: string | undefined;
  #recipient: string | undefined;
  #isInData = false;
  #unansweredDots = 0;
  event: "lost" | "timeout" | undefined;

  constructor({ moods, hasPipelining }: Plan) {
    this.#moods = [...moods];
    this.#hasPipelining = hasPipelining;
  }

  hear(text: string): void {
    assert.ok(!/\r(?!\n)|(?<!\r)\n|\0/.test(text), "a bare CR, LF or NUL on the wire");
    this.#buffer += text;
  }

  /** Takes what it can without being answered first; one command or content per call. */
  answerOne(): string | undefined {
    const end = this.#isInData ? this.#endOfContent() : this.#buffer.indexOf("\r\n") + 2;
    if (end < 2) return undefined;
    const taken = this.#buffer.slice(0, end);
    this.#buffer = this.#buffer.slice(end);
    if (!this.#hasPipelining) assert.equal(this.#buffer, "", "something was sent ahead of a reply");
    return this.#isInData ? this.#takeContent(taken) : this.#takeCommand(taken.slice(0, -2));
  }

  #endOfContent(): number {
    if (this.#buffer.startsWith(".\r\n")) return 3;
    const at = this.#buffer.indexOf("\r\n.\r\n");
    return at < 0 ? -1 : at + 5;
  }

  #takeContent(taken: string): string | undefined {
    this.#isInData = false;
    const good = this.#recipient === undefined ? "554 no recipient" : "250 taken";
    const answer = this.#answer(good);
    if (taken !== ".\r\n") assert.equal(++this.#unansweredDots, 1);
    assert.ok(
      taken === ".\r\n" || (this.#sender !== undefined && this.#recipient !== undefined),
      "content without envelope",
    );
    assert.ok(taken !== ".\r\n" || this.#recipient === undefined, "an empty message for a recipient");
    if (answer?.startsWith("2") && taken !== ".\r\n") {
      const text = taken.slice(0, -3).replaceAll(/(^|\r\n)\./g, "$1");
      this.delivered.push({ sender: this.#sender!, recipient: this.#recipient!, text });
    }
    this.#unansweredDots = 0;
    this.#sender = undefined;
    this.#recipient = undefined;
    return answer;
  }

  #takeCommand(line: string): string | undefined {
    if (line === "EHLO me") return `250-x\r\n${this.#hasPipelining ? "250-PIPELINING\r\n" : ""}250 8BITMIME`;
    if (line === "QUIT") return "221 bye";
    if (line === "RSET") {
      this.#sender = undefined;
      this.#recipient = undefined;
      return "250 ok";
    }
    if (line.startsWith("MAIL")) return this.#takeMail(line);
    if (line.startsWith("RCPT")) return this.#takeRcpt(line);
    assert.equal(line, "DATA");
    const answer = this.#answer(this.#recipient === undefined ? "554 no recipient" : "354 go");
    this.#isInData = answer?.startsWith("354") ?? false;
    return answer;
  }

  #takeMail(line: string): string | undefined {
    assert.equal(this.#sender, undefined, "MAIL inside a transaction");
    const answer = this.#answer("250 ok");
    if (answer?.startsWith("2")) this.#sender = /<(.*)>/.exec(line)?.[1];
    return answer;
  }

  #takeRcpt(line: string): string | undefined {
    if (this.#sender === undefined) return this.#answer("503 need MAIL");
    const answer = this.#answer("250 ok");
    if (answer?.startsWith("2")) this.#recipient = /<(.*)>/.exec(line)?.[1];
    return answer;
  }

  #answer(good: string): string | undefined {
    const { kind, code } = this.#moods.shift() ?? { kind: "good", code: 0 };
    switch (kind) {
      case "good":
        return good;
      case "refuse":
      case "odd":
        return `${code} so it is`;
      case "lost":
      case "timeout":
        this.event = kind;
        return undefined;
    }
  }
}

const MESSAGE_COUNT = 8;

function message(number: number): HandOver {
  const text = `Subject: ${number}\r\n\r\n.\r\n..${number}\r\n`;
  const envelope = { sender: `s${number}@example.org`, recipient: `r${number}@example.net` };
  return { token: String(number), envelope, content: { text, isAscii: true } };
}

function run(plan: Plan): { server: ModelServer; results: Map<string, AttemptResult>; permitted: Set<string> } {
  const session = smtp.createSmtpSession({
    host: "h:25",
    heloName: "me",
    tls: "off",
    implicitTls: false,
    isLoopback: true,
    auth: undefined,
  });
  const server = new ModelServer(plan);
  const results = new Map<string, AttemptResult>();
  const permitted = new Set<string>();
  const rides = [...plan.rides];
  const permits = [...plan.permits];
  let nextNumber = 1;
  let isReady = false;
  let wantsPermit = false;
  let timer: smtp.TimerPhase = "none";

  const apply = (actions: readonly SessionAction[]): void => {
    for (const action of actions) {
      if (action.kind === "write") server.hear(action.text);
      if (action.kind === "timer") timer = action.phase;
      if (action.kind === "ready") isReady = true;
      if (action.kind === "want_permit") wantsPermit = true;
      if (action.kind !== "finished") continue;
      assert.ok(!results.has(action.token), "a message finished twice");
      results.set(action.token, action.result);
    }
  };
  const take = (): SmtpTransaction | undefined => {
    if (nextNumber > MESSAGE_COUNT) return undefined;
    const prepared = prepareTransaction(message(nextNumber++), session.extensions, "h:25");
    return prepared.kind === "ready" ? prepared.transaction : undefined;
  };
  const givePermission = (): void => {
    wantsPermit = false;
    if (!smtp.wantsPermit(session)) return;
    if (!(permits.shift() ?? true)) return apply(smtp.refuseDot(session, "no"));
    permitted.add(session.current!.token);
    apply(smtp.permitDot(session, plan.hasPipelining && (rides.shift() ?? true) ? take() : undefined));
  };
  const beginNext = (): void => {
    isReady = false;
    if (!smtp.isReady(session)) return;
    const transaction = take();
    apply(transaction === undefined ? smtp.quit(session) : smtp.begin(session, transaction));
  };
  const hear = (reply: string): void => {
    const bytes = Buffer.from(`${reply}\r\n`);
    for (let at = 0; at < bytes.length; at += plan.pieceBytes) {
      apply(smtp.received(session, bytes.subarray(at, at + plan.pieceBytes)));
    }
  };

  apply(smtp.connected(session));
  hear("220 x");
  while (!smtp.isClosed(session)) {
    if (wantsPermit) givePermission();
    else if (isReady) beginNext();
    else {
      const reply = server.answerOne();
      if (reply !== undefined) hear(reply);
      else if (server.event === "timeout") apply(smtp.timedOut(session, timer));
      else apply(smtp.lost(session, "connection_lost", "gone"));
    }
  }
  for (let number = 1; number < nextNumber; number++) assert.ok(results.has(String(number)), "a message has no result");
  return { server, results, permitted };
}

const plan: fc.Arbitrary<Plan> = fc.record({
  moods: fc.array(mood, { maxLength: 40 }),
  rides: fc.array(fc.boolean(), { maxLength: MESSAGE_COUNT }),
  permits: fc.array(
    fc.integer({ min: 0, max: 19 }).map((number) => number > 0),
    { maxLength: MESSAGE_COUNT },
  ),
  pieceBytes: fc.integer({ min: 1, max: 40 }),
  hasPipelining: fc.boolean(),
});

test("whatever the server says, each message goes under its own envelope and ends once and truthfully", () => {
  fc.assert(
    fc.property(plan, (given) => {
      const { server, results, permitted } = run(given);
      for (const { sender, recipient, text } of server.delivered) {
        const number = sender.slice(1, -"@example.org".length);
        assert.deepEqual(
          { recipient, text },
          { recipient: `r${number}@example.net`, text: message(Number(number)).content.text },
        );
        assert.ok(permitted.has(number), "delivered without permission");
      }
      const delivered = server.delivered.map(({ sender }) => sender.slice(1, -"@example.org".length));
      assert.equal(new Set(delivered).size, delivered.length, "delivered twice");
      for (const [token, result] of results) assertTruthful(token, result, delivered);
    }),
    { numRuns: 3000 },
  );
});

// Never "safe to repeat" for what the server took, never "sent" for what it did not.
function assertTruthful(token: string, result: AttemptResult, delivered: readonly string[]): void {
  const wasDelivered = delivered.includes(token);
  switch (result.kind) {
    case "replied":
      return assert.equal(
        result.phase === "dot" && result.reply.code < 300,
        wasDelivered,
        `${token} ${JSON.stringify(result)}`,
      );
    case "failed":
      return assert.ok(!wasDelivered || result.isPastDot, `${token} ${JSON.stringify(result)}`);
    case "not_started":
    case "refused_here":
      return assert.ok(!wasDelivered, `${token} ${JSON.stringify(result)}`);
  }
}
