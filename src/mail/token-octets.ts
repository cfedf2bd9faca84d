// What the tokens in addresses have in common: 15 octets in base32 (RFC 4648 §6, lower case: many hosts change a local
// part's case), 24 characters, the last octets a MAC over the first. Numbers go in with the most significant octet first.
// Pure: the MAC comes in as an argument.

/** HMAC-SHA-256 under a secret of this database. */
export type Mac = (data: Uint8Array) => Uint8Array;

export const TOKEN_OCTETS = 15;
const TOKEN_CHARS = (TOKEN_OCTETS * 8) / 5;

/** Writes the MAC of the first `nameOctets` behind them. */
export function sealToken(octets: Uint8Array, nameOctets: number, mac: Mac): string {
  octets.set(mac(octets.subarray(0, nameOctets)).subarray(0, TOKEN_OCTETS - nameOctets), nameOctets);
  return encodeBase32(octets);
}

/** In a time that does not tell where they differ. */
export function isSealed(octets: Uint8Array, nameOctets: number, mac: Mac): boolean {
  const expected = mac(octets.subarray(0, nameOctets));
  let difference = 0;
  for (let index = nameOctets; index < TOKEN_OCTETS; index++) {
    difference |= octets[index]! ^ expected[index - nameOctets]!;
  }
  return difference === 0;
}

// A token that names one id: 7 octets of it, 8 of MAC. 64 bits of MAC: who tries a thousand a second hits one of a billion
// once in 200 days, and a rate limit stands before.
const ID_OCTETS = 7;

export function idToken(id: number, mac: Mac): string {
  const octets = new Uint8Array(TOKEN_OCTETS);
  writeNumber(octets, 0, ID_OCTETS, id);
  return sealToken(octets, ID_OCTETS, mac);
}

/** Undefined when it is no token, or none of ours. */
export function readIdToken(token: string, mac: Mac): number | undefined {
  const octets = decodeToken(token);
  if (octets === undefined || !isSealed(octets, ID_OCTETS, mac)) return undefined;
  return readNumber(octets, 0, ID_OCTETS);
}

/** Undefined when it is no token. */
export function decodeToken(text: string): Uint8Array | undefined {
  if (text.length !== TOKEN_CHARS) return undefined;
  const octets = new Uint8Array(TOKEN_OCTETS);
  let bits = 0;
  let buffer = 0;
  let at = 0;
  for (const character of text.toLowerCase()) {
    const value = ALPHABET.indexOf(character);
    if (value < 0) return undefined;
    buffer = (buffer << 5) | value;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    octets[at++] = buffer >>> bits;
    buffer &= (1 << bits) - 1;
  }
  return octets;
}

// Ids have up to 53 bits, so no bitwise operators.
export function writeNumber(octets: Uint8Array, at: number, count: number, value: number): void {
  let rest = value;
  for (let index = at + count - 1; index >= at; index--) {
    octets[index] = rest % 256;
    rest = Math.floor(rest / 256);
  }
}

export function readNumber(octets: Uint8Array, at: number, count: number): number {
  let value = 0;
  for (let index = at; index < at + count; index++) value = value * 256 + octets[index]!;
  return value;
}

/** `b+TOKEN@domain`, in whatever case → the token; undefined for an address of another prefix or domain. */
export function tokenBehind(prefix: string, address: string, domain: string): string | undefined {
  const lower = address.toLowerCase();
  if (!lower.startsWith(prefix) || !lower.endsWith(`@${domain.toLowerCase()}`)) return undefined;
  return lower.slice(prefix.length, lower.length - domain.length - 1);
}

const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";

/** Two characters for each ten bits. */
const PAIRS = Array.from({ length: 1024 }, (_, bits) => ALPHABET[bits >> 5]! + ALPHABET[bits & 31]!);

/** Of a multiple of 5 octets. */
function encodeBase32(octets: Uint8Array): string {
  let text = "";
  for (let at = 0; at < octets.length; at += 5) {
    const [a, b, c, d, e] = [octets[at]!, octets[at + 1]!, octets[at + 2]!, octets[at + 3]!, octets[at + 4]!];
    text += PAIRS[(a << 2) | (b >> 6)]! + PAIRS[((b & 63) << 4) | (c >> 4)]!;
    text += PAIRS[((c & 15) << 6) | (d >> 2)]! + PAIRS[((d & 3) << 8) | e]!;
  }
  return text;
}
