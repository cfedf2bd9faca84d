// Sends webhooks: looks which endpoints have something due, claims some of it, posts, and settles what came of it, in
// groups. At least once: a delivery whose end was not written is sent again, under the same id. Endpoints are kept apart:
// each has a few deliveries open at most and one of its own that nobody else can take from it, so that a dead or slow one
// delays nothing but itself. Several senders may run; sockets and time come in as arguments.

import { setMaxListeners } from "node:events";
import type { Pool } from "pg";
import { printWebhookId, type WebhookId } from "../mail/ids.ts";
import type { Clock } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import type { PostAnswer, Poster } from "../platform/poster.ts";
import { inTransaction } from "../postgres/transaction.ts";
import {
  claimDeliveries,
  deleteTaken,
  dueEndpoints,
  FAILING_AFTER,
  giveUpOlderThan,
  noteStandings,
  pruneDeliveries,
  putOffFailed,
  type DeliveryRow,
  type DueEndpoint,
} from "./delivery-store.ts";
import { newsOf, fateOfDelivery, GIVE_UP_AFTER_MS, type DeliveryEnd } from "./delivery-fate.ts";
import { webhookPayload } from "./webhook-payload.ts";
import { webhookHeaders } from "./webhook-signature.ts";
import { disableFailing, disableWebhooks, forgetRemoved } from "./webhook-store.ts";

export interface WebhookSenderPorts {
  readonly pool: Pool;
  readonly clock: Clock;
  readonly log: Log;
  readonly poster: Pick<Poster, "post">;
  /** Whom mail without a sender of its own is from. */
  readonly defaultFrom: string;
  readonly userAgent: string;
  /** An endpoint was stopped by a rule: a line for people. */
  readonly onDisabled: (line: string) => void;
}

export interface WebhookSender {
  /** Claims nothing more, and gives what is open a moment to end; what does not is sent again by the next one. */
  stop(): Promise<void>;
}

/** Open at once for one endpoint, of this process. At 50 ms each that is 320 a second. */
export const OPEN_PER_ENDPOINT_MAX = 16;
/** Open at once for all together. Beyond it each endpoint still has one. */
export const OPEN_MAX = 256;
/** Between two looks when nothing was due: a probe of an index for each endpoint. */
const LOOK_MS = 250;
/** After the database failed. */
const TROUBLE_MS = 1000;
const STOP_MS_MAX = 2000;
const TIDY_MS = 60_000;
/** An endpoint that took nothing for so long is told nothing more, until a person resumes it. */
export const DISABLE_AFTER_DAYS = 5;
/** What was given up can be replayed for so long. */
export const FAILED_KEPT_MS = 14 * 86_400_000;
/** Of one transaction. */
const TIDY_ROWS_MAX = 5000;

export function startWebhookSender(ports: WebhookSenderPorts): WebhookSender {
  return new PacedSender(ports);
}

class PacedSender implements WebhookSender {
  readonly #ports: WebhookSenderPorts;
  readonly #open = new Map<WebhookId, number>();
  readonly #ended: DeliveryEnd[] = [];
  readonly #aborting = new AbortController();
  readonly #loops: Promise<unknown>;
  #openTotal = 0;
  #settling: Promise<void> | undefined;
  #isStopped = false;
  readonly #wakers = new Set<() => void>();

  constructor(ports: WebhookSenderPorts) {
    this.#ports = ports;
    setMaxListeners(0, this.#aborting.signal); // As many as are open, which is bounded.
    this.#loops = Promise.all([this.#sendAsDue(), this.#tidyUp()]);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#wake();
    await this.#loops;
    const timer = this.#ports.clock.after(STOP_MS_MAX, () => this.#aborting.abort());
    while (this.#openTotal > 0 && !(this.#aborting.signal.aborted && this.#settling === undefined)) {
      await this.#pause(50);
    }
    timer.cancel();
  }

  async #sendAsDue(): Promise<void> {
    while (!this.#isStopped) {
      let pauseMs = LOOK_MS;
      try {
        await this.#claimWhatIsDue();
      } catch (error) {
        this.#ports.log.warn("webhooks.not_claimed", { error: reasonOf(error) });
        pauseMs = TROUBLE_MS;
      }
      await this.#pause(pauseMs);
    }
  }

  async #claimWhatIsDue(): Promise<void> {
    const due = new Map((await dueEndpoints(this.#ports.pool)).map((endpoint) => [endpoint.webhook_id, endpoint]));
    const wants = this.#wantsOf([...due.keys()]);
    if (wants.length === 0) return;
    for (const row of await claimDeliveries(this.#ports.pool, wants)) {
      this.#countOpen(row.webhook_id, 1);
      void this.#deliver(row, due.get(row.webhook_id)!);
    }
  }

  /** The room that is left is shared out evenly; an endpoint without an open delivery gets one in any case. */
  #wantsOf(ids: readonly WebhookId[]): readonly { readonly webhookId: WebhookId; readonly rowsMax: number }[] {
    const share = Math.floor((OPEN_MAX - this.#openTotal) / Math.max(ids.length, 1));
    return ids
      .map((webhookId) => {
        const open = this.#open.get(webhookId) ?? 0;
        return { webhookId, rowsMax: Math.min(OPEN_PER_ENDPOINT_MAX - open, Math.max(share, open === 0 ? 1 : 0)) };
      })
      .filter(({ rowsMax }) => rowsMax > 0);
  }

  async #deliver(row: DeliveryRow, endpoint: DueEndpoint): Promise<void> {
    const answer = await this.#post(row, endpoint).catch((error: unknown): PostAnswer => ({
      kind: "failed",
      reason: reasonOf(error),
    }));
    this.#ended.push({ row, fate: fateOfDelivery(answer, row.tries) });
    if (answer.kind !== "answered" || answer.status >= 300) this.#logFailed(row, answer);
    this.#settling ??= this.#settleAll().finally(() => (this.#settling = undefined));
  }

