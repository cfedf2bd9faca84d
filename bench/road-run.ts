// One run over the whole road: a list in a file, imported, merged, handed over by a bulk dispatcher in a process of its
// own, settled. Timed from the start of the import until the queue is empty and the sink has every message.

import { sendCampaign } from "../src/campaigns/send-campaign.ts";
import type { Scope } from "../test/rig/scope.ts";
import type { SmtpSink } from "../test/rig/smtp-sink.ts";
import { startLaneRig, untilQueueIsEmpty, type RigOptions } from "./lane-rig.ts";
import { writeList, writeTemplate } from "./newsletter.ts";

export interface RoadFigures {
  readonly perS: number;
  readonly importS: number;
  readonly rssMbMax: number;
  readonly gbPerMillion: number;
}

const SETTLE_MS_MAX = 900_000;

export async function runRoad(
  scope: Scope,
  sink: Pick<SmtpSink, "waitForCount">,
  messages: number,
  options: RigOptions,
): Promise<RoadFigures> {
  const rig = await startLaneRig(scope, options);
  const list = await writeList(rig.dataDir, "list", messages);
  const templateDir = writeTemplate(rig.dataDir);
  const dispatcher = await rig.startDispatcher("bulk");
  const bytesBefore = await databaseBytes(rig.database);
  const startedAt = performance.now();
  const sent = await sendCampaign(rig.database.pool, {
    file: list,
    templateDir,
    lane: "bulk",
    name: "road",
    allowEmpty: true,
  });
  if (sent.kind !== "sent" || sent.accepted !== messages) throw new Error(`the import failed: ${JSON.stringify(sent)}`);
  const importS = (performance.now() - startedAt) / 1000;
  // The sink's counter costs nothing to look at; the queue is asked only for the end.
  await sink.waitForCount(messages, SETTLE_MS_MAX);
  await untilQueueIsEmpty(rig.database, SETTLE_MS_MAX);
  const seconds = (performance.now() - startedAt) / 1000;
  const gbPerMillion = ((await databaseBytes(rig.database)) - bytesBefore) / messages / 1000;
  return { perS: messages / seconds, importS, rssMbMax: dispatcher.rssMbMax(), gbPerMillion };
}

async function databaseBytes(database: {
  pool: { query(text: string): Promise<{ rows: { bytes: number }[] }> };
}): Promise<number> {
  const { rows } = await database.pool.query("SELECT pg_database_size(current_database()) AS bytes");
  return rows[0]!.bytes;
}
