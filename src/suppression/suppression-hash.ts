// The name under which a suppression is kept: HMAC-SHA-256 of the address, under a key of this database. Without the key
// nobody can try addresses against it; with it alone, nobody can read one out. Pure: the MAC comes in as an argument.

import { domainToASCII } from "node:url";
import type { Mac } from "../mail/token-octets.ts";

/** Of `local@domain`, or of `@domain` for a whole domain. The same for every way of writing an address in upper and lower case. */
export function suppressionHash(address: string, mac: Mac): Uint8Array {
  return mac(Buffer.from(suppressionName(address)));
}

/**
 * What is hashed: ASCII letters in lower case (as SQL compares them), a domain beyond ASCII as A-labels. One that is ASCII
 * is left as it is: the parser of URLs would make numbers and escapes of it, and SQL does not.
 */
export function suppressionName(address: string): string {
  const at = address.lastIndexOf("@");
  const domain = address.slice(at + 1);
  const wire = isAscii(domain) ? domain : domainToASCII(domain);
  return lowerAscii(`${address.slice(0, at)}@${wire === "" ? domain : wire}`);
}

/** Whether all of it is on the wire as it is hashed; else its domain has no such form, and no mail can go there. */
export function isHashable(name: string): boolean {
  return isAscii(name.slice(name.lastIndexOf("@") + 1));
}

function isAscii(text: string): boolean {
  // oxlint-disable-next-line no-control-regex
  return /^[\u0000-\u007f]*$/.test(text);
}

function lowerAscii(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
