// A file into a list: in chunks, each chunk one transaction, so that a killed import loses nothing that was committed and
// is taken up where it was when the same file comes again. While the database works on two chunks, the next is read; so
// three are in memory, however long the list is. One import at a time has its turn in a list.
//
// Most rows are new and plain: they go by COPY straight into the table. What may be double, and what the database should
// judge, goes the careful way.

import { createReadStream, statSync } from "node:fs";
import path from "node:path";
import type { Pool, PoolClient } from "pg";
import { addressProblem, isPlainAddress } from "../mail/address.ts";
import type { ListId } from "../mail/ids.ts";
import { inTransaction } from "../postgres/transaction.ts";
import { createAddressMemory } from "./address-memory.ts";
import type { CsvRow } from "./csv-records.ts";
import { readCsvRows, type CsvBatch, type CsvList } from "./csv-rows.ts";
import { CopyRows } from "./copy-rows.ts";
import { addCarefully, copyQuickly, isDouble } from "./import-store.ts";
import { readCell, type ListColumn } from "./list-columns.ts";
import {
  addUp,
  beginImport,
  endTurn,
  finishImport,
  keepRejected,
  readList,
  rejectedAmong,
  takeTurn,
  waitForTurn,
  type ImportSums,
  type RejectedRow,
} from "./list-store.ts";

export interface ImportCounts {
  /** Rows of the file, without its header: accepted, doubled and rejected together. */
  readonly rows: number;
  /** Became recipients, also by an earlier run that was killed. */
  readonly accepted: number;
  /** Stood in the file before, or in the list already. */
  readonly doubled: number;
  readonly rejected: number;
}

export interface ImportProgress extends ImportCounts {
  readonly bytesRead: number;
  readonly bytesTotal: number;
}

export interface ListImportWish {
  readonly listId: ListId;
  readonly file: string;
  readonly columns: readonly ListColumn[];
  /** Rows that were rejected, in the order of the file. */
  readonly onRejected: (rows: readonly RejectedRow[]) => Promise<void>;
  readonly onProgress: (progress: ImportProgress) => void;
  /** Asked in each chunk's transaction; throws where the import may not go on. */
  readonly mayGoOn?: (client: PoolClient) => Promise<void>;
}

/** Rows of one transaction: enough that its commit does not count, few enough that a kill costs little. */
const CHUNK_ROWS_WANTED = 5_000;
/** Octets of the list in one transaction: rows may be long. */
const CHUNK_BYTES_WANTED = 512 * 1024;
/** Chunks at the database at once: one session does not write as fast as a list is read. */
const CHUNKS_MAX = 2;
/** As much of a rejected row as the report shows. */
const RAW_CHARS_MAX = 500;

export async function importList(pool: Pool, wish: ListImportWish): Promise<ImportCounts> {
  return await inTurn(pool, wish.listId, async () => {
    const { size } = statSync(wish.file);
    const source = `${path.basename(wish.file)}, ${size} octets`;
    const begun = await inTransaction(pool, (client) => beginImport(client, wish.listId, source));
    const list = await readCsvRows(createReadStream(wish.file), CHUNK_ROWS_WANTED);
    // Who has been here before is likely to come again: then the quick way would be tried in vain.
    const isFresh = (await readList(pool, wish.listId)).recipients === 0;
    const pace = { isCareful: !isFresh };
    let counts: ImportCounts = { rows: begun.added, accepted: begun.added, doubled: 0, rejected: 0 };
    const chunks = writeChunks(list.batches, chunkWriter(wish, begun.id, list));
    const take = (chunk: Chunk, before: Promise<unknown>) => takeChunk(pool, wish, begun.id, { chunk, before, pace });
    for await (const taken of severalAtOnce(chunks, take)) {
      await wish.onRejected(taken.rejected);
      counts = addedUp(counts, taken.sums);
      wish.onProgress({ ...counts, bytesRead: taken.bytesRead, bytesTotal: size });
    }
    await finishImport(pool, begun.id);
    return counts;
  });
}

