// The name under which a suppression is kept: HMAC-SHA-256 of the address, under a key of this database. Without the key
// nobody can try addresses against it; with it alone, nobody can read one out. Pure: the MAC comes in as an argument.

import { domainToASCII } from "node:url";
import type { Mac } from "../mail/return-token.ts";

/** Of `local@domain`, or of `@domain` for a whole domain. The same for every way of writing an address in upper and lower case. */
export function suppressionHash(address: string, mac: Mac): Uint8Array {
  return mac(Buffer.from(suppressionName(address)));
}

/** What is hashed: ASCII letters in lower case (as SQL compares them), the domain as A-labels where it has such a form. */
export function suppressionName(address: string): string {
  const at = address.lastIndexOf("@");
  const domain = address.slice(at + 1);
  const wire = domainToASCII(domain);
  return lowerAscii(`${address.slice(0, at)}@${wire === "" ? domain : wire}`);
}

function lowerAscii(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
