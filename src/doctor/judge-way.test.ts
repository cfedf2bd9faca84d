import assert from "node:assert/strict";
import { test } from "node:test";
import type { WayFacts } from "../postgres/probe-way.ts";
import type { FindingCode } from "./finding-catalogue.ts";
import { isWayUsable, judgeWay } from "./judge-way.ts";

const STRAIGHT: WayFacts = {
  hasOptions: true,
  isAnnouncedPid: true,
  isBackendOwn: true,
  isSettingKept: true,
  isPreparedKept: true,
};

const rows: readonly (readonly [FindingCode | undefined, boolean, Partial<WayFacts>])[] = [
  [undefined, true, {}],
  ["pooler_refuses_settings", false, { optionsRefused: "unsupported startup parameter: options" }],
  ["pooler_shares_sessions", false, { isBackendOwn: false, isAnnouncedPid: false, hasOptions: false }],
  ["pooler_shares_sessions", true, { isSettingKept: false }],
  ["pooler_shares_sessions", false, { isPreparedKept: false }],
  ["pooler_drops_settings", true, { hasOptions: false, isAnnouncedPid: false }],
  ["pooler_in_between", true, { isAnnouncedPid: false }],
];
for (const [code, isUsable, changed] of rows)
  test(`${code ?? "straight"}: ${JSON.stringify(changed)}`, () => {
    const way = { ...STRAIGHT, ...changed };
    assert.deepEqual(
      judgeWay(way).map((one) => one.code),
      code === undefined ? [] : [code],
    );
    assert.equal(isWayUsable(way), isUsable);
  });
