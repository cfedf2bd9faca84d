// The listener below the HTTP door. Connections are counted before anything is read from them: beyond the limits one is told
// 503 and closed, so that whoever opens thousands costs no memory and others still get in. Whoever is slow with a header or
// a body, or says nothing at all, is told 408 and closed.

import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Clock } from "../../platform/clock.ts";
import type { HttpConfig } from "../../platform/config.ts";
import { networkOf } from "../../senders/refused-attempts.ts";
import {
  CONNECTIONS_LOOK_MS,
  HEADER_BYTES_MAX,
  HEADER_MS_MAX,
  KEEP_ALIVE_MS,
  LIST_BODY_MS_MAX,
} from "./http-limits.ts";
import { Problem, problemBody } from "./problem.ts";

export function createGatedServer(listener: RequestListener, limits: HttpConfig): Server {
  const server = createServer(
    {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: Math.min(HEADER_MS_MAX, limits.requestMsMax),
      // Of the slowest route; `boundBodyTime` holds each to its own.
      requestTimeout: Math.max(limits.requestMsMax, LIST_BODY_MS_MAX),
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: CONNECTIONS_LOOK_MS,
    },
    listener,
  );
  const take = server.listeners("connection") as ((this: Server, socket: Socket) => void)[];
  server.removeAllListeners("connection");
  const admits = createGate(limits);
  server.on("connection", (socket: Socket) => {
    if (admits(socket)) for (const listen of take) listen.call(server, socket);
    else refuseConnection(socket);
  });
  return server;
}

/** A body that is not there in time: its sender is told so and closed. */
export function boundBodyTime(request: IncomingMessage, response: ServerResponse, msMax: number, clock: Clock): void {
  const { headers, socket } = request;
  if (headers["content-length"] === undefined && headers["transfer-encoding"] === undefined) return;
  const timer = clock.after(msMax, () => {
    if (request.complete) return;
    if (response.headersSent) socket.destroy();
    else endWith(socket, tooSlow());
  });
  request.once("close", () => timer.cancel());
}

/** What the parser could not read; it has no request that could be answered. */
export function answerUnreadable(error: Error & { readonly code?: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || socket.destroyed) return void socket.destroy();
  endWith(socket, unreadable(error.code ?? ""));
}

function unreadable(code: string): Problem {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return new Problem("header_too_large", `the header has more than ${HEADER_BYTES_MAX} octets`, {
        hint: "Send a shorter one.",
      });
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return tooSlow();
    default:
      return new Problem("bad_request", "the request is no HTTP that can be read", {
        hint: "Check what speaks to this port.",
      });
  }
}

function tooSlow(): Problem {
  return new Problem("request_timeout", "the request was not there in time", {
    hint: "Send it faster, or in smaller parts.",
  });
}

function createGate({ connectionsMax, connectionsPerClientMax }: HttpConfig): (socket: Socket) => boolean {
  const byClient = new Map<string, number>();
  let open = 0;
  return (socket) => {
    const client = networkOf(socket.remoteAddress ?? "");
    const ofClient = byClient.get(client) ?? 0;
    if (open >= connectionsMax || ofClient >= connectionsPerClientMax) return false;
    open++;
    byClient.set(client, ofClient + 1);
    socket.once("close", () => {
      open--;
      const left = byClient.get(client)! - 1;
      if (left === 0) byClient.delete(client);
      else byClient.set(client, left);
    });
    return true;
  };
}

function refuseConnection(socket: Socket): void {
  // Not read, and not waited for: a reset on the way is its problem.
  socket.on("error", () => {});
  endWith(
    socket,
    new Problem("too_many_connections", "too many connections are open", {
      hint: "Use one connection for many requests, and close those that you do not need.",
    }),
  );
}

function endWith(socket: Socket, problem: Problem): void {
  const body = JSON.stringify(problemBody(problem));
  const retryAfter = problem.retryAfterS === undefined ? "" : `Retry-After: ${problem.retryAfterS}\r\n`;
  socket.end(
    `HTTP/1.1 ${problem.status} ${STATUS_WORDS[problem.status] ?? "Error"}\r\nContent-Type: application/problem+json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n${retryAfter}Connection: close\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}

const STATUS_WORDS: Readonly<Record<number, string>> = {
  400: "Bad Request",
  408: "Request Timeout",
  431: "Request Header Fields Too Large",
  503: "Service Unavailable",
};
