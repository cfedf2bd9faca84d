// One part of a merged mail, in quoted-printable: the template's constants, also those inside conditions and loops, are
// encoded once, a recipient's values are encoded as they come, and all are put behind one another with soft breaks where
// a line would get too long. The result decodes to what encoding the whole filled-in text would give.

import {
  type Block,
  type MergeData,
  type MergeScope,
  type Piece,
  RENDERED_CHARS_MAX,
} from "../templates/compiled-template.ts";
import { fillPieces } from "../templates/fill-pieces.ts";
import { openScope } from "../templates/merge-scope.ts";
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
}

export function preparePart(field: string, pieces: readonly Piece[]): PreparedPart {
  const clean = pieces.map(cleanPiece);
  return { field, pieces: clean, segments: clean.map(prepareSegment) };
}

/** CRLF lines; ends as the text ends. */
export function mergePart(part: PreparedPart, data: MergeData): string {
  const merged: Merged = { field: part.field, column: 0, endsBlank: false, out: "", chars: 0, isAmbiguous: false };
  putSegments(merged, part.segments, openScope(data));
  if (merged.isAmbiguous) return mergeWhole(part, data);
  return merged.endsBlank ? merged.out + SOFT_BREAK : merged.out;
}

type Segment =
  | { readonly kind: "constant"; readonly chunk: Chunk; readonly chars: number }
  | { readonly kind: "value"; readonly read: (scope: MergeScope) => string }
  | { readonly kind: "block"; readonly block: Block; readonly bodies: readonly (readonly Segment[])[] };

/** The part as far as it is written. */
interface Merged extends JoinState {
  readonly field: string;
  out: string;
  /** Of the text, before it was encoded. */
  chars: number;
  /** Only together with its neighbors can one tell what a value becomes: half a line break, half a character. */
  isAmbiguous: boolean;
}

function cleanPiece(piece: Piece): Piece {
  if (typeof piece === "string") return normalizeBreaks(wellFormed(piece));
  return typeof piece === "object" ? { ...piece, bodies: piece.bodies.map((body) => body.map(cleanPiece)) } : piece;
}

function prepareSegment(piece: Piece): Segment {
  if (typeof piece === "string") return { kind: "constant", chunk: encodeChunk(piece), chars: piece.length };
  if (typeof piece === "function") return { kind: "value", read: piece };
  return { kind: "block", block: piece, bodies: piece.bodies.map((body) => body.map(prepareSegment)) };
}

function putSegments(merged: Merged, segments: readonly Segment[], scope: MergeScope): void {
  for (const segment of segments) {
    if (segment.kind === "constant") putConstant(merged, segment.chunk, segment.chars);
    else if (segment.kind === "value") putValue(merged, segment.read(scope));
    else segment.block.run(scope, (body) => putSegments(merged, segment.bodies[body]!, scope));
    if (scope.isStopped) return;
  }
}

function putConstant(merged: Merged, chunk: Chunk, chars: number): void {
  count(merged, chars);
  merged.out += join(merged, chunk) + chunk.text;
}

function putValue(merged: Merged, text: string): void {
  if (text === "") return;
  count(merged, text.length);
  if (text.length <= QP_LINE_MAX && QP_PLAIN.test(text)) return putPlain(merged, text);
  if (text.endsWith("\r") || hasLoneSurrogate(text)) merged.isAmbiguous = true;
  const chunk = encodeChunk(normalizeBreaks(text));
  merged.out += join(merged, chunk) + chunk.text;
}

function count(merged: Merged, chars: number): void {
  merged.chars += chars;
  if (merged.chars > RENDERED_CHARS_MAX)
    throw new ComposeRefused(merged.field, `has more than ${RENDERED_CHARS_MAX} characters when filled in`);
}

/** What `join` does, without a chunk for each of the short plain values that most values are. */
function putPlain(merged: Merged, text: string): void {
  const isBroken = merged.column + text.length > QP_LINE_MAX;
  merged.column = (isBroken ? 0 : merged.column) + text.length;
  merged.endsBlank = isBlank(text.charCodeAt(text.length - 1));
  merged.out += isBroken ? SOFT_BREAK + text : text;
}

function mergeWhole(part: PreparedPart, data: MergeData): string {
  return encodeQuotedPrintable(normalizeBreaks(wellFormed(fillPieces(part.field, part.pieces, data))));
}
