// What a supervisor and its children say to each other over IPC. Everything of weight goes through the database; this
// is only for being ready, being alive, and lines that a person should see.

export type FromChild =
  | { readonly kind: "ready" }
  /** Sent every `ALIVE_MS`; a child that stops is hung and is ended. */
  | { readonly kind: "alive" }
  | { readonly kind: "told"; readonly line: string };

export type ToChild = { readonly kind: "drain" };

export const ALIVE_MS = 1000;
/** A child that says nothing for this long hangs (a merge without end, say). Its lease is long over by then. */
export const ALIVE_MISSING_MS_MAX = 30_000;

/** Says something to the supervisor; without one, to nobody. */
export function tellSupervisor(message: FromChild): void {
  if (process.send === undefined || !process.connected) return;
  process.send(message, undefined, undefined, () => {});
}

/** Calls `stop` once: on SIGTERM, SIGINT, the supervisor's word, or its death. */
export function onStop(stop: (why: string) => void): void {
  let isCalled = false;
  const once = (why: string): void => {
    if (isCalled) return;
    isCalled = true;
    stop(why);
  };
  process.on("SIGTERM", () => once("SIGTERM"));
  process.on("SIGINT", () => once("SIGINT"));
  process.on("disconnect", () => once("the supervisor is gone"));
  process.on("message", (message: ToChild) => {
    if (message.kind === "drain") once("drain");
  });
  // One that died while we were starting has been heard by nobody.
  if (process.send !== undefined && !process.connected) once("the supervisor is gone");
}

/** Starts saying "alive"; call the answer to end it. */
export function beAlive(): () => void {
  const timer = setInterval(() => tellSupervisor({ kind: "alive" }), ALIVE_MS);
  timer.unref();
  return () => clearInterval(timer);
}