  async #post(row: DeliveryRow, { url, secret, old_secret }: DueEndpoint): Promise<PostAnswer | { kind: "gone" }> {
    const { poster, clock, defaultFrom, userAgent } = this.#ports;
    const payload = webhookPayload(row, defaultFrom);
    if (payload === undefined) return { kind: "gone" };
    const secrets = old_secret === null ? [secret] : [secret, old_secret];
    const signed = webhookHeaders({ ...payload, timestampS: Math.floor(clock.wallMs() / 1000) }, secrets);
    const headers = { "content-type": "application/json", "user-agent": userAgent, ...signed };
    return await poster.post({ url, headers, body: payload.body }, this.#aborting.signal);
  }

  #logFailed(row: DeliveryRow, answer: PostAnswer | { kind: "gone" }): void {
    const said =
      answer.kind === "answered" ? `HTTP ${answer.status}` : answer.kind === "failed" ? answer.reason : answer.kind;
    const webhook = printWebhookId(row.webhook_id);
    this.#ports.log.debug("webhook.not_taken", { webhook, message: row.message_id, tries: row.tries + 1, said });
  }

  /** One transaction at a time; what ends meanwhile goes into the next. Repeated until the database has answered. */
  async #settleAll(): Promise<void> {
    while (this.#ended.length > 0) {
      const group = this.#ended.splice(0);
      for (;;) {
        try {
          await this.#settle(group);
          break;
        } catch (error) {
          this.#ports.log.warn("webhooks.not_settled", { deliveries: group.length, error: reasonOf(error) });
          // Who stops leaves them: their claims end, and they are sent again.
          if (this.#isStopped) break;
          await this.#pause(TROUBLE_MS);
        }
      }
      for (const { row } of group) this.#countOpen(row.webhook_id, -1);
      this.#wake();
    }
  }

  async #settle(group: readonly DeliveryEnd[]): Promise<void> {
    const { pool } = this.#ports;
    const gone = [...new Set(group.flatMap(({ row, fate }) => (fate.kind === "disabled" ? row.webhook_id : [])))];
    const because = "it answered 410 Gone";
    const disabled = await inTransaction(pool, async (client) => {
      // Always in this order: another front may settle the same endpoint.
      await noteStandings(client, newsOf(group));
      await deleteTaken(
        client,
        group.flatMap(({ row, fate }) => (fate.kind === "taken" ? row.id : [])),
      );
      await putOffFailed(
        client,
        group.flatMap(({ row, fate }) => (fate.kind === "taken" ? [] : { id: row.id, ...fate.failed })),
      );
      return await disableWebhooks(client, gone, because);
    });
    this.#tellDisabled(disabled, because);
  }

  async #tidyUp(): Promise<void> {
    const { pool, log } = this.#ports;
    while (!this.#isStopped) {
      try {
        this.#tellDisabled(
          await disableFailing(pool, FAILING_AFTER, DISABLE_AFTER_DAYS),
          `it took nothing for ${DISABLE_AFTER_DAYS} days`,
        );
        await untilNone((rowsMax) => giveUpOlderThan(pool, GIVE_UP_AFTER_MS, rowsMax));
        await untilNone((rowsMax) => pruneDeliveries(pool, FAILED_KEPT_MS, rowsMax));
        await forgetRemoved(pool);
      } catch (error) {
        log.warn("webhooks.not_tidied", { error: reasonOf(error) });
      }
      await this.#pause(TIDY_MS, "until stopped");
    }
  }

  #tellDisabled(ids: readonly WebhookId[], because: string): void {
    for (const id of ids.map(printWebhookId)) {
      this.#ports.log.error("webhook.disabled", { webhook: id, because });
      this.#ports.onDisabled(
        `webhook ${id} is disabled, since ${because}: \`postlane webhook resume ${id}\` starts it again, and \`replay\` sends what it missed`,
      );
    }
  }

  #countOpen(id: WebhookId, change: 1 | -1): void {
    const open = (this.#open.get(id) ?? 0) + change;
    if (open === 0) this.#open.delete(id);
    else this.#open.set(id, open);
    this.#openTotal += change;
  }

  #wake(): void {
    for (const wake of this.#wakers) wake();
  }

  /** Ends early when something was settled, or only when the sender stops. */
  #pause(ms: number, end: "when woken" | "until stopped" = "when woken"): Promise<void> {
    return new Promise((resolve) => {
      const finish = (): void => {
        timer.cancel();
        this.#wakers.delete(wake);
        resolve();
      };
      const wake = (): void => {
        if (end === "when woken" || this.#isStopped) finish();
      };
      const timer = this.#ports.clock.after(ms, finish);
      this.#wakers.add(wake);
      if (this.#isStopped && end === "until stopped") finish();
    });
  }
}

async function untilNone(work: (rowsMax: number) => Promise<number>): Promise<void> {
  while ((await work(TIDY_ROWS_MAX)) === TIDY_ROWS_MAX);
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
