// The story of a message is read while the message goes its way: whatever moment it is, the message is in one state.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pool } from "pg";
import { tellStory } from "../../src/reports/message-story.ts";
import { startLane } from "../rig/lane.ts";
import { enqueue, untilEvent } from "../rig/lane-mail.ts";
import { testDatabase } from "../rig/postgres.ts";
import { startScriptedSink } from "../rig/scripted-sink.ts";

for (const [moment, state] of [
  ["before", "sent"],
  ["behind", "queued"],
] as const) {
  test(`a message that is sent right ${moment} the question for its row is ${state}`, async (t) => {
    const database = await testDatabase(t);
    const { pool } = database;
    const sink = await startScriptedSink(t);
    const id = await enqueue(pool, { to: "ann@example.com" });
    const beside = async (): Promise<void> => {
      await startLane(t, { database, relay: sink });
      await untilEvent(pool, id, "sent");
    };
    const query = async (asked: { readonly name: string; readonly text: string; readonly values: unknown[] }) => {
      if (asked.name === "message_find" && moment === "before") await beside();
      const answer = await pool.query(asked);
      if (asked.name === "message_find" && moment === "behind") await beside();
      return answer;
    };
    assert.equal((await tellStory({ query } as unknown as Pool, id, {}))?.state, state);
  });
}
