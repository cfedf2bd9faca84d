// How a command ends badly: one clear sentence and what to do, and an exit code. 1: it failed or was refused; 2: it was
// called in a way that cannot be meant. A stack only where somebody asks for it (POSTLANE_DEBUG).

export const EXIT_DONE = 0;
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;

export class CommandFailure extends Error {
  readonly exitCode: number;
  readonly code: string;

  constructor(code: string, message: string, exitCode: number = EXIT_FAILED) {
    super(message);
    this.name = "CommandFailure";
    this.code = code;
    this.exitCode = exitCode;
  }
}

export function misused(message: string): CommandFailure {
  return new CommandFailure("usage", message, EXIT_USAGE);
}

export interface ExplainedFailure {
  readonly exitCode: number;
  readonly code: string;
  /** Sentences for people. */
  readonly message: string;
}

export function explainFailure(error: unknown): ExplainedFailure {
  if (error instanceof CommandFailure) return { exitCode: error.exitCode, code: error.code, message: error.message };
  if (!(error instanceof Error)) return { exitCode: EXIT_FAILED, code: "failed", message: String(error) };
  const { code, hint } = error as { readonly code?: unknown; readonly hint?: unknown };
  const parts = [capitalized(error.message.trim()), typeof hint === "string" ? hint : ""].filter(Boolean);
  return {
    exitCode: EXIT_FAILED,
    code: typeof code === "string" ? code : "failed",
    message: parts.map((part) => (/[.!?:)\]]$/.test(part) ? part : `${part}.`)).join(" "),
  };
}

function capitalized(text: string): string {
  return text === "" ? "It failed, and nothing says why" : text.charAt(0).toUpperCase() + text.slice(1);
}
