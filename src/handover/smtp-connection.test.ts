import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import { test } from "node:test";
import { manualClock } from "../../test/rig/handover-rig.ts";
import type { AttemptResult } from "../mail/attempt.ts";
import { BLOCK_BYTES, SmtpConnection } from "./smtp-connection.ts";
import { DEFAULT_TIMEOUTS } from "./smtp-settings.ts";
import { prepareTransaction } from "./smtp-transaction.ts";

// The outside end of a socket: it keeps what it is given, and takes each write only when it is told to.
class HeldSocket extends Duplex {
  readonly writes: Buffer[] = [];
  takesAtOnce = true;
  #take: (() => void) | undefined;

  override _read(): void {}

  override _write(bytes: Buffer, _encoding: string, done: () => void): void {
    this.writes.push(bytes);
    if (this.takesAtOnce) done();
    else this.#take = done;
  }

  takeWrite(): void {
    this.#take?.();
  }

  get wire(): string {
    return Buffer.concat(this.writes).toString("latin1");
  }
}

const soon = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

async function openedConnection(text: string) {
  const socket = new HeldSocket();
  const clock = manualClock();
  const results: AttemptResult[] = [];
  const events: string[] = [];
  const connection = new SmtpConnection(
    {
      session: { host: "relay:25", heloName: "me", tls: "off", implicitTls: false, isLoopback: true, auth: undefined },
      host: "relay",
      port: 25,
      timeouts: DEFAULT_TIMEOUTS,
      idleMs: 5000,
      tls: { host: "relay", servername: undefined, ca: undefined, isVerified: false },
    },
    { connect: () => socket, startTls: () => socket },
    clock,
    {
      ready: () => void events.push("ready"),
      wantsPermit: () => void events.push("wants permit"),
      finished: (_, result) => void results.push(result),
      notOpened: (_, failure) => void results.push(failure),
      ended: () => void events.push("ended"),
    },
  );
  const hear = async (replies: string): Promise<void> => {
    socket.push(replies);
    await soon();
  };
  const open = async (): Promise<void> => {
    socket.emit("connect");
    await hear("220 x\r\n");
    await hear("250-x\r\n250-PIPELINING\r\n250 8BITMIME\r\n");
    const content = { text, isAscii: true };
    const prepared = prepareTransaction(
      { token: "t", envelope: { sender: "", recipient: "b@example.net" }, content },
      connection.session.extensions,
      "relay:25",
    );
    assert.equal(prepared.kind, "ready");
    if (prepared.kind === "ready") connection.begin(prepared.transaction);
    await hear("250 m\r\n250 r\r\n354 d\r\n");
    assert.deepEqual(events, ["ready", "wants permit"]);
  };
  return { socket, clock, connection, results, events, hear, open };
}

test("a connection that is not made in time is a failure of phase connect", async () => {
  const { clock, results, events } = await openedConnection("");
  clock.advance(29_999);
  assert.deepEqual(events, []);
  clock.advance(1);
  assert.deepEqual(events, ["ended"]);
  assert.equal(results[0]?.kind === "failed" && `${results[0].phase} ${results[0].code}`, "connect timeout");
  assert.deepEqual(clock.pending(), []);
});

test("each phase waits as long as RFC 5321 §4.5.3.2 wants, counted from the last reply", async () => {
  const { socket, clock, connection, results, hear } = await openedConnection("");
  socket.emit("connect");
  clock.advance(299_000);
  await hear("220 x\r\n");
  clock.advance(299_000);
  await hear("250 x\r\n");
  assert.equal(connection.isReady, true);
  clock.advance(5000);
  assert.match(socket.wire, /QUIT\r\n$/);
  clock.advance(2000);
  assert.equal(socket.destroyed, true);
  assert.deepEqual(results, []);
});

test("a reply that trickles in has no more time than one that does not come", async () => {
  const { socket, clock, results, hear } = await openedConnection("");
  socket.emit("connect");
  await hear("220 x\r\n");
  for (const piece of "250-sink") {
    clock.advance(37_000);
    await hear(piece);
  }
  clock.advance(3999);
  assert.equal(results.length, 0);
  clock.advance(1);
  assert.equal(results[0]?.kind === "failed" && `${results[0].phase} ${results[0].code}`, "ehlo timeout");
});

test("the final dot is waited for ten minutes", async () => {
  const { clock, connection, results, open } = await openedConnection("x\r\n");
  await open();
  connection.permitDot(undefined);
  clock.advance(599_999);
  assert.equal(results.length, 0);
  clock.advance(1);
  assert.deepEqual(
    results.map((result) => result.kind === "failed" && [result.phase, result.code, result.isPastDot]),
    [["dot", "timeout", true]],
  );
});

test("a large content goes block by block, and each block has its time", async () => {
  const text = `${"x".repeat(BLOCK_BYTES * 2)}\r\n`;
  const { socket, clock, connection, results, open } = await openedConnection(text);
  await open();
  socket.takesAtOnce = false;
  socket.writes.length = 0;
  connection.permitDot(undefined);
  for (const written of [1, 2]) {
    assert.equal(socket.writes.length, written);
    clock.advance(179_000);
    assert.equal(connection.session.isTailUnsent, true);
    socket.takeWrite();
    await soon();
  }
  assert.equal(connection.session.isTailUnsent, false);
  socket.takeWrite();
  await soon();
  assert.equal(socket.wire, `${text}.\r\n`);
  clock.advance(599_999);
  assert.deepEqual(results, []);
});

test("a server that stops reading a large content leaves it safe to repeat", async () => {
  const { socket, clock, connection, results, open } = await openedConnection(`${"x".repeat(BLOCK_BYTES * 2)}\r\n`);
  await open();
  socket.takesAtOnce = false;
  connection.permitDot(undefined);
  clock.advance(180_000);
  assert.deepEqual(
    results.map((result) => result.kind === "failed" && [result.phase, result.code, result.isPastDot]),
    [["dot", "timeout", false]],
  );
});