/** Who comes second waits: only when no import is under way does a campaign know how far its list reaches. */
async function inTurn<T>(pool: Pool, listId: ListId, work: () => Promise<T>): Promise<T> {
  const client = await pool.connect();
  try {
    while (!(await takeTurn(client, listId))) await waitForTurn(client);
    const result = await work();
    await endTurn(client, listId);
    client.release();
    return result;
  } catch (error) {
    // The turn ends with its session.
    client.release(true);
    throw error;
  }
}

// ---- chunks ----------------------------------------------------------------------------------------------------------

/** What goes into one transaction, as COPY takes it. */
interface Chunk {
  readonly quick: Buffer;
  readonly quickRows: number;
  readonly careful: readonly Buffer[];
  readonly rejected: readonly RejectedRow[];
  readonly firstLine: number;
  readonly lastLine: number;
  readonly bytesRead: number;
}

interface Taken {
  readonly sums: ImportSums;
  readonly rejected: readonly RejectedRow[];
  readonly bytesRead: number;
}

/** Batches as the file is read are small; what a transaction takes is put together from several. */
async function* writeChunks(
  batches: AsyncIterable<CsvBatch>,
  write: (batch: CsvBatch) => Chunk,
): AsyncGenerator<Chunk> {
  let rows: CsvRow[] = [];
  let rejects: CsvBatch["rejects"][number][] = [];
  let bytesRead = 0;
  let bytesGiven = 0;
  for await (const batch of batches) {
    rows.push(...batch.rows);
    rejects.push(...batch.rejects);
    bytesRead = batch.bytesRead;
    if (rows.length < CHUNK_ROWS_WANTED && bytesRead - bytesGiven < CHUNK_BYTES_WANTED) continue;
    const chunk = write({ rows, rejects, bytesRead });
    [rows, rejects, bytesGiven] = [[], [], bytesRead];
    yield chunk;
  }
  if (rows.length + rejects.length > 0) yield write({ rows, rejects, bytesRead });
}

function chunkWriter(wish: ListImportWish, importId: number, { addressColumn, delimiter }: CsvList) {
  const { listId, columns } = wish;
  const memory = createAddressMemory();
  const writeData = dataWriter(columns);
  const zoneColumn = columns.findIndex(({ type }) => type === "time_zone");
  return ({ rows, rejects, bytesRead }: CsvBatch): Chunk => {
    const quick = new CopyRows(listId, importId);
    const careful = new CopyRows(listId, importId);
    const rejected: RejectedRow[] = [...rejects];
    for (const { line, fields } of rows) {
      const address = fields[addressColumn]!.trim();
      const isPlain = isPlainAddress(address);
      const problem = isPlain ? undefined : addressProblem(address);
      const data = problem === undefined ? writeData(fields) : { problem };
      if ("problem" in data) {
        rejected.push({ line, raw: rawOf(fields, delimiter), reason: data.problem });
        continue;
      }
      const zone = zoneColumn === -1 ? "" : fields[zoneColumn]!.trim();
      const timeZone = zone === "" ? undefined : zone;
      const isNew = isPlain && memory.isNew(address);
      (isNew ? quick : careful).add({ line, address, data: data.json, timeZone });
    }
    return {
      quick: quick.take(),
      quickRows: quick.count,
      careful: careful.count === 0 ? [] : [careful.take()],
      rejected: rejected.toSorted((a, b) => a.line - b.line),
      // Each of the two is in the order of the file.
      firstLine: Math.min(rows[0]?.line ?? Infinity, rejects[0]?.line ?? Infinity),
      lastLine: Math.max(rows.at(-1)?.line ?? 0, rejects.at(-1)?.line ?? 0),
      bytesRead,
    };
  };
}

