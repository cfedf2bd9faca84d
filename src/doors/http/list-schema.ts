// The shapes of lists of recipients and of what an import answers.

import { COLUMN_TYPES } from "../../campaigns/list-columns.ts";
import { LIST_NAME_EXPECTED } from "../../mail/list-name.ts";
import { Type, type Static } from "../../platform/plain-schema.ts";
import { LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX, REJECTED_ROWS_SHOWN_MAX } from "./http-limits.ts";

export const LISTS_QUERY = Type.Object(
  {
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: LIST_LIMIT_MAX, description: `by default ${LIST_LIMIT_DEFAULT}` }),
    ),
    after: Type.Optional(
      Type.String({ pattern: "^[A-Za-z0-9._-]{1,64}$", description: "the name of the last list of the page before" }),
    ),
  },
  { additionalProperties: false },
);
export type ListsQuery = Static<typeof LISTS_QUERY>;

export const LIST_PARAMS = Type.Object({ name: Type.String({ description: LIST_NAME_EXPECTED }) });

const COLUMN = Type.Object({
  name: Type.String({ description: "as a template names it" }),
  original: Type.String({ description: "as the file names it" }),
  type: Type.String({ description: `${COLUMN_TYPES.join(", ")}, locale or time_zone` }),
  is_address: Type.Boolean(),
});

const RECIPIENT_LIST = {
  name: Type.String(),
  columns: Type.Array(COLUMN),
  created_at: Type.String(),
  recipients: Type.Integer(),
  doubled: Type.Integer({ description: "rows of its files that were in the list already" }),
  rejected: Type.Integer({ description: "rows of its files that cannot be mailed" }),
};

export const LIST_TOLD = Type.Object({ object: Type.Literal("recipient_list"), ...RECIPIENT_LIST });
export const LISTS = Type.Object({
  object: Type.Literal("list"),
  has_more: Type.Boolean(),
  data: Type.Array(Type.Object(RECIPIENT_LIST)),
});

export const IMPORT_QUERY = Type.Object(
  {
    types: Type.Optional(
      Type.String({
        description: `of columns that are no text, such as amount:number,due:date; one of ${COLUMN_TYPES.join(", ")}`,
      }),
    ),
  },
  { additionalProperties: false },
);
export type ImportQuery = Static<typeof IMPORT_QUERY>;

export const LIST_CSV = {
  content: {
    "text/csv": {
      schema: Type.Unknown({ description: "in UTF-8, the header row first; one column holds the address" }),
    },
  },
};

export const IMPORTED = Type.Object({
  object: Type.Literal("list_import"),
  list: Type.String(),
  rows: Type.Integer({ description: "accepted, doubled and rejected together" }),
  accepted: Type.Integer({ description: "became recipients" }),
  doubled: Type.Integer({ description: "were in the list already: their data is renewed" }),
  rejected: Type.Integer(),
  rejected_rows: Type.Array(
    Type.Object({ line: Type.Integer(), reason: Type.String(), raw: Type.String({ description: "what stood there" }) }),
    { description: `the first ${REJECTED_ROWS_SHOWN_MAX}` },
  ),
});
