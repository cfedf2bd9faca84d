// A log that is written in any pieces, rotated at any moment and followed by agents that are replaced at any moment: each
// whole line is read once and in order, as long as nothing is cut off.

import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, renameSync, rmSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { splitLines, startFollowing, type LogFollower, type LogPlace } from "../../src/gauges/follow-log.ts";

const RUNS = 150;
const ROTATED_AT_S = 1_700_000_000;
/** Longer than the old file has to be quiet. */
const QUIET_MS = 1001;

const text = fc.string({ unit: fc.constantFrom("a", "é", "\u0000", " ", ":", "\r"), maxLength: 40 });
const action = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("line" as const), text }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("piece" as const), text }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("step" as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("rotate" as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("restart" as const) }) },
);

test("each line is read once and in order, over pieces, rotations and restarts", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 60 }), async (actions) => {
      const log = createLog();
      try {
        // A log that was never followed has no old files of interest.
        log.write("first\n");
        await log.step();
        for (const one of actions) {
          if (one.kind === "line") log.write(`${one.text}\n`);
          else if (one.kind === "piece") log.write(one.text);
          else if (one.kind === "step") await log.step();
          else if (one.kind === "rotate") log.rotate();
          else await log.restart();
        }
        log.write("\n");
        assert.deepEqual(await log.readToEnd(), log.written());
        assert.deepEqual(log.missed(), []);
      } finally {
        await log.remove();
      }
    }),
    { numRuns: RUNS },
  );
});

test("lines are the same however their octets are cut", () => {
  fc.assert(
    fc.property(fc.array(text), fc.array(fc.nat(50)), (lines, cuts) => {
      const whole = Buffer.from(lines.map((line) => `${line}\n`).join(""));
      const read: string[] = [];
      let rest: Buffer = Buffer.alloc(0);
      let at = 0;
      for (const cut of [...cuts, whole.length]) {
        const piece: Buffer = Buffer.concat([rest, whole.subarray(at, at + cut)]);
        at = Math.min(whole.length, at + cut);
        const split = splitLines(piece, false);
        read.push(...split.lines);
        rest = piece.subarray(split.bytes);
      }
      assert.deepEqual(read, lines);
    }),
  );
});

function createLog() {
  const folder = mkdtempSync(path.join(tmpdir(), "postlane-fuzz-log-"));
  const file = path.join(folder, "maillog");
  const written: string[] = [];
  const read: string[] = [];
  const missed: string[] = [];
  let open = "";
  let rotations = 0;
  let nowMs = 0;
  let place: LogPlace | undefined;
  let follower: LogFollower | undefined;

  const step = async (): Promise<"more" | "rotating" | "at end" | "none"> => {
    follower ??= (await startFollowing(file, place, { monotonicMs: () => nowMs }, () => {})).follower;
    const taken = await follower.step();
    if (taken === undefined) return "none";
    read.push(...taken.lines);
    if (taken.missed !== undefined) missed.push(taken.missed);
    ({ place } = taken);
    return taken.comes;
  };
  const restart = async (): Promise<void> => {
    await follower?.close();
    follower = undefined;
  };
  return {
    step,
    restart,
    write(piece: string) {
      appendFileSync(file, piece);
      const lines = (open + piece).split("\n");
      open = lines.pop()!;
      written.push(...lines);
    },
    /** As a writer does that is told to: never in the midst of a line. */
    rotate() {
      if (open !== "" || rotations >= 50) return;
      // The name is free until the writer comes with its next line.
      appendFileSync(file, "");
      rotations += 1;
      renameSync(file, `${file}.${rotations}`);
      utimesSync(`${file}.${rotations}`, ROTATED_AT_S + rotations, ROTATED_AT_S + rotations);
    },
    async readToEnd() {
      for (let ends = 0; ends < 3;) {
        ends = (await step()) === "at end" ? ends + 1 : 0;
        nowMs += QUIET_MS;
      }
      return read;
    },
    written: () => written,
    missed: () => missed,
    async remove() {
      await restart();
      rmSync(folder, { recursive: true });
    },
  };
}
