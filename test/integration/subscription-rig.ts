// Double opt-in behind the real HTTP door: a kept list, a template, a key of the site, and questions about what came of it. No
// dispatcher runs: a confirmation mail is read where it waits.

import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { createList } from "../../src/campaigns/list-store.ts";
import type { ListColumn } from "../../src/campaigns/list-columns.ts";
import type { ListId } from "../../src/mail/ids.ts";
import { inTransaction } from "../../src/postgres/transaction.ts";
import type { TemplateSource } from "../../src/templates/compiled-template.ts";
import { prepareTemplate } from "../../src/templates/prepare-template.ts";
import { pushVersionOnce } from "../../src/templates/template-store.ts";
import type { TestDatabase } from "../rig/postgres.ts";
import { startHttp, type Answer, type HttpRig } from "./http-rig.ts";

export const PUBLIC_URL = "https://mail.example.com/post";

export interface SubscriptionRig extends HttpRig {
  readonly siteKey: string;
  readonly listId: ListId;
  subscribe(email: string, more?: object, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  /** What the latest confirmation mail to the address has as its link, at this door. */
  linkTo(address: string): Promise<string>;
  confirm(link: string, headers?: Readonly<Record<string, string>>): Promise<Response>;
}

const column = (name: string, type: ListColumn["type"] = "text"): ListColumn => ({
  name,
  original: name,
  type,
  isAddress: name === "email",
});

export const LIST_COLUMNS = [
  column("email"),
  column("first_name"),
  column("visits", "number"),
  column("born", "date"),
  column("tags", "json"),
  column("locale", "locale"),
  column("time_zone", "time_zone"),
];

const CONFIRMATION: TemplateSource = {
  from: "News <news@example.com>",
  subject: "Please confirm",
  text: "Hello {{ name | default: 'you' }}, confirm here: {{ confirm_url }}\n",
};

export async function startSubscriptions(t: TestContext, env: Readonly<Record<string, string>> = {}) {
  const rig = await startHttp(t, { POSTLANE_PUBLIC_URL: PUBLIC_URL, ...env });
  const listId = (await createList(rig.pool, "weekly-news", LIST_COLUMNS))!;
  await pushTemplate(rig, "confirm", CONFIRMATION);
  const siteKey = await rig.key({ lanes: null });
  const started: SubscriptionRig = {
    ...rig,
    siteKey,
    listId,
    subscribe: async (email, more = {}, headers = {}) =>
      await rig.ask("POST", "/subscriptions", {
        key: siteKey,
        body: { list: "weekly-news", email, template: { id: "confirm" }, ...more },
        headers,
      }),
    async linkTo(address) {
      const { rows } = await rig.pool.query(
        `SELECT c.body #>> '{template,variables,confirm_url}' AS url
         FROM postlane.message AS m JOIN postlane.content AS c ON c.id = m.content_id
         WHERE m.recipient = $1 ORDER BY m.id DESC LIMIT 1`,
        [address],
      );
      const url = (rows[0]?.url ?? "") as string;
      assert.ok(url.startsWith(`${PUBLIC_URL}/confirm/`), `no confirmation to ${address}: ${url}`);
      return rig.url + url.slice(PUBLIC_URL.length);
    },
    confirm: async (link, headers = {}) => await postForm(link, "confirm=yes", headers),
  };
  return started;
}

export async function pushTemplate({ pool }: TestDatabase, name: string, source: TemplateSource): Promise<void> {
  const prepared = prepareTemplate(source);
  if (prepared.kind === "bad") assert.fail(JSON.stringify(prepared.problems));
  await inTransaction(pool, (client) => pushVersionOnce(client, name, prepared));
}

export async function postForm(url: string, body: string, headers: Readonly<Record<string, string>> = {}) {
  const form = { "content-type": "application/x-www-form-urlencoded", ...headers };
  return await fetch(url, { method: "POST", body, headers: form, redirect: "manual" });
}

/** Messages to the address, whatever became of them. */
export async function mailsTo({ pool }: TestDatabase, address: string): Promise<number> {
  const { rows } = await pool.query(
    "SELECT count(*)::integer AS n FROM postlane.message WHERE lower(recipient) = lower($1)",
    [address],
  );
  return rows[0].n;
}

export interface Recipient {
  readonly address: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly time_zone: string | null;
}

/** Of the list, and how many its imports have counted. */
export async function recipientsOf({ pool, listId }: SubscriptionRig): Promise<readonly Recipient[]> {
  const { rows } = await pool.query(
    "SELECT address, data::json AS data, time_zone FROM postlane.recipient WHERE list_id = $1 ORDER BY n",
    [listId],
  );
  const sums = await pool.query(
    "SELECT coalesce(sum(added), 0)::integer AS added FROM postlane.list_import WHERE list_id = $1",
    [listId],
  );
  assert.equal(sums.rows[0].added, rows.length, "the list's imports do not count its recipients");
  return rows;
}

/** As if so much time had gone by. */
export async function goBy({ pool }: TestDatabase, interval: string): Promise<void> {
  await pool.query(
    `UPDATE postlane.subscription SET created_at = created_at - $1::interval, expires_at = expires_at - $1::interval,
       mailed_at = ARRAY(SELECT at - $1::interval FROM unnest(mailed_at) AS mail (at))`,
    [interval],
  );
}
