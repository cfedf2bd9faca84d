// An address that a site was given once and that leads to whichever server is the primary: what a load balancer, a virtual
// address or a name of a cluster is. A plain TCP proxy on the loopback that reads nothing of what it passes on. Whoever
// asks while it leads nowhere is turned away at once, as a machine without a listener does it.

import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import type { Scope } from "../../test/rig/scope.ts";

export interface VirtualAddress {
  readonly port: number;
  /** New connections lead to this socket's path; undefined: nowhere. */
  leadTo(socketPath: string | undefined): void;
  /** Every second new connection leads to this one instead: what split brain looks like from outside. Undefined: no more. */
  leadAstrayTo(socketPath: string | undefined): void;
  /** How many were led astray. */
  readonly ledAstray: number;
  /** Ends every connection, as the death of the machine behind them does sooner or later. */
  cut(): void;
}

/** Whoever leads astray does it to every second one: each pool of a few connections has both kinds. */
const ASTRAY_EVERY = 2;

export async function openVirtualAddress(scope: Scope): Promise<VirtualAddress> {
  const sockets = new Set<net.Socket>();
  let target: string | undefined;
  let astray: string | undefined;
  let [asked, ledAstray] = [0, 0];
  const server = net.createServer({ noDelay: true }, (client) => {
    const isAstray = astray !== undefined && ++asked % ASTRAY_EVERY === 0;
    if (isAstray) ledAstray++;
    const goal = isAstray ? astray : target;
    if (goal === undefined) return void client.on("error", () => {}).resetAndDestroy();
    const behind = net.connect(goal);
    for (const socket of [client, behind]) {
      sockets.add(socket);
      socket.on("error", () => {}); // Its close tells the other one.
      socket.on("close", () => sockets.delete(socket));
    }
    client.pipe(behind).pipe(client);
    client.on("close", () => behind.destroy());
    behind.on("close", () => client.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  scope.after(async () => {
    cut();
    server.close();
    await once(server, "close");
  });
  return {
    port: (server.address() as AddressInfo).port,
    leadTo: (socketPath) => void (target = socketPath),
    leadAstrayTo: (socketPath) => void (astray = socketPath),
    get ledAstray() {
      return ledAstray;
    },
    cut,
  };
}
