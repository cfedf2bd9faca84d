// What the front tells without a key: metrics, health, and explain for whoever is on this machine. Every answer is made from
// what the front has in mind, so it is there also while the database stands still.

import type { FastifyInstance, FastifyRequest } from "fastify";
import { isIP } from "node:net";
import { Type } from "../../platform/plain-schema.ts";
import type { ExplainReport, Question } from "../../reports/explain.ts";
import type { ReadQuestion } from "../../reports/explain-question.ts";
import { PROBLEM_ANSWERS } from "./problem-schema.ts";
import { Problem, PROBLEMS, type ProblemCode } from "./problem.ts";

export interface HttpAnswers {
  /** In Prometheus' text format. */
  metrics(): Promise<string>;
  /** Undefined: the database answers. */
  silentSince(): string | undefined;
  readQuestion(kind: string | undefined, name: string | undefined): ReadQuestion;
  /** Undefined: there is no such message. */
  explain(question: Question): Promise<ExplainReport | undefined>;
}

export function addTellingRoutes(server: FastifyInstance, answers: HttpAnswers, isOpen: () => boolean): void {
  server.get("/health/live", { schema: { summary: "Whether the process is alive", response: { 200: LIVE } } }, () => ({
    status: "alive",
  }));
  server.get(
    "/health/ready",
    { schema: { summary: "Whether it can take mail", response: { 200: READY, 503: NOT_READY } } },
    (_, reply) => {
      const since = answers.silentSince();
      if (since === undefined && isOpen()) return { status: "ready" };
      return reply
        .code(503)
        .send({ status: since === undefined ? "starting" : "database_silent", since: since ?? null });
    },
  );
  server.get("/metrics", { schema: { summary: "Figures for Prometheus" } }, async (_, reply) =>
    reply.type(METRICS_TYPE).send(await answers.metrics()),
  );
  server.get<{ Querystring: ExplainQuery }>(
    "/explain",
    {
      schema: {
        summary: "What limits now, for programs of this machine",
        querystring: EXPLAIN_QUERY,
        response: PROBLEM_ANSWERS,
      },
    },
    async (request) => {
      if (!isFromHere(request)) {
        throw new Problem("not_from_here", "only this machine may ask that", { hint: "Run `postlane explain` there." });
      }
      return await answerExplain(answers, request.query);
    },
  );
}

const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

const LIVE = Type.Object({ status: Type.Literal("alive") });
const READY = Type.Object({ status: Type.Literal("ready") });
const NOT_READY = Type.Object({
  status: Type.Enum(["starting", "database_silent"]),
  since: Type.Union([Type.String(), Type.Null()]),
});

interface ExplainQuery {
  readonly kind?: string;
  readonly name?: string;
}

const EXPLAIN_QUERY = Type.Object({ kind: Type.Optional(Type.String()), name: Type.Optional(Type.String()) });

async function answerExplain(answers: HttpAnswers, { kind, name }: ExplainQuery): Promise<ExplainReport> {
  const asked = answers.readQuestion(kind, name);
  if (asked.kind === "refused") {
    const hint = "`postlane explain --help` shows what can be asked.";
    throw new Problem(isCatalogued(asked.code) ? asked.code : "usage", asked.problem, { hint });
  }
  const report = await answers.explain(asked.question);
  if (report !== undefined) return report;
  throw new Problem("message_not_found", `There is no ${name ?? ""} in this database.`, { hint: "Check the id." });
}

function isCatalogued(code: string): code is ProblemCode {
  return Object.hasOwn(PROBLEMS, code);
}

/**
 * From this machine, by whatever address it listens on. A page in a browser on this machine that was led here by a name
 * of its own says that name, and is not answered.
 */
function isFromHere({ socket, host }: FastifyRequest): boolean {
  const { remoteAddress: from, localAddress: to } = socket;
  if (from === undefined || !(isLoopback(from) || from === to)) return false;
  const name = host.replace(/:\d+$/, "").replaceAll(/[[\]]/g, "");
  return isIP(name) !== 0 || name === "localhost";
}

function isLoopback(address: string): boolean {
  return /^(?:::ffff:)?127\./.test(address) || address === "::1";
}
