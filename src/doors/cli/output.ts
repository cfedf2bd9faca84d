// Where a command's words go: the answer to standard output, as lines for people or as one JSON document a line for
// programs; what is said beside it (progress, hints) to standard error.

export interface CommonOptions {
  readonly json?: boolean;
  readonly config?: string;
}

export interface Output {
  readonly isJson: boolean;
  /** A line for people; programs get nothing. */
  print(line: string): void;
  /** The answer for programs; people get nothing. */
  answer(document: unknown): void;
  /** Beside the answer, for people. */
  note(line: string): void;
}

export function createOutput({ json }: CommonOptions): Output {
  const isJson = json === true;
  return {
    isJson,
    print: (line) => void (isJson || process.stdout.write(`${line}\n`)),
    answer: (document) => void (isJson && process.stdout.write(`${JSON.stringify(document)}\n`)),
    note: (line) => void (isJson || process.stderr.write(`${line}\n`)),
  };
}
