// Cuts a stream of octets into physical lines and decodes them as UTF-8. Lines end with LF or CRLF (a CR stays at the
// end of the text, since inside quotes it belongs to the field). A line that is not UTF-8, holds a NUL (which
// PostgreSQL's text cannot keep) or is too long is handed on with its fault. Never holds more than one block of the
// stream and one line of the permitted length.

import { isUtf8 } from "node:buffer";

/** Longest row, in octets; a recipient with all its data is far shorter, an unclosed quote far longer. */
export const rowBytesMax = 64 * 1024;
/** Small chunks are put together, since whole blocks are checked and decoded at once. */
const blockBytesMinDefault = 256 * 1024;
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);
const LF = 0x0a;

export interface Line {
  /** Physical line in the file, from 1. */
  readonly number: number;
  readonly text: string;
  readonly fault: string | undefined;
}

export interface LineBlock {
  readonly lines: readonly Line[];
  /** Octets of the file read so far, for progress. */
  readonly bytesRead: number;
}

export async function* readLines(
  input: AsyncIterable<Uint8Array>,
  blockBytesMin: number = blockBytesMinDefault,
): AsyncGenerator<LineBlock> {
  const cutter = new LineCutter();
  let bytesRead = 0;
  for await (const block of inBlocks(input, blockBytesMin)) {
    bytesRead += block.length;
    yield { lines: cutter.push(block), bytesRead };
  }
  yield { lines: cutter.end(), bytesRead };
}

async function* inBlocks(input: AsyncIterable<Uint8Array>, blockBytesMin: number): AsyncGenerator<Buffer> {
  let chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of input) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes < blockBytesMin) continue;
    yield Buffer.concat(chunks);
    chunks = [];
    bytes = 0;
  }
  if (bytes > 0) yield Buffer.concat(chunks);
}

/** Keeps the beginning of a line whose end has not come; of one that is too long only what a report shows. */
class LineCutter {
  private rest = Buffer.alloc(0);
  private restIsCut = false;
  private isFirst = true;
  private number = 1;

  push(block: Buffer): readonly Line[] {
    const lastBreak = block.lastIndexOf(LF);
    if (lastBreak === -1) {
      this.keep(block);
      return [];
    }
    const lines = this.cut(block.subarray(0, lastBreak));
    this.keep(block.subarray(lastBreak + 1));
    return lines;
  }

  /** What stands behind the last line break. */
  end(): readonly Line[] {
    return this.rest.length === 0 && !this.restIsCut ? [] : this.cut(Buffer.alloc(0));
  }

  private keep(tail: Buffer): void {
    const joined = this.rest.length === 0 ? tail : Buffer.concat([this.rest, tail]);
    this.restIsCut ||= joined.length > rowBytesMax;
    // Copied, so that a few octets do not hold a whole block in memory.
    this.rest = Buffer.from(joined.subarray(0, rowBytesMax));
  }

  private cut(body: Buffer): readonly Line[] {
    if (this.restIsCut) return this.cutBehindLongLine(body);
    const joined = this.rest.length === 0 ? body : Buffer.concat([this.rest, body]);
    this.forgetRest();
    return this.decode(this.withoutBom(joined));
  }

  private cutBehindLongLine(body: Buffer): readonly Line[] {
    const start = this.withoutBom(this.rest).toString();
    const long = { number: this.number++, text: start, fault: tooLong };
    this.forgetRest();
    const firstBreak = body.indexOf(LF);
    return firstBreak === -1 ? [long] : [long, ...this.decode(body.subarray(firstBreak + 1))];
  }

  private forgetRest(): void {
    this.rest = Buffer.alloc(0);
    this.restIsCut = false;
  }

  private withoutBom(bytes: Buffer): Buffer {
    const hasBom = this.isFirst && bytes.subarray(0, BOM.length).equals(BOM);
    this.isFirst = false;
    return hasBom ? bytes.subarray(BOM.length) : bytes;
  }

  /** A block without a fault is decoded as a whole; only otherwise line by line. */
  private decode(bytes: Buffer): readonly Line[] {
    if (isUtf8(bytes) && !bytes.includes(0)) {
      return bytes
        .toString()
        .split("\n")
        .map((text) => ({ number: this.number++, text, fault: isTooLong(text) ? tooLong : undefined }));
    }
    return splitAtBreaks(bytes).map((line) => ({ number: this.number++, text: line.toString(), fault: faultOf(line) }));
  }
}

const tooLong = `longer than ${rowBytesMax} octets`;

/** No UTF-16 unit takes more than three octets, so most texts need no counting. */
export function isTooLong(text: string): boolean {
  return text.length > rowBytesMax || (text.length * 3 > rowBytesMax && Buffer.byteLength(text) > rowBytesMax);
}

function faultOf(line: Buffer): string | undefined {
  if (!isUtf8(line)) return "not valid UTF-8";
  if (line.includes(0)) return "holds a NUL";
  return line.length > rowBytesMax ? tooLong : undefined;
}

function splitAtBreaks(bytes: Buffer): readonly Buffer[] {
  const lines: Buffer[] = [];
  let from = 0;
  for (let at = bytes.indexOf(LF); at !== -1; at = bytes.indexOf(LF, from)) {
    lines.push(bytes.subarray(from, at));
    from = at + 1;
  }
  return [...lines, bytes.subarray(from)];
}
