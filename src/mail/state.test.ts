// The table of docs/reference/states.md and the transitions in the code are the same.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { isSettled, mayBecome, SETTLED_STATES, STATES, TRANSITIONS, WAITING_STATES } from "./state.ts";

const documentText = readFileSync(new URL("../../../docs/reference/states.md", import.meta.url), "utf8");

/** Rows `| from | to | what makes it so |` whose first two cells are names in backquotes. */
function documentedTransitions(): readonly string[] {
  const rows = documentText.matchAll(/^\| `(\w+)`\s*\| `(\w+)`\s*\| (\S.*\S)\s*\|$/gm);
  return Array.from(rows, ([, from, to]) => `${from} → ${to}`);
}

test("every transition of the code is drawn in states.md, once, and no other", () => {
  const inCode = STATES.flatMap((from) => TRANSITIONS[from].map((to) => `${from} → ${to}`));
  const documented = documentedTransitions();
  assert.ok(documented.length > 20, `only ${documented.length} transitions were found in states.md`);
  assert.deepEqual(documented.toSorted(), inCode.toSorted());
});

test("states.md explains every state, and the figure names it", () => {
  const figure = /```\n([\s\S]*?)```/.exec(documentText)?.[1] ?? "";
  for (const state of STATES) {
    assert.match(documentText, new RegExp(`^\\| \`${state}\`\\s*\\| (waiting|settled)\\s*\\|`, "m"));
    assert.ok(figure.includes(state), `${state} is not in the figure`);
  }
});

test("a state is waiting or settled, and states.md says which", () => {
  assert.deepEqual([...WAITING_STATES, ...SETTLED_STATES], [...STATES]);
  for (const state of STATES) {
    const [, kind] = new RegExp(`^\\| \`${state}\`\\s*\\| (waiting|settled)`, "m").exec(documentText) ?? [];
    assert.equal(kind, isSettled(state) ? "settled" : "waiting", state);
  }
});

test("what left the road for good stays there", () => {
  for (const state of ["bounced", "expired", "canceled", "suppressed"] as const) {
    for (const to of STATES) assert.equal(mayBecome(state, to), false);
  }
  assert.equal(mayBecome("queued", "sent"), true);
  assert.equal(mayBecome("sent", "queued"), false);
});
