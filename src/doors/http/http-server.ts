// The front's HTTP, put together: what is told without a key, the API behind keys, and what holds for all of it: bodies are
// JSON and bounded, and every answer that is not what was asked for is a problem that says what to do.

import fastify, { type FastifyInstance, type FastifyRequest } from "fastify";
import { answerProblem } from "./answer-problem.ts";
import { requireKeys } from "./authorize.ts";
import { addBatchRoute } from "./batch-route.ts";
import { createBodyBudget } from "./body-budget.ts";
import { addEmailRoutes } from "./email-routes.ts";
import { answerUnreadable, boundBodyTime, createGatedServer } from "./gated-server.ts";
import type { HttpApi } from "./http-api.ts";
import { BATCH_JSON_VALUES_MAX, JSON_VALUES_MAX, OPEN_BATCH_BODIES_MAX } from "./http-limits.ts";
import { readJson, refuseUnkeepable } from "./json-body.ts";
import { addCampaignRoutes } from "./campaign-routes.ts";
import { addCampaignWorkRoutes } from "./campaign-work-routes.ts";
import { addLaneRoutes, addOutletRoutes } from "./lane-routes.ts";
import { addListImportRoute } from "./list-import-route.ts";
import { addListRoutes } from "./list-routes.ts";
import { addOpenApiRoute, describeRoutes } from "./openapi.ts";
import { addPeopleRoute } from "./people-route.ts";
import { addPreflightRoutes } from "./preflight-routes.ts";
import { addReportRoute } from "./report-route.ts";
import { Problem } from "./problem.ts";
import { addConfirmRoutes } from "../confirm/confirm-routes.ts";
import { addUnsubscribeRoutes } from "../unsubscribe/unsubscribe-routes.ts";
import { addSubscriptionRoutes } from "./subscription-routes.ts";
import { addTemplateRoutes } from "./template-routes.ts";
import { addSuppressionRoutes } from "./suppression-routes.ts";
import { addTellingRoutes, type HttpAnswers } from "./telling-routes.ts";

export function createHttpServer(answers: HttpAnswers, api: HttpApi): FastifyInstance {
  const server = fastify({
    logger: false,
    bodyLimit: api.config.http.bodyBytesMax,
    // Whoever has a request under way gets its answer; `openHttp` bounds how long that may take.
    forceCloseConnections: "idle",
    // What still comes by an open connection is answered, and the connection closed: the stations close after the door.
    return503OnClosing: false,
    routerOptions: { maxParamLength: 100 },
    // A schema describes what is taken; it changes nothing.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false, allErrors: false } },
    serverFactory: (listener) => createGatedServer(listener, api.config.http),
    clientErrorHandler: answerUnreadable,
  });
  server.addHook("onRequest", async ({ raw, routeOptions }, reply) =>
    boundBodyTime(raw, reply.raw, routeOptions.config.bodyMsMax ?? api.config.http.requestMsMax, api.clock),
  );
  server.setErrorHandler((error, request, reply) => answerProblem(error, request, reply, api.log));
  server.setNotFoundHandler((request, reply) => answerProblem(NOTHING_HERE, request, reply, api.log));
  readBodies(server);
  describeRoutes(server);
  void server.register(async (open) => {
    addTellingRoutes(open, answers, () => api.entry() !== undefined);
    addOpenApiRoute(open);
  });
  void server.register(async (open) => addUnsubscribeRoutes(open, api));
  void server.register(async (open) => addConfirmRoutes(open, api));
  void server.register(async (keyed) => addApi(keyed, api));
  return server;
}

const NOTHING_HERE = new Problem("not_found", "there is nothing here", {
  hint: "GET /openapi.json has what there is. Check path and method.",
});

function readBodies(server: FastifyInstance): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser(
    "application/json",
    { parseAs: "buffer" },
    async (request: FastifyRequest, bytes: Buffer) => {
      if (request.routeOptions.config.isBatch === true) return readJson(bytes, BATCH_JSON_VALUES_MAX);
      const body = readJson(bytes, JSON_VALUES_MAX);
      refuseUnkeepable(body);
      return body;
    },
  );
}

function addApi(server: FastifyInstance, api: HttpApi): void {
  const budget = createBodyBudget(OPEN_BATCH_BODIES_MAX * api.config.http.batchBodyBytesMax);
  server.addHook("onRoute", ({ schema }) => {
    if (schema !== undefined) schema.security = [{ key: [] }];
  });
  requireKeys(server, api);
  server.addHook("preParsing", async (request, reply) => {
    if (request.routeOptions.config.isUpload === true) return;
    budget.reserve(request.raw, reply.raw, request.routeOptions.bodyLimit);
  });
  // What is read of an email is nobody else's.
  server.addHook("onSend", async (_, reply) => void reply.header("cache-control", "no-store"));
  addEmailRoutes(server, api);
  addBatchRoute(server, api);
  addLaneRoutes(server, api);
  addOutletRoutes(server, api);
  addTemplateRoutes(server);
  addSuppressionRoutes(server, api);
  addSubscriptionRoutes(server, api);
  addListRoutes(server);
  void server.register(async (uploads) => addListImportRoute(uploads, api));
  addCampaignRoutes(server);
  addCampaignWorkRoutes(server, api);
  addPreflightRoutes(server, api);
  addReportRoute(server, api);
  addPeopleRoute(server, api);
}
