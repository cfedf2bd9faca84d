// For preloads: puts functions around every query that this process sends to PostgreSQL. A query is known by the name of
// its statement, one without by its first word: BEGIN, COMMIT. Streams (COPY) go through untouched.

import pg from "pg";

export interface SentQuery {
  /** Queries on the same connection have the same. */
  readonly client: object;
  readonly name: string;
}

export interface QueryHooks {
  /** Before it is sent. An error: it is not sent, its connection is lost, and its caller gets the error. */
  before(query: SentQuery): Error | undefined;
  /** When the server has answered it well. An error: its connection is lost, and its caller gets that for an answer. */
  after(query: SentQuery, rowCount: number): Error | undefined;
}

type Done = (error: unknown, result?: Answer) => void;
interface Answer {
  readonly rowCount?: number | null;
}
type Query = (this: HookedClient, ...args: unknown[]) => Promise<Answer> | undefined;
interface HookedClient {
  readonly connection: { readonly stream: { destroy(): void } };
}

export function hookQueries(hooks: QueryHooks): void {
  const prototype = pg.Client.prototype as unknown as { query: Query };
  const send = prototype.query;
  prototype.query = function query(...args) {
    const name = nameOf(args[0]);
    if (name === undefined) return send.apply(this, args);
    const query = { client: this, name };
    const done = args.at(-1);
    const refusal = hooks.before(query);
    if (refusal !== undefined) {
      this.connection.stream.destroy();
      if (!isDone(done)) return Promise.reject(refusal);
      process.nextTick(done, refusal);
      return undefined;
    }
    const lose = (answer: Answer | undefined): Error | undefined => {
      const error = hooks.after(query, answer?.rowCount ?? 0);
      if (error !== undefined) this.connection.stream.destroy();
      return error;
    };
    if (isDone(done)) {
      const heard: Done = (error, answer) => done(error ?? lose(answer), answer);
      return send.apply(this, [...args.slice(0, -1), heard]);
    }
    return send.apply(this, args)?.then((answer) => {
      const error = lose(answer);
      if (error !== undefined) throw error;
      return answer;
    });
  };
}

const isDone = (argument: unknown): argument is Done => typeof argument === "function";

function nameOf(query: unknown): string | undefined {
  if (typeof query === "string") return firstWord(query);
  const { name, text } = query as { readonly name?: unknown; readonly text?: unknown };
  if (typeof name === "string") return name;
  return typeof text === "string" ? firstWord(text) : undefined;
}

const firstWord = (text: string): string => /[A-Za-z]+/.exec(text)?.[0].toUpperCase() ?? "";
