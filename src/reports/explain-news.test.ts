import assert from "node:assert/strict";
import { test } from "node:test";
import { limitOf, stop, type Limit } from "./explain-limit.ts";
import { createLimitNews } from "./explain-news.ts";

const paused = limitOf("everything", stop("lane_paused", { lane: "bulk", since: "x" }), { lanes: ["bulk"] });
const window = limitOf("verdict", { code: "window_fixed", limits: "window", limit: 60, evidence: { max_open: 60 } });

test("what lasts for two looks is told once, and its end with the time since it began", () => {
  const looks: readonly (readonly Limit[])[] = [[paused], [paused], [paused], [], []];
  assert.deepEqual(tellAll(looks), ["2 began lane_paused since 1", "5 ended lane_paused since 1"]);
});

test("a hiccup is no news, at the begin as at the end", () => {
  assert.deepEqual(tellAll([[paused], [], [paused], [], []]), []);
  assert.deepEqual(tellAll([[paused], [paused], [], [paused], [paused]]), ["2 began lane_paused since 1"]);
});

test("verdicts move every second and are no news", () => {
  assert.deepEqual(tellAll([[window], [window], [window]]), []);
});

function tellAll(looks: readonly (readonly Limit[])[]): readonly string[] {
  const news = createLimitNews();
  return looks.flatMap((limits, index) =>
    news
      .look(limits, index + 1)
      .map(({ kind, limit, sinceMs }) => `${index + 1} ${kind} ${limit.reason.code} since ${sinceMs}`),
  );
}
