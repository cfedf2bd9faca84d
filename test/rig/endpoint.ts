// An endpoint for webhooks: an HTTP server on loopback that keeps what it is posted and answers as it is told. Ends with
// the test.

import http from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";

export interface Posted {
  readonly id: string;
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

/** Never: the connection stays open and nothing comes. */
export type EndpointAnswer = number | "never" | { readonly status: number; readonly headers: http.OutgoingHttpHeaders };

export interface Endpoint {
  readonly port: number;
  readonly url: string;
  /** In the order in which they came, whatever was answered. */
  readonly posted: Posted[];
  /** From now on. */
  answer: (posted: Posted) => EndpointAnswer;
  openMost: number;
}

export async function startEndpoint(
  t: TestContext,
  tls?: { readonly key: string; readonly cert: string },
): Promise<Endpoint> {
  let open = 0;
  const server = tls === undefined ? http.createServer() : https.createServer(tls);
  server.on("request", (request: http.IncomingMessage, response: http.ServerResponse) => {
    open++;
    endpoint.openMost = Math.max(endpoint.openMost, open);
    response.on("close", () => open--);
    let body = "";
    request.setEncoding("utf8").on("data", (chunk: string) => (body += chunk));
    request.on("end", () => {
      const { url: path = "", headers } = request;
      const posted = { id: String(headers["webhook-id"]), path, headers, body };
      endpoint.posted.push(posted);
      const answer = endpoint.answer(posted);
      if (answer === "never") return;
      const { status, headers: more } = typeof answer === "number" ? { status: answer, headers: {} } : answer;
      response.writeHead(status, more).end("thank you");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const scheme = tls === undefined ? "http" : "https";
  const endpoint: Endpoint = {
    port,
    url: `${scheme}://127.0.0.1:${port}/hooks`,
    posted: [],
    answer: () => 200,
    openMost: 0,
  };
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return endpoint;
}
