import assert from "node:assert/strict";
import { test } from "node:test";
import type { CampaignId } from "../mail/ids.ts";
import type { Clock } from "../platform/clock.ts";
import type { DestinationRow } from "../queue/queue-store.ts";
import { createDiscovery, type DiscoveryPorts } from "./discovery.ts";

const SPRING = 1 as CampaignId;
const AUTUMN = 2 as CampaignId;
const SLICE_MS = 10;

/** Slices take a fixed time, rests pass at once: what is left is the order of things and the time they took. */
function world(
  destinations: ReadonlyMap<CampaignId, number>,
  isFull: () => boolean = () => false,
  sliceMs: () => number = () => SLICE_MS,
) {
  let nowMs = 0;
  let isOver = false;
  const slices: { campaignId: CampaignId; after: string; atMs: number }[] = [];
  const found: string[] = [];
  const sinces = new Set<number>();
  let roomMade = 0;
  const clock: Clock = {
    monotonicMs: () => nowMs,
    wallMs: () => nowMs,
    after(ms, fire) {
      const timer = setImmediate(() => {
        nowMs += ms;
        fire();
      });
      return { cancel: () => clearImmediate(timer) };
    },
    soon: (fire) => void setImmediate(fire),
  };
  const ports: DiscoveryPorts = {
    clock,
    backlog: {
      get isFull() {
        return isFull();
      },
      makeRoom: (entries) => void (roomMade += entries),
    },
    async readSlice(campaignId, after, rowsMax) {
      slices.push({ campaignId, after, atMs: nowMs });
      nowMs += sliceMs();
      const from = after === "" ? 0 : Number(after.slice(1)) + 1;
      const to = Math.min(destinations.get(campaignId) ?? 0, from + rowsMax);
      return Array.from({ length: to - from }, (_, index): DestinationRow => {
        const name = `d${String(from + index).padStart(6, "0")}`;
        return { campaign_id: campaignId, destination: name, due_us: 0 };
      });
    },
    found(rows, sinceUs) {
      sinces.add(sinceUs);
      for (const row of rows) found.push(row.destination);
    },
    isOver: () => isOver,
  };
  const discovery = createDiscovery(ports);
  const end = async (isEnough: () => boolean): Promise<void> => {
    const ended = discovery.run();
    while (!isEnough()) await new Promise((resolve) => setImmediate(resolve));
    isOver = true;
    await ended;
  };
  return { discovery, end, slices, found, sinces, roomMade: () => roomMade, nowMs: () => nowMs };
}

test("each destination is found once in a pass, in order, and the next pass is in no hurry", async () => {
  const { discovery, end, slices, found, sinces } = world(new Map([[SPRING, 2_500]]));
  discovery.follow(new Set([SPRING]), 77);
  await end(() => slices.length >= 5);
  assert.equal(new Set(found.slice(0, 2_500)).size, 2_500);
  assert.deepEqual(found.slice(0, 2_500), found.slice(0, 2_500).toSorted());
  assert.deepEqual([...sinces], [77]);
  const [, , third, again, afterThat] = slices;
  assert.equal(again!.after, "");
  assert.ok(again!.atMs - third!.atMs >= 1_000);
  assert.ok(afterThat!.atMs - again!.atMs >= 1_000);
});

test("the first destinations are found at full speed, and what follows leaves the database its time", async () => {
  const { discovery, end, slices } = world(new Map([[SPRING, 10_000]]));
  discovery.follow(new Set([SPRING]), 0);
  await end(() => slices.length >= 5);
  const [first, second, third, fourth, fifth] = slices.map(({ atMs }) => atMs) as [number, ...number[]];
  assert.deepEqual([second! - first, third! - second!], [SLICE_MS, SLICE_MS]);
  assert.deepEqual([fourth! - third!, fifth! - fourth!], [5 * SLICE_MS, 5 * SLICE_MS]);
});

test("a slice that takes long is followed by a longer rest, also in a pass that is in no hurry", async () => {
  const { discovery, slices, end } = world(new Map([[SPRING, 500]]), undefined, () => 3000);
  discovery.follow(new Set([SPRING]), 0);
  await end(() => slices.length > 4);
  const gaps = slices.slice(1).map(({ atMs }, index) => atMs - slices[index]!.atMs);
  assert.ok(
    gaps.slice(2).every((ms) => ms >= 3000 + 4 * 3000),
    `between slices: ${gaps.join(", ")} ms`,
  );
});

test("campaigns take turns, and one that starts meanwhile is looked at next", async () => {
  const { discovery, end, slices } = world(
    new Map([
      [SPRING, 100_000],
      [AUTUMN, 100_000],
    ]),
  );
  discovery.follow(new Set([SPRING]), 0);
  let hasStarted = false;
  await end(() => {
    if (slices.length >= 4 && !hasStarted) {
      hasStarted = true;
      discovery.follow(new Set([SPRING, AUTUMN]), 0);
    }
    return slices.length >= 10;
  });
  const firstOfAutumn = slices.findIndex(({ campaignId }) => campaignId === AUTUMN);
  assert.ok(firstOfAutumn >= 4 && firstOfAutumn <= 6, `it was looked at in slice ${firstOfAutumn}`);
  const turns = slices.slice(firstOfAutumn, firstOfAutumn + 4).map(({ campaignId }) => campaignId);
  assert.deepEqual(turns, [AUTUMN, SPRING, AUTUMN, SPRING]);
});

test("a campaign that stops is looked at no more, and begins anew when it goes on", async () => {
  const { discovery, end, slices } = world(new Map([[SPRING, 100_000]]));
  discovery.follow(new Set([SPRING]), 0);
  let atStop = 0;
  await end(() => {
    if (slices.length === 3 && atStop === 0) {
      discovery.follow(new Set(), 1);
      atStop = slices.length;
      setTimeout(() => discovery.follow(new Set([SPRING]), 2), 20);
    }
    return slices.length >= 5;
  });
  assert.equal(slices[atStop]!.after, "");
});

test("a full backlog is asked for room, and nothing is read into it", async () => {
  let isFull = true;
  const { discovery, end, slices, roomMade } = world(new Map([[SPRING, 5_000]]), () => isFull);
  discovery.follow(new Set([SPRING]), 0);
  await end(() => {
    if (roomMade() >= 3_000) isFull = false;
    else assert.equal(slices.length, 0);
    return slices.length > 0;
  });
});
