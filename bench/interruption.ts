// Ctrl-C, a service manager's SIGTERM and a closed terminal, as a promise that rejects: raced against the work inside a
// scope, it ends the work early, and the scope removes what was made all the same. Further signals are ignored meanwhile.

export class Interrupted extends Error {
  constructor(signal: NodeJS.Signals) {
    super(`interrupted by ${signal}`);
    this.name = "Interrupted";
  }
}

export function interruption(): Promise<never> {
  const interrupted = new Promise<never>((_, reject) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
      process.on(signal, () => reject(new Interrupted(signal)));
  });
  interrupted.catch(() => {}); // It may come when nobody listens any more.
  return interrupted;
}
