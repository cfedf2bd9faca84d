// Which addresses a webhook may go to: those of the public internet, and what the configuration allows by name. An
// endpoint inside the machine or its network is refused, since whoever may make a webhook could reach with it what only
// we can reach: a metadata service, an administrator's page. Asked when a webhook is made, and again for each address
// that is connected to, since a name may lead elsewhere by then. Pure: nothing is looked up.

export interface Reachable {
  /** Is this address, which that host (of the URL) leads to, one to connect to? */
  (host: string, address: string): boolean;
}

/** `allow`: names of hosts, whatever they lead to, and addresses. */
export function createReachable(allow: readonly string[]): Reachable {
  const allowed = new Set(allow.map(plainHost));
  return (host, address) =>
    allowed.has(plainHost(host)) || allowed.has(plainHost(address)) || isPublicAddress(plainHost(address));
}

/** The URL of an endpoint, in its canonical form, or what is wrong with it and what to do. */
export type EndpointUrl =
  | { readonly kind: "url"; readonly url: string }
  | { readonly kind: "refused"; readonly problem: string };

const URL_CHARS_MAX = 2048;

export function checkEndpointUrl(text: string, allow: readonly string[]): EndpointUrl {
  const refused = (problem: string): EndpointUrl => ({ kind: "refused", problem });
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || text.length > URL_CHARS_MAX) return refused("Give a URL such as https://example.com/hooks.");
  const isNamed = allow.map(plainHost).includes(plainHost(url.hostname));
  if (url.protocol !== "https:" && !(url.protocol === "http:" && isNamed)) {
    return refused("Give an https:// URL; http:// is only for hosts that webhooks.allow names.");
  }
  if (url.username !== "" || url.password !== "") return refused("Give a URL without a user and a password.");
  const isLocalName = /(?:^|\.)localhost\.?$/i.test(url.hostname);
  if (!isNamed && (isLocalName || (isAddress(url.hostname) && !isPublicAddress(plainHost(url.hostname))))) {
    return refused(
      `${url.hostname} is inside this machine or a private network. If webhooks may go there, name it in webhooks.allow of postlane.yaml.`,
    );
  }
  url.hash = "";
  return { kind: "url", url: url.href };
}

/** As the URL standard writes it, without brackets, in lower case: so that one address has one name. */
function plainHost(host: string): string {
  const bare = host.replace(/^\[|\]$/g, "").replace(/%.*$/, "");
  const written = bare.includes(":") ? `http://[${bare}]` : `http://${bare}`;
  const canonical = URL.canParse(written) ? new URL(written).hostname : bare.toLowerCase();
  return canonical.replace(/^\[|\]$/g, "").replace(/\.$/, "");
}

function isAddress(host: string): boolean {
  return host.startsWith("[") || octetsOfV4(host) !== undefined;
}

/** Of an address in its canonical form. What is no address is no public one. */
export function isPublicAddress(address: string): boolean {
  const v4 = octetsOfV4(address);
  if (v4 !== undefined) return isPublicV4(v4);
  const groups = groupsOfV6(address);
  return groups !== undefined && isPublicV6(groups);
}

function octetsOfV4(address: string): readonly number[] | undefined {
  const found = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(address)?.slice(1).map(Number);
  return found?.every((octet) => octet <= 255) === true ? found : undefined;
}

/** First octets and the length of the prefix in bits (IANA's registry of special-purpose addresses, RFC 6890). */
const SPECIAL_V4: readonly (readonly [prefix: number, bits: number])[] = [
  [0x00_00_00_00, 8], // this network, unspecified
  [0x0a_00_00_00, 8], // private
  [0x64_40_00_00, 10], // carriers' NAT
  [0x7f_00_00_00, 8], // loopback
  [0xa9_fe_00_00, 16], // link-local, with clouds' metadata at 169.254.169.254
  [0xac_10_00_00, 12], // private
  [0xc0_00_00_00, 24], // protocol assignments
  [0xc0_00_02_00, 24], // documentation
  [0xc0_58_63_00, 24], // 6to4 relays
  [0xc0_a8_00_00, 16], // private
  [0xc6_12_00_00, 15], // benchmarks
  [0xc6_33_64_00, 24], // documentation
  [0xcb_00_71_00, 24], // documentation
  [0xe0_00_00_00, 3], // multicast, reserved, broadcast
];

function isPublicV4([a = 0, b = 0, c = 0, d = 0]: readonly number[]): boolean {
  const address = a * 2 ** 24 + b * 2 ** 16 + c * 2 ** 8 + d;
  return SPECIAL_V4.every(([prefix, bits]) => {
    const size = 2 ** (32 - bits);
    return Math.floor(address / size) !== Math.floor(prefix / size);
  });
}

/** Eight groups of 16 bits. A v4 address at the end, as some write it, has become groups in the canonical form. */
function groupsOfV6(address: string): readonly number[] | undefined {
  if (!/^[0-9a-f:]{2,39}$/.test(address)) return undefined;
  const [head = "", tail, ...more] = address.split("::");
  if (more.length > 0) return undefined;
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const missing = 8 - before.length - after.length;
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined;
  const groups = [...before, ...Array.from({ length: missing }, () => "0"), ...after];
  return groups.every((group) => /^[0-9a-f]{1,4}$/.test(group))
    ? groups.map((group) => Number.parseInt(group, 16))
    : undefined;
}

function isPublicV6(groups: readonly number[]): boolean {
  const [a = 0, b = 0] = groups;
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  // RFC 6052 §2.1: what a NAT64 makes of a v4 address.
  const isNat64 = a === 0x64 && b === 0xff9b && groups.slice(2, 6).every((group) => group === 0);
  if (isMapped || isNat64) return isPublicV4([groups[6]! >> 8, groups[6]! & 255, groups[7]! >> 8, groups[7]! & 255]);
  if (a < 0x2000 || a > 0x3fff) return false; // only global unicast (RFC 4291 §2.4)
  const isSpecial = (a === 0x2001 && b < 0x200) || (a === 0x2001 && b === 0xdb8) || a === 0x2002 || a === 0x3fff;
  return !isSpecial;
}
