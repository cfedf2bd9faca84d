// An encryption key as people write it: 32 octets in base64 (`openssl rand -base64 32`) or in hexadecimal.

/** Undefined when it is none. */
export function parseEncryptionKey(text: string): Buffer | undefined {
  if (/^[0-9A-Fa-f]{64}$/.test(text)) return Buffer.from(text, "hex");
  return /^[A-Za-z0-9+/_-]{43}=?$/.test(text)
    ? Buffer.from(text.replaceAll("-", "+").replaceAll("_", "/"), "base64")
    : undefined;
}
