// A host of the configuration as people write it: `relay.example.com:25`, `192.0.2.1`, `[2001:db8::1]:587`. Nothing is
// looked up.

import { isIP } from "node:net";

export interface WrittenHost {
  readonly host: string;
  readonly port?: number;
}

/** Undefined when it is none. An IPv6 address needs its brackets, else its last group could be the port. */
export function parseHost(text: string): WrittenHost | undefined {
  const [, bracketed, plain, portText] =
    /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]{1,253}))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || (bracketed !== undefined && isIP(bracketed) !== 6)) return undefined;
  if (portText === undefined) return { host };
  const port = Number(portText);
  return port >= 1 && port <= 65_535 ? { host, port } : undefined;
}

/** Where a door listens: an address with its port; port 0 is any free one. */
export function parseListen(text: string): { readonly host: string; readonly port: number } | undefined {
  const free = /^(.+):0$/.exec(text);
  const parsed = parseHost(free === null ? text : `${free[1]}:1`);
  if (parsed?.port === undefined) return undefined;
  return { host: parsed.host, port: free === null ? parsed.port : 0 };
}

/** `10.0.0.0/8`, `fd00::/8`, or one address: those whose first `prefix` bits are the same. */
export function parseNetwork(text: string): { readonly address: string; readonly prefix: number } | undefined {
  const [, address = "", bits] = /^([0-9A-Fa-f:.]{2,45})(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const bitsMax = { 0: 0, 4: 32, 6: 128 }[isIP(address)];
  if (bitsMax === undefined || bitsMax === 0) return undefined;
  const prefix = bits === undefined ? bitsMax : Number(bits);
  return prefix <= bitsMax ? { address, prefix } : undefined;
}

/** This machine and no other: a password that goes there in the clear crosses no wire. */
export function isLoopback(host: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|::1)$/i.test(host);
}
