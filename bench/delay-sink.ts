// The next hop of a relay that is measured: an SMTP server that takes each message a set time after its final dot, in a
// process of its own. Counts what it took; keeps nothing. This file is both the parent's side and, started as a program,
// the child.

import net from "node:net";
import type { Scope } from "../test/rig/scope.ts";
import { forkChild } from "./forked-child.ts";
import { createSinkSession, SINK_GREETING } from "./sink-session.ts";

export interface DelaySink {
  readonly host: "127.0.0.1";
  readonly port: number;
  /** Messages taken so far. */
  count(): Promise<number>;
}

const CHILD_FLAG = "--delay-sink-child";

export async function startDelaySink(scope: Scope, delayMs: number): Promise<DelaySink> {
  const child = forkChild(scope, import.meta.filename, [CHILD_FLAG, String(delayMs)]);
  const { port } = (await child.ask()) as { port: number };
  return {
    host: "127.0.0.1",
    port,
    count: async () => ((await child.ask("count")) as { count: number }).count,
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
