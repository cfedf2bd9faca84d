// The shape of every answer that is not what was asked for, and of a batch's, which holds such answers for its items.

import { Type, type Static } from "../../platform/plain-schema.ts";
import { PROBLEMS, type ProblemCode } from "./problem.ts";

const CODE = Type.Enum(Object.keys(PROBLEMS) as ProblemCode[]);

const WORDS = {
  status: Type.Integer(),
  code: CODE,
  detail: Type.String({ description: "what is wrong" }),
  hint: Type.String({ description: "what to do" }),
  field: Type.Optional(Type.String({ description: "of the body's fields, the one to blame" })),
  name: Type.String({ description: "Resend's name for it" }),
  message: Type.String({ description: "detail and hint" }),
  statusCode: Type.Integer(),
};

const ITEM_PROBLEM = Type.Object({ index: Type.Integer({ description: "in the list, from 0" }), ...WORDS });

/** Known to the server by its name, so that the OpenAPI document has it once. */
export const PROBLEM = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    ...WORDS,
    errors: Type.Optional(Type.Array(ITEM_PROBLEM, { description: "of a batch: what is wrong with each item" })),
  },
  { $id: "Problem", title: "Problem" },
);

export const BATCH_ANSWER = Type.Object({
  data: Type.Array(
    Type.Object({
      id: Type.String({ description: "sub_ and a number" }),
      index: Type.Integer({ description: "in the list that was sent, from 0" }),
    }),
  ),
  errors: Type.Optional(Type.Array(ITEM_PROBLEM, { description: "the emails that were refused" })),
});
export type BatchAnswerBody = Static<typeof BATCH_ANSWER>;

/** In the answers of a route, for every status that has no schema of its own. */
export const PROBLEM_ANSWERS = {
  "4xx": { description: "A problem", content: { "application/problem+json": { schema: { $ref: "Problem#" } } } },
  "5xx": { description: "A problem", content: { "application/problem+json": { schema: { $ref: "Problem#" } } } },
};