/** The names are the same in every row: written once, and each row only puts its values between them. */
function dataWriter(
  columns: readonly ListColumn[],
): (fields: readonly string[]) => { json: string } | { problem: string } {
  const names = columns.map(({ name }, index) => `${index === 0 ? "{" : ","}${JSON.stringify(name)}:`);
  return (fields) => {
    let json = "";
    for (let index = 0; index < columns.length; index++) {
      const { type, name } = columns[index]!;
      if (type === "text") {
        json += names[index]! + JSON.stringify(fields[index]);
        continue;
      }
      const cell = readCell(type, fields[index]!);
      if ("problem" in cell) return { problem: `${name}: ${cell.problem}` };
      json += names[index]! + cell.json;
    }
    return { json: `${json}}` };
  };
}

/** A copy: a piece of a text would keep the whole text in memory. */
function rawOf(fields: readonly string[], delimiter: string): string {
  return Buffer.from(fields.join(delimiter).slice(0, RAW_CHARS_MAX)).toString();
}

/** Results in the order of the chunks. On an error the others are waited for, so that nothing goes on behind it. */
async function* severalAtOnce(
  chunks: AsyncIterable<Chunk>,
  take: (chunk: Chunk, before: Promise<unknown>) => Promise<Taken>,
): AsyncGenerator<Taken> {
  const underWay: Promise<Taken>[] = [];
  let before: Promise<unknown> = Promise.resolve();
  try {
    for await (const chunk of chunks) {
      // This one was read meanwhile; it waits here for its turn.
      if (underWay.length >= CHUNKS_MAX) yield await underWay.shift()!;
      const taking = take(chunk, before);
      taking.catch(() => {}); // Heard when it is awaited.
      underWay.push(taking);
      before = taking;
    }
    while (underWay.length > 0) yield await underWay.shift()!;
  } finally {
    await Promise.allSettled(underWay);
  }
}

// ---- the database ----------------------------------------------------------------------------------------------------

async function takeChunk(
  pool: Pool,
  wish: ListImportWish,
  importId: number,
  given: { readonly chunk: Chunk; readonly before: Promise<unknown>; readonly pace: { isCareful: boolean } },
): Promise<Taken> {
  const { chunk, before, pace } = given;
  if (!pace.isCareful) {
    try {
      // Who may be double waits until the chunk before is in: of two rows the first one counts.
      return await writeChunk(pool, wish, importId, chunk, before);
    } catch (error) {
      if (!isDouble(error)) throw error;
      // Somebody was in the list before; so others will be.
      pace.isCareful = true;
    }
  }
  const careful = [chunk.quick, ...chunk.careful];
  return await writeChunk(pool, wish, importId, { ...chunk, quickRows: 0, careful });
}

/** All of the chunk, or nothing of it. */
async function writeChunk(
  pool: Pool,
  wish: ListImportWish,
  importId: number,
  chunk: Chunk,
  before?: Promise<unknown>,
): Promise<Taken> {
  const { quick, quickRows, careful, firstLine, lastLine, bytesRead } = chunk;
  return await inTransaction(pool, async (client) => {
    await wish.mayGoOn?.(client);
    if (quickRows > 0) await copyQuickly(client, [quick]);
    if (careful.length > 0) await before;
    const judged = careful.length === 0 ? NOTHING : await addCarefully(client, importId, careful);
    await keepRejected(client, importId, chunk.rejected);
    const sums = {
      added: quickRows + judged.added,
      doubled: judged.doubled,
      rejected: chunk.rejected.length + judged.rejected,
    };
    await addUp(client, importId, sums);
    const rejected =
      judged.rejected === 0 ? chunk.rejected : await rejectedAmong(client, importId, firstLine, lastLine);
    return { sums, rejected, bytesRead };
  });
}

const NOTHING: ImportSums = { added: 0, doubled: 0, rejected: 0 };

function addedUp({ rows, accepted, doubled, rejected }: ImportCounts, sums: ImportSums): ImportCounts {
  return {
    rows: rows + sums.added + sums.doubled + sums.rejected,
    accepted: accepted + sums.added,
    doubled: doubled + sums.doubled,
    rejected: rejected + sums.rejected,
  };
}
