// Bounds what all bodies together may hold in memory while they are read and worked on, by what their senders announce.
// Beyond it a request is refused for now before its body is read.

import type { IncomingMessage, ServerResponse } from "node:http";
import { Problem } from "./problem.ts";

export interface BodyBudget {
  /** Reserves what the body may hold, until the answer is sent or the client is gone. Throws when there is no room. */
  reserve(request: IncomingMessage, response: ServerResponse, bodyBytesMax: number): void;
}

export function createBodyBudget(bytesMax: number): BodyBudget {
  let open = 0;
  return {
    reserve(request, response, bodyBytesMax) {
      const bytes = announcedBytes(request, bodyBytesMax);
      if (open + bytes > bytesMax) {
        throw new Problem("busy", "the bodies of other requests fill the memory that is meant for them", {
          hint: "Send it again in a moment.",
        });
      }
      open += bytes;
      response.once("close", () => (open -= bytes));
    },
  };
}

/** Whoever does not say how much comes may send as much as is taken. */
function announcedBytes({ headers }: IncomingMessage, bodyBytesMax: number): number {
  if (headers["transfer-encoding"] !== undefined) return bodyBytesMax;
  const bytes = Number(headers["content-length"] ?? 0);
  return Number.isFinite(bytes) ? Math.min(bytes, bodyBytesMax) : bodyBytesMax;
}
