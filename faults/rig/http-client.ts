// What every rig needs that submits over HTTP: a key of the installation's, and one email posted under an idempotency key.

import type { Installation } from "../../bench/installation.ts";
import { runCommand } from "../../bench/run-command.ts";

export interface HttpAnswer {
  readonly status: number;
  /** Of the submission, or none. */
  readonly id?: string;
  /** Of a problem. */
  readonly code?: string;
  readonly isReplayed: boolean;
}

/** `options` of `postlane key create`, beside the name. */
export async function makeKey(installation: Installation, ...options: readonly string[]): Promise<string> {
  return (await runCommand(installation, "key", "create", "--name", "fault", ...options)).trim();
}

/** Undefined: nobody listened, or the answer was lost. `at`: address and port. */
export async function postEmail(given: {
  readonly at: string;
  readonly token: string;
  readonly email: { readonly to: string };
  readonly idempotencyKey?: string | undefined;
  readonly msMax: number;
}): Promise<HttpAnswer | undefined> {
  const { at, token, email, idempotencyKey, msMax } = given;
  try {
    const answer = await fetch(`http://${at}/emails`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${token}`,
        "content-type": "application/json",
        ...(idempotencyKey === undefined ? {} : { "idempotency-key": idempotencyKey }),
      },
      body: JSON.stringify(email),
      signal: AbortSignal.timeout(msMax),
    });
    const { id, code } = (await answer.json()) as { readonly id?: string; readonly code?: string };
    return {
      status: answer.status,
      isReplayed: answer.headers.get("idempotent-replayed") === "true",
      ...(id === undefined ? {} : { id }),
      ...(code === undefined ? {} : { code }),
    };
  } catch {
    return undefined;
  }
}
