// The OpenAPI 3.1 document, made from the very schemas that the routes check and answer by. docs/reference/openapi.json is a
// copy that a test keeps in step.

import swagger from "@fastify/swagger";
import type { FastifyInstance } from "fastify";
import { readVersion } from "../../platform/version.ts";
import { PROBLEM } from "./problem-schema.ts";

/** Before any route is added: it listens for them. */
export function describeRoutes(server: FastifyInstance): void {
  server.addSchema(PROBLEM);
  void server.register(swagger, {
    // The only schema that is shared.
    refResolver: { buildLocalReference: () => "Problem" },
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Postlane",
        description: "Mail of a website, submitted in Resend's shape. See docs/reference/http.md.",
        version: readVersion(),
      },
      components: {
        securitySchemes: { key: { type: "http", scheme: "bearer", description: "`plk_…`, by `postlane key create`" } },
      },
    },
  });
}

export function addOpenApiRoute(server: FastifyInstance): void {
  server.get("/openapi.json", { schema: { summary: "This document", hide: true } }, (_, reply) =>
    reply.type("application/json; charset=utf-8").send(printOpenApi(server)),
  );
}

/** As it is answered, and as it stands in the documents. */
export function printOpenApi(server: FastifyInstance): string {
  return `${JSON.stringify(server.swagger(), null, 2)}\n`;
}
