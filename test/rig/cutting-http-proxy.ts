// A way to an HTTP server that cuts connections: before the server has the request, in the same moment, or when it has
// answered and the client has not heard it. Knows requests by their idempotency key, and that a client sends one after the
// other on a connection; what is in them is nothing to it.

import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import type { Scope } from "./scope.ts";

export type HttpCut = "before the request" | "at the request" | "after the answer";

export interface CuttingHttpProxy {
  readonly url: string;
}

/** `cutOf` is asked for each request; undefined lets it through. */
export async function startCuttingHttpProxy(
  scope: Scope,
  to: { readonly host: string; readonly port: number },
  cutOf: (key: string) => HttpCut | undefined,
): Promise<CuttingHttpProxy> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((client) => {
    const door = net.connect(to);
    for (const socket of [client, door]) {
      sockets.add(socket);
      socket.setNoDelay(true).on("error", () => {});
      socket.on("close", () => sockets.delete(socket));
    }
    passOn(client, door, cutOf);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  scope.after(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, "close");
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

function passOn(client: net.Socket, door: net.Socket, cutOf: (key: string) => HttpCut | undefined): void {
  const cut = (): void => {
    door.resetAndDestroy();
    client.resetAndDestroy();
  };
  let isAnswerCut = false;
  client.on("data", (chunk: Buffer) => {
    const key = /^idempotency-key: (\S+)/im.exec(chunk.toString("latin1"))?.[1];
    const where = key === undefined ? undefined : cutOf(key);
    if (where === "before the request") return cut();
    isAnswerCut = where === "after the answer";
    if (where === "at the request") door.end(chunk, cut);
    else door.write(chunk);
  });
  door.on("data", (chunk: Buffer) => {
    if (isAnswerCut) cut();
    else client.write(chunk);
  });
  client.on("close", () => door.destroy());
  door.on("close", () => client.destroy());
}
