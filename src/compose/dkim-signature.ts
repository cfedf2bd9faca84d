// One DKIM signature (RFC 6376 §3.7, RFC 8463 §3): what of a header is signed, in which order, and by which algorithm. The
// signature is made on the thread pool.

import { createHash, sign, type KeyObject } from "node:crypto";
import { relaxedField, relaxedValue } from "./dkim-relaxed.ts";
import type { SigningKey } from "./signing-key.ts";

/**
 * The fields that the names of an h= tag stand for, in canonical form, each with its CRLF. Of a name that is there several
 * times the last field comes first (RFC 6376 §5.4.2); one that is listed more often than it is there stands for nothing.
 */
export function canonicalFields(fields: ReadonlyMap<string, readonly string[]>, names: readonly string[]): string {
  const used = new Map<string, number>();
  let canonical = "";
  for (const name of names) {
    const values = fields.get(name);
    if (values === undefined) continue;
    const nth = (used.get(name) ?? 0) + 1;
    used.set(name, nth);
    const value = values[values.length - nth];
    if (value !== undefined) canonical += `${relaxedField(name, value)}\r\n`;
  }
  return canonical;
}

/** In base64. `value` is that of the DKIM-Signature field, up to and with an empty `b=`. */
export async function signatureOver(key: SigningKey, canonical: string, value: string): Promise<string> {
  const data = Buffer.from(`${canonical}dkim-signature:${relaxedValue(value)}`, "latin1");
  return (await signData(key, data)).toString("base64");
}

async function signData({ domain, selector, algorithm, privateKey }: SigningKey, data: Buffer): Promise<Buffer> {
  try {
    // RFC 8463 §3: Ed25519 signs the SHA-256 of the data, and hashes nothing by itself.
    return algorithm === "rsa"
      ? await signOnPool("sha256", data, privateKey)
      : await signOnPool(null, createHash("sha256").update(data).digest(), privateKey);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`the DKIM key ${selector} of ${domain} cannot sign (${why}); replace it, then release the message`);
  }
}

function signOnPool(hash: "sha256" | null, data: Buffer, key: KeyObject): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    sign(hash, data, key, (error, signature) => (error === null ? resolve(signature) : reject(error)));
  });
}
