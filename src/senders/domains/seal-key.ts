// A private key at rest: AES-256-GCM under the configuration's encryption key, bound to its domain and selector, so that
// one cannot be moved to another row. What is sealed names the key that it was sealed under, by a fingerprint that says
// nothing of it: a wrong key is told from a damaged row. Never keeps a secret and never prints one.
//
//   1 octet format (1) · 8 octets fingerprint · 12 octets nonce · 16 octets tag · ciphertext

import { createCipheriv, createDecipheriv, createHmac, randomBytes } from "node:crypto";

export interface EncryptionKey {
  readonly secret: Buffer;
  /** Where it comes from, for people: a file, or the configuration's key. */
  readonly origin: string;
}

/** Whose key it is. */
export interface KeyName {
  readonly domain: string;
  readonly selector: string;
}

export type OpenedKey =
  | { readonly kind: "opened"; readonly pkcs8: Buffer }
  | { readonly kind: "other_key"; readonly sealedUnder: string }
  | { readonly kind: "damaged" };

export const ENCRYPTION_KEY_OCTETS = 32;

const FORMAT = 1;
const FINGERPRINT_AT = 1;
const NONCE_AT = 9;
const TAG_AT = 21;
const CIPHERTEXT_AT = 37;

export function sealKey(pkcs8: Uint8Array, name: KeyName, key: EncryptionKey): Buffer {
  const nonce = randomBytes(TAG_AT - NONCE_AT);
  const cipher = createCipheriv("aes-256-gcm", key.secret, nonce).setAAD(boundTo(name));
  const ciphertext = Buffer.concat([cipher.update(pkcs8), cipher.final()]);
  const fingerprint = Buffer.from(fingerprintOf(key), "hex");
  return Buffer.concat([Buffer.of(FORMAT), fingerprint, nonce, cipher.getAuthTag(), ciphertext]);
}

export function openSealed(sealed: Buffer, name: KeyName, key: EncryptionKey): OpenedKey {
  const sealedUnder = sealedUnderOf(sealed);
  if (sealedUnder === undefined) return { kind: "damaged" };
  if (sealedUnder !== fingerprintOf(key)) return { kind: "other_key", sealedUnder };
  try {
    const decipher = createDecipheriv("aes-256-gcm", key.secret, sealed.subarray(NONCE_AT, TAG_AT));
    decipher.setAAD(boundTo(name)).setAuthTag(sealed.subarray(TAG_AT, CIPHERTEXT_AT));
    const pkcs8 = Buffer.concat([decipher.update(sealed.subarray(CIPHERTEXT_AT)), decipher.final()]);
    return { kind: "opened", pkcs8 };
  } catch {
    return { kind: "damaged" };
  }
}

/** The fingerprint in it; undefined: it is none of ours. */
export function sealedUnderOf(sealed: Buffer): string | undefined {
  if (sealed.length <= CIPHERTEXT_AT || sealed[0] !== FORMAT) return undefined;
  return sealed.toString("hex", FINGERPRINT_AT, NONCE_AT);
}

/** 16 hexadecimal digits that tell keys apart, and from which no key can be found. */
export function fingerprintOf({ secret }: EncryptionKey): string {
  const mac = createHmac("sha256", secret).update("postlane: fingerprint of a DKIM encryption key").digest();
  return mac.toString("hex", 0, NONCE_AT - FINGERPRINT_AT);
}

/** Neither a domain nor a selector has a line end. */
function boundTo({ domain, selector }: KeyName): Buffer {
  return Buffer.from(`postlane dkim ${FORMAT}\n${domain}\n${selector}`);
}
