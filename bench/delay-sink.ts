// The next hop of a relay that is measured: an SMTP server that takes each message a set time after its final dot, in a
// process of its own. Counts what it took; keeps nothing. This file is both the parent's side and, started as a program,
// the child.

import { fork } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import type { Scope } from "../test/rig/scope.ts";
import { createSinkSession, SINK_GREETING } from "./sink-session.ts";

export interface DelaySink {
  readonly host: "127.0.0.1";
  readonly port: number;
  /** Messages taken so far. */
  count(): Promise<number>;
}

const CHILD_FLAG = "--delay-sink-child";

export async function startDelaySink(scope: Scope, delayMs: number): Promise<DelaySink> {
  const child = fork(import.meta.filename, [CHILD_FLAG, String(delayMs)], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
    detached: true,
  });
  const ended = once(child, "exit");
  scope.after(async () => {
    if (child.connected) child.disconnect();
    await ended;
  });
  const [{ port }] = (await once(child, "message")) as [{ port: number }];
  return {
    host: "127.0.0.1",
    port,
    async count() {
      const answer = once(child, "message");
      child.send("count");
      return ((await answer) as [{ count: number }])[0].count;
    },
  };
}

function serve(delayMs: number): void {
  let count = 0;
  const server = net.createServer({ noDelay: true }, (socket) => {
    const session = createSinkSession();
    socket.on("error", () => {});
    socket.write(SINK_GREETING);
    socket.on("data", (chunk: Buffer) => {
      const { replies, accepted, isOver } = session.take(chunk);
      const answer = (): void => {
        count += accepted.length;
        if (replies !== "") socket.write(replies, "latin1");
        if (isOver) socket.end();
      };
      if (accepted.length === 0) answer();
      else setTimeout(answer, delayMs * accepted.length);
    });
  });
  server.listen(0, "127.0.0.1", () => process.send?.({ port: (server.address() as net.AddressInfo).port }));
  process.on("message", () => process.send?.({ count }));
  process.on("disconnect", () => process.exit(0));
}

if (process.argv[2] === CHILD_FLAG) serve(Number(process.argv[3]));
