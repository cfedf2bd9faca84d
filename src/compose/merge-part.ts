// One part of a merged mail, in quoted-printable: the template's constants are encoded once, a recipient's values are
// encoded as they come, and both are put behind one another with soft breaks where a line would get too long. The
// result decodes to what encoding the whole filled-in text would give.

import { type MergeData, type Piece, RENDERED_CHARS_MAX } from "../templates/compiled-template.ts";
import { normalizeBreaks } from "./body-part.ts";
import { ComposeRefused } from "./compose-refused.ts";
import { hasLoneSurrogate, wellFormed } from "./encoded-words.ts";
import {
  type Chunk,
  encodeChunk,
  encodeQuotedPrintable,
  isBlank,
  join,
  type JoinState,
  QP_LINE_MAX,
  QP_PLAIN,
  SOFT_BREAK,
} from "./quoted-printable.ts";

export interface PreparedPart {
  readonly field: string;
  readonly pieces: readonly Piece[];
  readonly segments: readonly Segment[];
  readonly constantChars: number;
}

export function preparePart(field: string, pieces: readonly Piece[]): PreparedPart {
  const clean = pieces.map((piece) => (typeof piece === "string" ? normalizeBreaks(wellFormed(piece)) : piece));
  const segments = clean.map((piece) =>
    typeof piece === "string" ? { chunk: encodeChunk(piece), value: undefined } : { chunk: undefined, value: piece },
  );
  const constantChars = clean.reduce((sum, piece) => sum + (typeof piece === "string" ? piece.length : 0), 0);
  return { field, pieces: clean, segments, constantChars };
}

/** CRLF lines; ends as the text ends. */
export function mergePart(part: PreparedPart, data: MergeData): string {
  const state: JoinState = { column: 0, endsBlank: false };
  let out = "";
  let chars = part.constantChars;
  for (const { chunk, value } of part.segments) {
    if (chunk !== undefined) {
      out += join(state, chunk) + chunk.text;
      continue;
    }
    const text = value(data);
    chars += text.length;
    if (chars > RENDERED_CHARS_MAX) refuseSize(part.field);
    if (text.length <= QP_LINE_MAX && QP_PLAIN.test(text)) {
      out += joinPlain(state, text);
      continue;
    }
    // Only together with its neighbours can one tell what these become: half a line break, half a character.
    if (text.includes("\r") || hasLoneSurrogate(text)) return mergeWhole(part, data);
    const encoded = encodeChunk(text);
    out += join(state, encoded) + encoded.text;
  }
  return state.endsBlank ? out + SOFT_BREAK : out;
}

type Segment =
  | { readonly chunk: Chunk; readonly value: undefined }
  | { readonly chunk: undefined; readonly value: (data: MergeData) => string };

/** What `join` does, without a chunk for each of the short plain values that most values are. */
function joinPlain(state: JoinState, text: string): string {
  if (text === "") return "";
  const isBroken = state.column + text.length > QP_LINE_MAX;
  state.column = (isBroken ? 0 : state.column) + text.length;
  state.endsBlank = isBlank(text.charCodeAt(text.length - 1));
  return isBroken ? SOFT_BREAK + text : text;
}

function mergeWhole(part: PreparedPart, data: MergeData): string {
  const text = part.pieces.map((piece) => (typeof piece === "string" ? piece : piece(data))).join("");
  if (text.length > RENDERED_CHARS_MAX) refuseSize(part.field);
  return encodeQuotedPrintable(normalizeBreaks(wellFormed(text)));
}

function refuseSize(field: string): never {
  throw new ComposeRefused(field, `has more than ${RENDERED_CHARS_MAX} characters when filled in`);
}
