// Posts a body to a URL of the site's, over real sockets: what a webhook needs and no more. Every address that is
// connected to is asked for permission after it was looked up, so a name that leads elsewhere by now leads nowhere; no
// redirect is followed; certificates are verified whatever the environment says; the answer's body is thrown away, and
// all of it ends in time.

import { lookup as systemLookup, type LookupAddress } from "node:dns";
import http from "node:http";
import https from "node:https";
import { isIP, type LookupFunction } from "node:net";

export interface PostRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export type PostAnswer =
  | { readonly kind: "answered"; readonly status: number }
  /** Nothing came, or nothing went; in words. */
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "aborted" };

export interface Poster {
  /** Never throws. */
  post(request: PostRequest, signal: AbortSignal): Promise<PostAnswer>;
  /** Ends the connections that are kept. */
  close(): void;
}

interface PosterOptions {
  /** May this address, to which that host of a URL leads, be connected to? */
  readonly isReachable: (host: string, address: string) => boolean;
  /** From the start to the answer's head, and once more to its end. */
  readonly timeoutMs: number;
  /** All addresses of a host; otherwise the system's answer. */
  readonly lookup?: (host: string) => Promise<readonly LookupAddress[]>;
  /** Certificates in PEM to trust in place of the system's. */
  readonly ca?: string;
}

/** An idle connection is given up before servers usually do that (5 s), so that few are lost just as they are used again. */
const IDLE_MS_MAX = 4000;
const IDLE_CONNECTIONS_MAX = 4;
/** Of the answer's body, which is read to use the connection again, and not looked at. */
const ANSWER_BYTES_MAX = 64 * 1024;
const HEADER_BYTES_MAX = 16 * 1024;

class NotReachable extends Error {}
/** A kept connection that the server had closed as we used it again. */
class ConnectionStale extends Error {}

export function createPoster({ isReachable, timeoutMs, lookup = lookUp, ca }: PosterOptions): Poster {
  const kept = { keepAlive: true, timeout: IDLE_MS_MAX, maxFreeSockets: IDLE_CONNECTIONS_MAX };
  const agents = {
    http: new http.Agent(kept),
    https: new https.Agent({
      ...kept,
      rejectUnauthorized: true,
      minVersion: "TLSv1.2",
      ...(ca === undefined ? {} : { ca }),
    }),
  };
  const checked: LookupFunction = (host, options, done) => {
    lookup(host).then(
      (found) => {
        const addresses = found.filter(({ address }) => isReachable(host, address));
        if (addresses[0] === undefined) done(refusal(host, found), "", 0);
        else if (options.all === true) done(null, addresses);
        else done(null, addresses[0].address, addresses[0].family);
      },
      (error: unknown) => done(error as NodeJS.ErrnoException, "", 0),
    );
  };
  const send = (request: PostRequest, signal: AbortSignal): Promise<PostAnswer> => {
    const url = new URL(request.url);
    const host = url.hostname.replace(/^\[|\]$/g, "");
    // Of an address nothing is looked up.
    if (isIP(host) !== 0 && !isReachable(host, host)) return Promise.resolve(failed(refusal(host, [])));
    const isTls = url.protocol === "https:";
    return exchange(isTls ? https.request : http.request, request, {
      agent: isTls ? agents.https : agents.http,
      lookup: checked,
      signal,
      timeoutMs,
    });
  };
  return {
    async post(request, signal) {
      try {
        return await send(request, signal).catch((error: unknown) => {
          if (error instanceof ConnectionStale) return send(request, signal);
          throw error;
        });
      } catch (error) {
        return signal.aborted ? { kind: "aborted" } : failed(error);
      }
    },
    close() {
      agents.http.destroy();
      agents.https.destroy();
    },
  };
}

function exchange(
  open: typeof http.request,
  { url, headers, body }: PostRequest,
  given: {
    readonly agent: http.Agent;
    readonly lookup: LookupFunction;
    readonly signal: AbortSignal;
    readonly timeoutMs: number;
  },
): Promise<PostAnswer> {
  const { agent, lookup, signal, timeoutMs } = given;
  return new Promise((resolve, reject) => {
    const length = { "content-length": String(Buffer.byteLength(body)) };
    const options = { method: "POST", headers: { ...headers, ...length }, agent, lookup, signal };
    const request = open(url, { ...options, maxHeaderSize: HEADER_BYTES_MAX });
    const late = (): void => void request.destroy(new Error(`no answer within ${timeoutMs / 1000} s`));
    let timer = setTimeout(late, timeoutMs);
    request.on("response", (response) => {
      clearTimeout(timer);
      timer = setTimeout(late, timeoutMs);
      resolve({ kind: "answered", status: response.statusCode ?? 0 });
      throwAway(response);
    });
    request.on("error", (error: NodeJS.ErrnoException) => {
      const isStale = request.reusedSocket && error.code === "ECONNRESET";
      reject(isStale ? new ConnectionStale(error.message) : error);
    });
    request.on("close", () => clearTimeout(timer));
    request.end(body);
  });
}

function throwAway(response: http.IncomingMessage): void {
  let bytes = 0;
  response.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) response.destroy();
  });
  response.on("error", () => {});
}

function lookUp(host: string): Promise<readonly LookupAddress[]> {
  return new Promise((resolve, reject) => {
    systemLookup(host, { all: true }, (error, addresses) => (error === null ? resolve(addresses) : reject(error)));
  });
}

function refusal(host: string, found: readonly LookupAddress[]): Error {
  const led =
    found.length === 0
      ? host
      : `${host} (${found
          .map(({ address }) => address)
          .slice(0, 4)
          .join(", ")})`;
  return new NotReachable(`${led} is inside this machine or a private network, and not in webhooks.allow`);
}

function failed(error: unknown): PostAnswer {
  return { kind: "failed", reason: reasonOf(error) };
}

/** Node tries every address of a host, and says nothing but an empty AggregateError. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join("; ");
  return error instanceof Error ? error.message : String(error);
}
