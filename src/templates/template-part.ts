// What a node is compiled for: its part's file, its engine, whether outputs are escaped, and the loops around it. An
// error that a compiled node meets at send time gets the node's place here, as Liquid would give it.

import { type Liquid, LiquidError, RenderError, type Template } from "liquidjs";
import { type MergeScope, TemplateRefused } from "./compiled-template.ts";
import { liquidProblem, type Place } from "./parse-template.ts";

export interface TemplatePart {
  readonly file: string;
  readonly engine: Liquid;
  /** In HTML Liquid appends its escaping to every output whose last filter is not raw. */
  readonly isEscaped: boolean;
  /** The variables of the loops around the node, the outermost first. */
  readonly loops: readonly string[];
}

/** A value or a decision, by what the scope holds. */
export type Read<Result = unknown> = (scope: MergeScope) => Result;

/** The same function, whose errors say where in the template they come from. */
export function placed<Result>(part: TemplatePart, node: Template, read: Read<Result>): Read<Result> {
  return (scope) => {
    try {
      return read(scope);
    } catch (error) {
      throw refusalOf(part, node, error);
    }
  };
}

const START: Place = { line: 1, column: 1 };

function refusalOf(part: TemplatePart, node: Template, error: unknown): TemplateRefused {
  if (error instanceof TemplateRefused) return error;
  const reason = error instanceof Error ? error : new Error(String(error));
  const withPlace = LiquidError.is(reason) ? reason : new RenderError(reason, node);
  return new TemplateRefused([liquidProblem(withPlace, part.file, START)]);
}
