// A key as its owner holds it: `plk_<id>_<secret>`, the secret being 256 random bits in base64url. The id finds the row;
// only the hash of the secret is ever kept or compared, and that in constant time.

import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

export interface KeyToken {
  readonly id: number;
  readonly secret: string;
}

const KEY_SECRET_BYTES = 32;
/** 32 octets in base64url (RFC 4648 §5), without padding. */
const TOKEN = /^plk_([1-9]\d{0,9})_([\w-]{43})$/;
/** PostgreSQL's integer. */
const ID_MAX = 2 ** 31 - 1;

/** Undefined: no key looks like this. */
export function parseKeyToken(token: string): KeyToken | undefined {
  const [, id = "", secret = ""] = TOKEN.exec(token) ?? [];
  if (secret === "" || Number(id) > ID_MAX) return undefined;
  return { id: Number(id), secret };
}

export function printKeyToken({ id, secret }: KeyToken): string {
  return `plk_${id}_${secret}`;
}

export function makeSecret(): string {
  return randomBytes(KEY_SECRET_BYTES).toString("base64url");
}

/** Of the text: each secret has one text, while base64url has four that mean the same octets. */
export function hashSecret(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}

/** Without a key (there is none of that id) it takes as long, and answers false. */
export function isSecretOf(secretHash: Buffer | undefined, secret: string): boolean {
  const isEqual = timingSafeEqual(secretHash ?? NOBODYS, hashSecret(secret));
  return isEqual && secretHash !== undefined;
}

const NOBODYS = Buffer.alloc(32);
