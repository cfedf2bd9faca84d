// A site that submits by HTTP, beside the one of the world that speaks SQL. As the documentation asks, what is not answered
// is sent again under the same key until it is, so in the end the site knows of each that it is accepted.

import { setTimeout as sleep } from "node:timers/promises";
import { findFront } from "../../src/doors/http/front-file.ts";
import type { SiteEmail } from "./books-store.ts";
import { makeKey, postEmail } from "./http-client.ts";
import { wallMs, type Lane, type SiteAnswer } from "./submissions.ts";
import type { World } from "./world.ts";

export interface HttpDoor {
  /** Resolves when it is accepted; answers its recipient. */
  submit(lane: Lane): Promise<string>;
}

export interface HttpSite {
  /** When a submission was accepted that was begun after this. */
  untilAccepted(sinceMs: number): Promise<number>;
  /** Ends after the submission that is under way. */
  stop(): Promise<void>;
}

const AGAIN_MS = 20;
/** A front that is gone for this long does not come back. */
const ACCEPTED_MS_MAX = 60_000;
/** Longer than the door takes to say 503. */
const ANSWER_MS_MAX = 10_000;

/** A door for one email at a time. */
export async function startHttpDoor(world: World): Promise<HttpDoor> {
  const { installation, submissions } = world;
  const token = await makeKey(installation);
  const send = async (email: SiteEmail): Promise<SiteAnswer> => {
    for (const endsAt = performance.now() + ACCEPTED_MS_MAX; performance.now() < endsAt; await sleep(AGAIN_MS)) {
      const at = findFront(installation.dataDir)?.http;
      const answer = await postEmail({ at, token, email, idempotencyKey: email.to, msMax: ANSWER_MS_MAX });
      const status = answer?.status;
      if (status === 200) return "committed";
      if (status !== undefined && !isForNow(status)) throw new Error(`the front answered ${status} to a good email`);
    }
    return "ambiguous";
  };
  return {
    async submit(lane) {
      let recipient = "";
      const answer = await submissions.submitBy(lane, (email) => {
        recipient = email.to;
        return send(email);
      });
      if (answer === "committed") return recipient;
      throw new Error(`no email was accepted by HTTP for ${ACCEPTED_MS_MAX / 1000} s`);
    },
  };
}

/** Another request is using its key, a rate is used up, or the database is away. */
const isForNow = (status: number): boolean => status === 409 || status === 429 || status >= 500;

/** One email after the other, on both lanes in turn. */
export async function startHttpSite(world: World, perS: number): Promise<HttpSite> {
  const door = await startHttpDoor(world);
  let isStopped = false;
  let [begunAtMs, acceptedAtMs] = [0, 0];
  const loop = (async (): Promise<void> => {
    for (let n = 0; !isStopped; n++) {
      const nowMs = wallMs();
      await door.submit(n % 2 === 0 ? "bulk" : "transactional");
      [begunAtMs, acceptedAtMs] = [nowMs, wallMs()];
      await sleep(1000 / perS);
    }
  })();
  loop.catch(() => {}); // Whoever waits hears of it.
  return {
    async untilAccepted(sinceMs) {
      while (begunAtMs < sinceMs) await Promise.race([sleep(AGAIN_MS), loop]);
      return acceptedAtMs;
    },
    async stop() {
      isStopped = true;
      await loop;
    },
  };
}
