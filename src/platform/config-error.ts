// What is wrong with a configuration, all of it at once: for each problem where it stands, which key it is about, what
// was found there, and what was expected. Never holds the value of a secret.

export type ConfigOrigin =
  | { readonly kind: "file"; readonly file: string; readonly line: number }
  | { readonly kind: "variable"; readonly variable: string };

export interface ConfigProblem {
  readonly origin: ConfigOrigin;
  /** As in the documentation: `lanes.bulk.ttl`; empty when it is about the whole file. */
  readonly key: string;
  readonly found: string;
  readonly expected: string;
  /** What probably was meant. */
  readonly hint?: string;
}

export class ConfigError extends Error {
  readonly code = "config_invalid";
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    const title =
      problems.length === 1 ? "the configuration has a problem" : `the configuration has ${problems.length} problems`;
    super([`${title}:`, ...problems.map((problem) => `  ${printProblem(problem)}`)].join("\n"));
    this.name = "ConfigError";
    this.problems = problems;
  }
}

export function printProblem({ origin, key, found, expected, hint }: ConfigProblem): string {
  const where = origin.kind === "file" ? `${origin.file}:${origin.line}` : origin.variable;
  const about = key === "" ? "" : `${key}: `;
  return `${where}: ${about}found ${found}, expected ${expected}${hint === undefined ? "" : `; ${hint}`}`;
}
