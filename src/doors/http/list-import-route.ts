// `POST /lists/{name}/imports`: a CSV file into a kept list. The body is written to the disk as it comes and read from there
// once it is whole, so that no half of a list is imported and no list is held in memory. Its file is removed when the import
// has ended, also when nobody waits for the answer any more.

import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Readable } from "node:stream";
import type { Pool } from "pg";
import { COLUMN_TYPES, type ColumnType } from "../../campaigns/list-columns.ts";
import type { RejectedRow } from "../../campaigns/list-store.ts";
import { importKeptList, type KeptListImported, type KeptListWish } from "../../campaigns/keep-list.ts";
import type { CampaignRefused } from "../../campaigns/check-campaign.ts";
import { isListName, LIST_NAME_EXPECTED } from "../../mail/list-name.ts";
import { callerOf } from "./authorize.ts";
import type { HttpApi } from "./http-api.ts";
import {
  LIST_BODY_MS_MAX,
  LIST_BYTES_MAX,
  LIST_IMPORT_MS_MAX,
  LIST_IMPORTS_OPEN_MAX,
  REJECTED_ROWS_SHOWN_MAX,
} from "./http-limits.ts";
import type { NameParams } from "./lane-schema.ts";
import { IMPORT_QUERY, IMPORTED, LIST_CSV, LIST_PARAMS, type ImportQuery } from "./list-schema.ts";
import { createOpenLimit, type OpenLimit } from "./open-limit.ts";
import { createPatience } from "./patience.ts";
import { PROBLEM_ANSWERS } from "./problem-schema.ts";
import { Problem } from "./problem.ts";
import { receiveFile, tooLarge, type UploadFile } from "./upload-file.ts";

/** In a scope of its own: here, and nowhere else, bodies are CSV. */
export function addListImportRoute(server: FastifyInstance, api: HttpApi): void {
  takeCsv(server);
  // What still comes of a file that was refused is read by nobody.
  server.addHook("onError", async (_, reply) => void reply.header("connection", "close"));
  const imports = createOpenLimit(LIST_IMPORTS_OPEN_MAX, "other lists are being imported");
  server.post<{ Params: NameParams; Querystring: ImportQuery }>(
    "/lists/:name/imports",
    {
      config: { scopes: ["operate"], isUpload: true, bodyMsMax: LIST_BODY_MS_MAX },
      schema: {
        summary: "Import a CSV file into a kept list, which is made if there is none of that name",
        params: LIST_PARAMS,
        querystring: IMPORT_QUERY,
        body: LIST_CSV,
        response: { 200: IMPORTED, ...PROBLEM_ANSWERS },
      },
    },
    (request) => importBody(request, api, imports),
  );
}

function takeCsv(server: FastifyInstance): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser("*", async ({ headers }: FastifyRequest, body: Readable) => {
    requireCsv(headers["content-type"] ?? "");
    if (Number(headers["content-length"] ?? 0) > LIST_BYTES_MAX) throw tooLarge(LIST_BYTES_MAX);
    return body;
  });
}

function requireCsv(contentType: string): void {
  const [type, ...parameters] = contentType.split(";").map((part) => part.trim().toLowerCase());
  const isOtherCharset = parameters.some((each) => each.startsWith("charset=") && !/^charset="?utf-?8"?$/.test(each));
  if (type === "text/csv" && !isOtherCharset) return;
  throw new Problem("not_csv", "the body is not sent as CSV in UTF-8", { hint: "Send Content-Type: text/csv." });
}

type ImportRequest = FastifyRequest<{ Params: NameParams; Querystring: ImportQuery }>;

async function importBody(request: ImportRequest, api: HttpApi, imports: OpenLimit) {
  const { entry } = callerOf(request);
  const { name } = request.params;
  const types = readTypes(request.query.types);
  requireListName(name);
  const body = bodyOf(request);
  const giveBack = imports.take();
  const patience = createPatience(api.clock, LIST_IMPORT_MS_MAX);
  const upload = await receiveFile(body, api.config.dataDir, LIST_BYTES_MAX).catch((error: unknown) => {
    giveBack();
    throw error;
  });
  const rejected: RejectedRow[] = [];
  const keepFirst = async (rows: readonly RejectedRow[]): Promise<void> =>
    void rejected.push(...rows.slice(0, REJECTED_ROWS_SHOWN_MAX - rejected.length));
  const wish = { name, file: upload.file, types, onRejected: keepFirst, onProgress: () => {} };
  const importing = importAndRemove(entry.longWork, wish, upload).finally(giveBack);
  return importAnswer(upload, await patience.within(importing, AGAIN), rejected);
}

/** Its end is not waited for by everybody, and the file is gone by then all the same. */
async function importAndRemove(pool: Pool, wish: KeptListWish, upload: UploadFile) {
  try {
    return await importKeptList(pool, wish);
  } finally {
    await upload.remove();
  }
}

const AGAIN =
  "What was imported stays, and more may be imported still: send the same file again, and it is taken up where it was.";

function importAnswer(
  { file }: UploadFile,
  answer: KeptListImported | CampaignRefused,
  rejected: readonly RejectedRow[],
) {
  if (answer.kind === "refused") {
    // The file's name is ours.
    const problems = answer.problems.map((problem) => problem.replace(`${file}: `, ""));
    throw new Problem("list_refused", problems.join("\n"), { hint: "Nothing was imported. Correct the file." });
  }
  const { name, rows, accepted, doubled, rejected: count } = answer;
  return {
    object: "list_import",
    list: name,
    rows,
    accepted,
    doubled,
    rejected: count,
    rejected_rows: rejected.map(({ line, reason, raw }) => ({ line, reason, raw })),
  } as const;
}

function requireListName(name: string): void {
  if (isListName(name)) return;
  throw new Problem("bad_parameter", "the name in the address cannot be a list's", {
    hint: `A name has ${LIST_NAME_EXPECTED}.`,
  });
}

/** Without a body no parser was asked. */
function bodyOf({ body }: ImportRequest): Readable {
  if (body !== undefined && body !== null) return body as unknown as Readable;
  throw new Problem("list_refused", "the body is empty", { hint: "Send the file, the header row first." });
}

/** `amount:number,due:date`. A column's name has no colon and no comma. */
function readTypes(text: string | undefined): Readonly<Record<string, ColumnType>> {
  if (text === undefined || text === "") return {};
  return Object.fromEntries(
    text.split(",").map((each) => {
      const [column = "", type = "", ...more] = each.split(":").map((part) => part.trim());
      if (column !== "" && isColumnType(type) && more.length === 0) return [column, type];
      throw new Problem("bad_parameter", 'parameter "types" cannot be read', {
        hint: `Give column:type, such as amount:number,due:date. A type is one of ${COLUMN_TYPES.join(", ")}.`,
      });
    }),
  );
}

function isColumnType(text: string): text is ColumnType {
  return (COLUMN_TYPES as readonly string[]).includes(text);
}
