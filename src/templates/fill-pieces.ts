// Pieces and data to one text, for whatever is not a body: subjects, headers, previews. Ends in an error when the text
// gets longer than a part may be. `file` is what the error names.

import {
  type Block,
  type MergeData,
  type MergeScope,
  type Piece,
  RENDERED_CHARS_MAX,
  TemplateRefused,
} from "./compiled-template.ts";
import { openScope } from "./merge-scope.ts";

export function fillPieces(file: string, pieces: readonly Piece[], data: MergeData): string {
  const filled = { file, text: "" };
  putPieces(filled, pieces, openScope(data));
  return filled.text;
}

interface Filled {
  readonly file: string;
  text: string;
}

function putPieces(filled: Filled, pieces: readonly Piece[], scope: MergeScope): void {
  for (const piece of pieces) {
    if (typeof piece === "object") putBlock(filled, piece, scope);
    else filled.text += typeof piece === "string" ? piece : piece(scope);
    if (filled.text.length > RENDERED_CHARS_MAX) refuseSize(filled.file);
    if (scope.isStopped) return;
  }
}

function putBlock(filled: Filled, block: Block, scope: MergeScope): void {
  block.run(scope, (body) => putPieces(filled, block.bodies[body]!, scope));
}

function refuseSize(file: string): never {
  const message = `has more than ${RENDERED_CHARS_MAX} characters when filled in`;
  throw new TemplateRefused([{ file, line: 1, column: 1, message }]);
}
