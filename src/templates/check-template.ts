// Does a list fit a template? Every variable must be a column, or the whole campaign would go out with holes. Each
// missing one is named at its first use in each file, with the column that was probably meant. Whether cells are empty
// is for whoever reads the list (`requiredVariables` says in which columns it matters).

import type { TemplateProblem } from "./compiled-template.ts";
import type { ParsedTemplate } from "./parse-template.ts";
import { type TemplateVariable, templateVariables } from "./template-variables.ts";

export function checkTemplate(template: ParsedTemplate, columns: readonly string[]): readonly TemplateProblem[] {
  const known = new Set(columns);
  const missing = templateVariables(template).filter((variable) => !known.has(variable.name));
  return missing.filter(isFirstInItsFile).map((variable) => problemOf(variable, columns));
}

function isFirstInItsFile(variable: TemplateVariable, index: number, all: readonly TemplateVariable[]): boolean {
  return all.findIndex((other) => other.name === variable.name && other.file === variable.file) === index;
}

function problemOf({ name, file, line, column }: TemplateVariable, columns: readonly string[]): TemplateProblem {
  const near = nearest(name, columns);
  const hint = near === undefined ? "" : `; did you mean "${near}"?`;
  return { file, line, column, variable: name, message: `the list has no column "${name}"${hint}` };
}

/** The column that differs least, if it differs little: by case and separators, or by a third of its letters. */
function nearest(name: string, columns: readonly string[]): string | undefined {
  const ranked = columns
    .map((column) => ({ column, distance: editDistance(bare(name), bare(column)) }))
    .sort((a, b) => a.distance - b.distance);
  const [best] = ranked;
  return best && best.distance <= Math.max(1, Math.floor(name.length / 3)) ? best.column : undefined;
}

function bare(name: string): string {
  return name
    .toLowerCase()
    .replace(/[\s_-]/g, "")
    .slice(0, NAME_CHARS_COMPARED_MAX);
}

/** The comparison costs the square of it. */
const NAME_CHARS_COMPARED_MAX = 64;

/** Levenshtein: the letters to insert, delete or replace. */
function editDistance(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const replaced = above[column - 1]! + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, above[column]! + 1, current[column - 1]! + 1));
    }
    above = current;
  }
  return above[b.length]!;
}
