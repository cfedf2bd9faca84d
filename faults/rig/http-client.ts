// What every rig needs that submits over HTTP: a key of the installation's, and one email posted under an idempotency key.

import type { Installation } from "../../bench/installation.ts";
import { runCommand } from "../../bench/run-command.ts";

export interface HttpAnswer {
  readonly status: number;
  /** Of the submission, or none. */
  readonly id?: string;
  readonly isReplayed: boolean;
}

/** `options` of `postlane key create`, beside the name. */
export async function makeKey(installation: Installation, ...options: readonly string[]): Promise<string> {
  return (await runCommand(installation, "key", "create", "--name", "fault", ...options)).trim();
}

/** Undefined: nobody listened, or the answer was lost. `at`: address and port; undefined: there is no front. */
export async function postEmail(given: {
  readonly at: string | undefined;
  readonly token: string;
  readonly email: { readonly to: string };
  readonly idempotencyKey: string;
  readonly msMax: number;
}): Promise<HttpAnswer | undefined> {
  const { at, token, email, idempotencyKey, msMax } = given;
  if (at === undefined) return undefined;
  try {
    const answer = await fetch(`http://${at}/emails`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${token}`,
        "content-type": "application/json",
        "idempotency-key": idempotencyKey,
      },
      body: JSON.stringify(email),
      signal: AbortSignal.timeout(msMax),
    });
    const { id } = (await answer.json()) as { readonly id?: string };
    return {
      status: answer.status,
      isReplayed: answer.headers.get("idempotent-replayed") === "true",
      ...(id === undefined ? {} : { id }),
    };
  } catch {
    return undefined;
  }
}
