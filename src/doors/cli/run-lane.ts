// `postlane lane list|pause|resume`.

import type { Pool } from "pg";
import { listLanes, pauseLane, resumeLane } from "../../queue/lane-store.ts";
import { CommandFailure, EXIT_DONE } from "./command-failure.ts";
import { createOutput, type CommonOptions } from "./output.ts";
import { DASH, number, printSpan, printTable, text } from "./printing.ts";
import { readConfig } from "./read-config.ts";
import { withDatabase } from "./with-database.ts";

export async function runLaneList(options: CommonOptions): Promise<number> {
  const config = readConfig(options);
  const output = createOutput(options);
  const rows = await withDatabase(config, listLanes);
  const lanes = rows.map(({ name, paused_at }) => {
    const settings = config.lanes[name];
    return {
      name,
      paused_at: paused_at?.toISOString() ?? null,
      priority: settings?.priority ?? null,
      outlets: settings?.outlets ?? [],
      ttl_ms: settings?.ttlMs ?? null,
      unknown: settings?.unknownPolicy ?? null,
      dispatchers: settings?.dispatchers ?? 0,
    };
  });
  output.answer({ lanes });
  const columns = [text("lane"), text(""), text("outlets"), number("ttl"), text("unknown"), number("dispatchers")];
  const cells = lanes.map((lane) => [
    lane.name,
    lane.priority === null ? "not configured" : lane.paused_at === null ? "running" : "paused",
    lane.outlets.join(", "),
    printSpan(lane.ttl_ms),
    lane.unknown ?? DASH,
    String(lane.dispatchers),
  ]);
  for (const line of printTable(columns, cells)) output.print(line);
  return EXIT_DONE;
}

export async function runLanePause(name: string, options: CommonOptions): Promise<number> {
  return await move(name, options, pauseLane, "paused");
}

export async function runLaneResume(name: string, options: CommonOptions): Promise<number> {
  return await move(name, options, resumeLane, "resumed");
}

async function move(
  name: string,
  options: CommonOptions,
  act: (pool: Pool, name: string) => Promise<boolean>,
  done: "paused" | "resumed",
): Promise<number> {
  const output = createOutput(options);
  await withDatabase(readConfig(options), async (pool) => {
    if (await act(pool, name)) return;
    const names = (await listLanes(pool)).map((lane) => lane.name);
    throw new CommandFailure("lane_unknown", `There is no lane "${name}". Lanes: ${names.join(", ")}.`);
  });
  output.answer({ lane: name, is_paused: done === "paused" });
  output.print(`lane ${name} is ${done}; in force within a second`);
  return EXIT_DONE;
}
