// Recipients as COPY takes them in its binary format: nothing to be escaped here, and nothing to be parsed there.
// (PostgreSQL, COPY, "Binary Format".)

const SIGNATURE = Buffer.from("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", "latin1");
const TRAILER = Buffer.from([0xff, 0xff]);
const FIELDS = 6;
const NULL = -1;
/** Field count, six lengths, three numbers. */
const FIXED_BYTES = 2 + FIELDS * 4 + 4 + 4 + 8;
const UTF8_BYTES_MAX = 3;

export interface CopiedRow {
  readonly line: number;
  readonly address: string;
  /** JSON. */
  readonly data: string;
  readonly timeZone: string | undefined;
}

/** In the order of COPIED_COLUMNS. */
export const COPIED_COLUMNS = "(list_id, address, data, time_zone, import_id, line)";

export class CopyRows {
  private readonly listId: number;
  private readonly importId: number;
  private buffer = Buffer.allocUnsafe(64 * 1024);
  private length = 0;
  count = 0;

  constructor(listId: number, importId: number) {
    this.listId = listId;
    this.importId = importId;
  }

  add({ line, address, data, timeZone }: CopiedRow): void {
    this.makeRoom(FIXED_BYTES + UTF8_BYTES_MAX * (address.length + data.length + (timeZone?.length ?? 0)));
    this.length = this.buffer.writeInt16BE(FIELDS, this.length);
    this.int32(4);
    this.int32(this.listId);
    this.text(address);
    this.text(data);
    if (timeZone === undefined) this.int32(NULL);
    else this.text(timeZone);
    this.int32(4);
    this.int32(this.importId);
    this.int32(8);
    this.int32(Math.floor(line / 2 ** 32));
    this.length = this.buffer.writeUInt32BE(line % 2 ** 32, this.length);
    this.count++;
  }

  /** A copy, which takes no more memory than it needs. */
  take(): Buffer {
    return Buffer.from(this.buffer.subarray(0, this.length));
  }

  private int32(value: number): void {
    this.length = this.buffer.writeInt32BE(value, this.length);
  }

  private text(value: string): void {
    const bytes = this.buffer.write(value, this.length + 4);
    this.buffer.writeInt32BE(bytes, this.length);
    this.length += 4 + bytes;
  }

  private makeRoom(bytes: number): void {
    if (this.length + bytes <= this.buffer.length) return;
    const larger = Buffer.allocUnsafe(2 * (this.buffer.length + bytes));
    this.buffer.copy(larger, 0, 0, this.length);
    this.buffer = larger;
  }
}

/** What COPY reads, of rows that `take` gave. */
export function copyStream(...rows: readonly Buffer[]): Buffer {
  return Buffer.concat([SIGNATURE, ...rows, TRAILER]);
}
