// The HTTP door of a test with what campaigns are made of: a list of three and templates to send to it.

import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { startHttp, type Answer, type HttpRig } from "./http-rig.ts";

export const NEWS = { name: "march", list: "members", template: "news" };

export interface CampaignRig {
  readonly rig: HttpRig;
  readonly ask: (method: string, path: string, body?: unknown) => Promise<Answer>;
  /** A draft of this name. */
  readonly create: (name: string) => Promise<void>;
}

export async function campaignRig(t: TestContext): Promise<CampaignRig> {
  const rig = await startHttp(t);
  const key = await rig.key({ scope: "operate" });
  const ask = (method: string, path: string, body?: unknown): Promise<Answer> => rig.ask(method, path, { key, body });
  const csv = "email,first_name\nann@example.com,Ann\nbob@example.com,Bob\ncy@example.com,Cy\n";
  await rig.ask("POST", "/lists/members/imports", { key, body: csv, headers: { "content-type": "text/csv" } });
  await ask("PUT", "/templates/news", { subject: "News", text: "Hello {{ first_name }}" });
  await ask("PUT", "/templates/other", { subject: "Other news", text: "Hello {{ first_name }}" });
  await ask("PUT", "/templates/needs-town", { subject: "News", text: "Hello {{ town }}" });
  return {
    rig,
    ask,
    async create(name) {
      assert.equal((await ask("POST", "/campaigns", { ...NEWS, name })).status, 200);
    },
  };
}
