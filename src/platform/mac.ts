// HMAC-SHA-256 (RFC 2104), for tokens that only this database can make.

import { createHmac } from "node:crypto";

export function createMac(key: Uint8Array): (data: Uint8Array) => Uint8Array {
  return (data) => createHmac("sha256", key).update(data).digest();
}
