// The text of a header field as people read it: encoded-words (RFC 2047) decoded. The mail is anybody's: bounded, never
// throws; what cannot be decoded stays as it is. Takes text in which each character is an octet.

/** Fields are longer only where somebody wants to hurt. */
const FIELD_CHARS_MAX = 4096;
const ENCODED_WORD = /=\?([A-Za-z0-9_-]{1,40})(?:\*[A-Za-z-]{1,20})?\?([BbQq])\?([^?\s]{0,200})\?=/g;

export function headerText(octets: string): string {
  const bounded = octets.slice(0, FIELD_CHARS_MAX);
  // White space between two encoded-words is not shown (§6.2).
  const joined = bounded.replaceAll(/(\?=)[ \t]{1,10}(?==\?)/g, "$1");
  const plain = Buffer.from(joined, "latin1").toString("utf8");
  const text = plain.replaceAll(
    ENCODED_WORD,
    (word, charset: string, encoding: string, body: string) => decodeWord(charset, encoding, body) ?? word,
  );
  return text.replaceAll(/\p{Cc}/gu, " ").trim();
}

function decodeWord(charset: string, encoding: string, body: string): string | undefined {
  const octets = encoding.toLowerCase() === "b" ? Buffer.from(body, "base64") : octetsOfQ(body);
  try {
    return new TextDecoder(charset).decode(octets);
  } catch {
    return undefined; // A charset that nobody knows.
  }
}

function octetsOfQ(body: string): Buffer {
  const octets = body
    .replaceAll("_", " ")
    .replaceAll(/=([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(octets, "latin1");
}
