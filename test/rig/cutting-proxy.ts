// A way to a relay that cuts the connection at the final dot of mail that a test names: before the relay has the dot, in
// the same moment, or when the relay has answered and the client has not heard it. The relay sees the client's own port,
// on another loopback address, so that what it logs of the session is what it would have logged without a proxy.
// Speaks no SMTP of its own: it knows recipients by RCPT and the end of a content by its final dot.

import net from "node:net";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import type { Scope } from "./scope.ts";

/** The client has written its final dot in each case, and hears nothing more. */
export type Cut = "before the dot" | "at the dot" | "after the reply";

export interface CuttingProxyOptions {
  readonly to: { readonly host: string; readonly port: number };
  /** Asked at each final dot; undefined lets it through. `port` is the client's. */
  readonly cutOf: (recipient: string, port: number) => Cut | undefined | Promise<Cut | undefined>;
}

export interface CuttingProxy {
  readonly host: "127.0.0.1";
  readonly port: number;
}

/** The relay must take mail from it: all of 127.0.0.0/8 is this machine. */
const SEEN_AS = "127.0.0.2";
const END_OF_CONTENT = "\r\n.\r\n";

export async function startCuttingProxy(scope: Scope, options: CuttingProxyOptions): Promise<CuttingProxy> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((client) => {
    const relay = net.connect({ ...options.to, localAddress: SEEN_AS, localPort: client.remotePort! });
    for (const socket of [client, relay]) {
      sockets.add(socket);
      socket.setNoDelay(true).on("error", () => {});
      socket.on("close", () => sockets.delete(socket));
    }
    connect(client, relay, options.cutOf);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  scope.after(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, "close");
  });
  return { host: "127.0.0.1", port: (server.address() as AddressInfo).port };
}

function connect(client: net.Socket, relay: net.Socket, cutOf: CuttingProxyOptions["cutOf"]): void {
  const port = client.remotePort!;
  const cut = (): void => {
    relay.resetAndDestroy();
    client.resetAndDestroy();
  };
  /** The reply that comes next is the one to the dot. */
  let isReplyAwaited = false;
  const decide = async (transaction: string): Promise<Cut | undefined> =>
    await cutOf(/RCPT TO:<([^>]*)>/i.exec(transaction)?.[1] ?? "", port);
  const splitter = createSplitter();
  let work = Promise.resolve();
  client.on("data", (chunk: Buffer) => {
    work = work.then(async () => {
      for (const piece of splitter.split(chunk.toString("latin1"))) {
        if (client.destroyed || isReplyAwaited) return;
        if (piece.transaction === undefined) {
          relay.write(piece.text, "latin1");
          continue;
        }
        const where = await decide(piece.transaction);
        if (where !== "before the dot") relay.write(piece.text, "latin1");
        isReplyAwaited = where === "after the reply";
        if (where === "before the dot" || where === "at the dot") cut();
      }
    });
  });
  relay.on("data", (chunk: Buffer) => {
    if (isReplyAwaited) cut();
    else client.write(chunk);
  });
  client.on("end", () => relay.end());
  relay.on("end", () => client.end());
  client.on("close", () => relay.destroy());
  relay.on("close", () => client.destroy());
}

interface Piece {
  readonly text: string;
  /** Of the piece that is a final dot: all that the client said since the one before. */
  readonly transaction?: string;
}

/** Tells final dots from the rest. What may be the begin of a dot is kept until it is known. */
function createSplitter(): { split(text: string): readonly Piece[] } {
  let said = "";
  let kept = "";
  return {
    split(text) {
      const pieces: Piece[] = [];
      let rest = kept + text;
      for (;;) {
        // Two octets of what has gone on already may belong to the end.
        const before = said.slice(-2);
        const at = (before + rest).indexOf(END_OF_CONTENT);
        if (at < 0) break;
        const dotAt = at + 2 - before.length;
        const content = rest.slice(0, dotAt);
        const dot = rest.slice(dotAt, dotAt + 3);
        pieces.push({ text: content }, { text: dot, transaction: said + content });
        said = "\r\n";
        rest = rest.slice(dotAt + 3);
      }
      const keep = /\r\n(\.\r?)$/.exec(said.slice(-2) + rest)?.[1]?.length ?? 0;
      kept = rest.slice(rest.length - keep);
      const goesOn = rest.slice(0, rest.length - keep);
      said += goesOn;
      return goesOn === "" ? pieces : [...pieces, { text: goesOn }];
    },
  };
}
