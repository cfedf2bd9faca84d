// IP addresses as octets: whether a network holds one, the name of its reverse record, and whether the world can see it.
// Pure; whether a text is an address at all is judged by `platform`.

import { parseNetwork } from "../../platform/config-host.ts";

export interface IpAddress {
  /** As it was written. */
  readonly text: string;
  /** 4 or 16. */
  readonly octets: Uint8Array;
}

export interface IpNetwork {
  readonly octets: Uint8Array;
  readonly prefix: number;
}

/** Undefined when it is none. */
export function parseIp(text: string): IpAddress | undefined {
  const network = text.includes("/") ? undefined : parseNetwork(text);
  return network === undefined ? undefined : { text, octets: octetsOf(network.address) };
}

export function parseIpNetwork(text: string): IpNetwork | undefined {
  const network = parseNetwork(text);
  return network === undefined ? undefined : { octets: octetsOf(network.address), prefix: network.prefix };
}

export function isWithin({ octets }: IpAddress, network: IpNetwork): boolean {
  if (octets.length !== network.octets.length) return false;
  return octets.every((octet, index) => {
    const bits = Math.min(8, Math.max(0, network.prefix - index * 8));
    const mask = (0xff00 >> bits) & 0xff;
    return (octet & mask) === (network.octets[index]! & mask);
  });
}

export function isSameIp(one: IpAddress, other: IpAddress): boolean {
  return isWithin(one, { octets: other.octets, prefix: other.octets.length * 8 });
}

/** RFC 1035 §3.5, RFC 3596 §2.5. */
export function reverseNameOf({ octets }: IpAddress): string {
  if (octets.length === 4) return `${[...octets].toReversed().join(".")}.in-addr.arpa`;
  const digits = [...octets].flatMap((octet) => [octet >> 4, octet & 15]).toReversed();
  return `${digits.map((digit) => digit.toString(16)).join(".")}.ip6.arpa`;
}

/** Not of a network that is used again and again behind others (RFC 6890). */
export function isPublic(address: IpAddress): boolean {
  return !PRIVATE.some((network) => isWithin(address, network));
}

const PRIVATE = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "224.0.0.0/3",
  "::/127",
  "fc00::/7",
  "fe80::/10",
  "ff00::/8",
].map((text) => parseIpNetwork(text)!);

function octetsOf(address: string): Uint8Array {
  return address.includes(":") ? octetsOf6(address) : Uint8Array.from(address.split(".").map(Number));
}

function octetsOf6(address: string): Uint8Array {
  const [head = "", tail] = withoutDottedEnd(address).split("::");
  const groupsOf = (part: string): readonly number[] =>
    part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16));
  const [first, last] = [groupsOf(head), groupsOf(tail ?? "")];
  const zeros = Array.from({ length: 8 - first.length - last.length }, () => 0);
  const groups = [...first, ...(tail === undefined ? [] : zeros), ...last];
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 255]));
}

/** `::ffff:192.0.2.1` → `::ffff:c000:201`. */
function withoutDottedEnd(address: string): string {
  return address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_all, ...parts: readonly string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = parts.slice(0, 4).map(Number);
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  });
}
