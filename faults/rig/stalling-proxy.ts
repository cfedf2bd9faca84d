// A way to the relay that can go dead in the middle of a session, for one connection at a time: from a chosen moment on
// nothing goes through in either direction, and nobody is told. It tells when that began, and when the client hung up.
// It knows SMTP only as far as it must to know where a session stands: one reply for each command, pipelined or not.

import { once } from "node:events";
import net, { type AddressInfo, type Socket } from "node:net";
import type { Scope } from "../../test/rig/scope.ts";

export const STALLS = ["banner", "ehlo", "mail", "rcpt", "data", "dot"] as const;
/** The moment: the relay's reply to it does not come through any more. */
export type Stall = (typeof STALLS)[number];

export interface StalledSession {
  /** When the client began to wait, by the monotonic clock: the last that it heard. */
  readonly sinceMs: number;
  /** When it hung up. */
  readonly untilMs: number;
  /** Whom the client named last. */
  readonly recipient: string | undefined;
}

export interface StallingProxy {
  readonly port: number;
  /** The next session that comes to this moment stalls; resolves when its client has hung up. */
  stallNext(stall: Stall): Promise<StalledSession>;
}

export async function startStallingProxy(scope: Scope, relayPort: number): Promise<StallingProxy> {
  const sockets = new Set<Socket>();
  let wanted: { readonly stall: Stall; readonly done: (session: StalledSession) => void } | undefined;
  const takeOrder = (stall: Stall | "other"): ((session: StalledSession) => void) | undefined => {
    if (wanted?.stall !== stall) return undefined;
    const { done } = wanted;
    wanted = undefined;
    return done;
  };
  const server = net.createServer({ noDelay: true }, (client) => {
    const relay = net.connect({ host: "127.0.0.1", port: relayPort, noDelay: true });
    for (const socket of [client, relay]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => sockets.delete(socket));
    }
    passOn(client, relay, takeOrder);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  scope.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return {
    port: (server.address() as AddressInfo).port,
    stallNext: (stall) => new Promise((resolve) => (wanted = { stall, done: resolve })),
  };
}

function passOn(
  client: Socket,
  relay: Socket,
  takeOrder: (stall: Stall | "other") => ((session: StalledSession) => void) | undefined,
): void {
  const waitingFor: (Stall | "other")[] = ["banner"];
  let heardAtMs = performance.now();
  let [isDead, isContent, said, heard] = [false, false, "", ""];
  let recipient: string | undefined;

  client.on("data", (bytes: Buffer) => {
    if (isDead) return;
    relay.write(bytes);
    said += bytes.toString("latin1");
    for (;;) {
      const end = isContent ? "\r\n.\r\n" : "\r\n";
      const at = said.indexOf(end);
      if (at < 0) return;
      const line = said.slice(0, at);
      said = said.slice(at + end.length);
      if (isContent) {
        isContent = false;
        waitingFor.push("dot");
      } else {
        waitingFor.push(stallOf(line));
        recipient = /^RCPT TO:<([^>]*)>/.exec(line)?.[1] ?? recipient;
      }
      // What stands behind DATA is content only once it was asked for.
      if (!isContent && line === "DATA" && said !== "") return;
    }
  });
  relay.on("data", (bytes: Buffer) => {
    if (isDead) return;
    heard += bytes.toString("latin1");
    for (;;) {
      const reply = /^(?:\d{3}-[^\n]*\n)*\d{3}[^\n]*\n/.exec(heard)?.[0];
      if (reply === undefined) return;
      const answered = waitingFor.shift() ?? "other";
      const done = takeOrder(answered);
      if (done !== undefined) {
        isDead = true;
        client.once("close", () => done({ sinceMs: heardAtMs, untilMs: performance.now(), recipient }));
        // Whatever comes is read and forgotten, so that it is seen when the client hangs up.
        return;
      }
      heard = heard.slice(reply.length);
      if (answered === "data" && reply.startsWith("354")) isContent = true;
      heardAtMs = performance.now();
      client.write(reply, "latin1");
    }
  });
  client.on("close", () => relay.destroy());
  relay.on("close", () => void (isDead || client.destroy()));
}

function stallOf(line: string): Stall | "other" {
  const verb = line.slice(0, 4).toLowerCase();
  return STALLS.find((stall) => stall === verb) ?? "other";
}
