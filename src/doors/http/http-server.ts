// The front's HTTP: metrics, health, and explain for whoever is on this machine. Every answer is made from what the front
// has in mind; no route writes anything. What is not one of these paths is 404, also in JSON.

import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { isIP } from "node:net";
import type { ExplainReport, Question } from "../../reports/explain.ts";
import type { ReadQuestion } from "../../reports/explain-question.ts";

export interface HttpAnswers {
  /** In Prometheus' text format. */
  metrics(): Promise<string>;
  /** Undefined: the database answers. */
  silentSince(): string | undefined;
  readQuestion(kind: string | undefined, name: string | undefined): ReadQuestion;
  /** Undefined: there is no such message. */
  explain(question: Question): Promise<ExplainReport | undefined>;
}

/** All that is asked here fits in a line; whoever needs longer for it is no friend. */
const REQUEST_MS_MAX = 5000;
const HEADER_BYTES_MAX = 8192;
const BODY_BYTES_MAX = 1024;
const CONNECTIONS_MAX = 100;
/** Longer than the 15 s between two scrapes, so that one connection serves them. */
const KEEP_ALIVE_MS = 30_000;

export function createHttpServer(answers: HttpAnswers): FastifyInstance {
  const server = fastify({
    logger: false,
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_MS_MAX,
    connectionTimeout: KEEP_ALIVE_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 100 },
    http: { maxHeaderSize: HEADER_BYTES_MAX, headersTimeout: REQUEST_MS_MAX },
  });
  server.server.maxConnections = CONNECTIONS_MAX;
  server.setNotFoundHandler((_, reply) => refuse(reply, 404, "not_found", "There is nothing here."));
  server.setErrorHandler<Error & { readonly statusCode?: number }>((error, _, reply) => {
    const status = error.statusCode ?? 500;
    return refuse(reply, status, status < 500 ? "bad_request" : "failed", error.message);
  });
  server.get("/healthz", () => ({ status: "alive" }));
  server.get("/readyz", (_, reply) => {
    const since = answers.silentSince();
    return since === undefined ? { status: "ready" } : reply.code(503).send({ status: "database_silent", since });
  });
  server.get("/metrics", async (_, reply) => reply.type(METRICS_TYPE).send(await answers.metrics()));
  server.get<{ Querystring: ExplainQuery }>("/explain", { schema: EXPLAIN_SCHEMA }, async (request, reply) => {
    if (!isFromHere(request)) return refuse(reply, 403, "not_from_here", "Only this machine may ask that.");
    return await answerExplain(answers, request.query, reply);
  });
  return server;
}

const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

interface ExplainQuery {
  readonly kind?: string;
  readonly name?: string;
}

const EXPLAIN_SCHEMA = {
  querystring: { type: "object", properties: { kind: { type: "string" }, name: { type: "string" } } },
} as const;

async function answerExplain(answers: HttpAnswers, { kind, name }: ExplainQuery, reply: FastifyReply) {
  const asked = answers.readQuestion(kind, name);
  if (asked.kind === "refused") return refuse(reply, 400, asked.code, asked.problem);
  const report = await answers.explain(asked.question);
  return report ?? refuse(reply, 404, "message_not_found", `There is no ${name ?? ""} in this database.`);
}

function refuse(reply: FastifyReply, status: number, code: string, message: string): FastifyReply {
  return reply.code(status).send({ error: { code, message } });
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
