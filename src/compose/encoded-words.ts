// Encoded-words (RFC 2047): text beyond plain ASCII in a header. Base64 or Q, by what is shorter. A character is never
// split between two words, a word has at most 75 octets and its line at most 76 (§2). The whole text is encoded, not
// only its foreign words, so that no reader has to guess which spaces count (§6.2).

/** `column`: where the first word starts in its line. The words come joined by line breaks, the last line unbroken. */
export function encodeWords(text: string, column: number): string {
  const characters = Array.from(wellFormed(text));
  const isBase64 = qOctets(characters) > Math.ceil(Buffer.byteLength(text) / 3) * 4;
  const words: string[] = [];
  let start = column + WORD_FRAME + ROOM_MIN > LINE_OCTETS_MAX ? FOLD_COLUMN : column;
  const isFoldedFirst = start !== column;
  let index = 0;
  while (index < characters.length) {
    const room = Math.min(WORD_OCTETS_MAX, LINE_OCTETS_MAX - start) - WORD_FRAME;
    const end = isBase64 ? fillBase64(characters, index, room) : fillQ(characters, index, room);
    const piece = characters.slice(index, end);
    words.push(
      isBase64 ? `=?utf-8?B?${Buffer.from(piece.join("")).toString("base64")}?=` : `=?utf-8?Q?${toQ(piece)}?=`,
    );
    index = end;
    start = FOLD_COLUMN;
  }
  return (isFoldedFirst ? "\r\n " : "") + words.join("\r\n ");
}

/** Lone surrogates become U+FFFD, as they would on the way to UTF-8 anyway. */
export function wellFormed(text: string): string {
  return LONE_SURROGATE.test(text) ? Buffer.from(text, "utf8").toString("utf8") : text;
}

export function hasLoneSurrogate(text: string): boolean {
  return LONE_SURROGATE.test(text);
}

const LONE_SURROGATE = /[\ud800-\udfff]/u;
const WORD_OCTETS_MAX = 75;
const LINE_OCTETS_MAX = 76;
/** `=?utf-8?B?` and `?=`. */
const WORD_FRAME = 12;
/** The first word may start in a line only if it can hold this much; any character fits into it, in Q as in base64. */
const ROOM_MIN = 12;
/** A folded line begins with one space. */
const FOLD_COLUMN = 1;

/** What may stand for itself in Q: the set for phrases, the narrowest (RFC 2047 §5 (3)). */
const Q_PLAIN = /[A-Za-z0-9!*+/-]/;
const Q_OF_OCTET = Array.from({ length: 256 }, (_, octet) => {
  const character = String.fromCharCode(octet);
  if (octet === 0x20) return "_";
  return octet < 0x80 && Q_PLAIN.test(character) ? character : `=${octet.toString(16).toUpperCase().padStart(2, "0")}`;
});

function qOctets(characters: readonly string[]): number {
  return characters.reduce((sum, character) => sum + qSize(character), 0);
}

function qSize(character: string): number {
  const code = character.codePointAt(0)!;
  return code < 0x80 ? Q_OF_OCTET[code]!.length : utf8Size(code) * 3;
}

function fillQ(characters: readonly string[], from: number, room: number): number {
  let used = 0;
  let end = from;
  while (end < characters.length && used + qSize(characters[end]!) <= room) used += qSize(characters[end++]!);
  return end;
}

function fillBase64(characters: readonly string[], from: number, room: number): number {
  const octetsMax = Math.floor(room / 4) * 3;
  let used = 0;
  let end = from;
  while (end < characters.length && used + utf8Size(characters[end]!.codePointAt(0)!) <= octetsMax)
    used += utf8Size(characters[end++]!.codePointAt(0)!);
  return end;
}

function toQ(characters: readonly string[]): string {
  let out = "";
  for (const octet of Buffer.from(characters.join(""))) out += Q_OF_OCTET[octet];
  return out;
}

function utf8Size(code: number): number {
  if (code < 0x80) return 1;
  if (code < 0x800) return 2;
  return code < 0x10000 ? 3 : 4;
}
