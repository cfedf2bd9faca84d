// `if`, `unless` and `case`: which of the node's bodies is put. The bodies stand in the order of the branches, `else`
// last. A `case` puts every branch that matches, as liquidjs does.

import { type CaseTag, type IfTag, type Template, toValue, type UnlessTag } from "liquidjs";
import { areEqual, isTruthy } from "./compare-values.ts";
import { compileToken, compileValue } from "./compile-value.ts";
import type { Block, Piece } from "./compiled-template.ts";
import { placed, type TemplatePart } from "./template-part.ts";

type Bodies = readonly (readonly Piece[])[];

export function bodiesOf(node: IfTag | UnlessTag | CaseTag): readonly Template[][] {
  return [...node.branches.map((branch) => branch.templates), node.elseTemplates ?? []];
}

export function compileCondition(part: TemplatePart, node: IfTag | UnlessTag, bodies: Bodies): Block {
  // `unless` asks its first condition whether it does not hold.
  const tests = node.branches.map(({ value }, index) => ({
    read: compileValue(part, value),
    wanted: index > 0 || node.name !== "unless",
  }));
  const choose = placed(part, node, (scope) => {
    const chosen = tests.findIndex(({ read, wanted }) => isTruthy(read(scope)) === wanted);
    return chosen < 0 ? tests.length : chosen;
  });
  return { bodies, run: (scope, put) => put(choose(scope)) };
}

export function compileCase(part: TemplatePart, node: CaseTag, bodies: Bodies): Block {
  const readTarget = compileValue(part, node.value);
  const readPlain = placed<unknown>(part, node, (scope) => toValue(readTarget(scope)));
  const branches = node.branches.map(({ values }) =>
    values.map((value) => placed(part, node, compileToken(part, value))),
  );
  return {
    bodies,
    run(scope, put) {
      const target = readPlain(scope);
      let isHit = false;
      // A branch's values are read when it is its turn, since the body before it may have assigned something.
      branches.forEach((values, index) => {
        if (!values.some((read) => areEqual(target, read(scope)))) return;
        isHit = true;
        put(index);
      });
      if (!isHit) put(branches.length);
    },
  };
}
