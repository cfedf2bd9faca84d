// A server of a benchmark in a process of its own, so that it shares no event loop with what is measured: started from
// the very file that serves, asked over IPC, gone with the scope. It answers each message with one of its own.

import { fork } from "node:child_process";
import { once } from "node:events";
import type { Scope } from "../test/rig/scope.ts";

export interface ForkedChild {
  /** Sends it, if it is given, and resolves with the child's next message. */
  ask(message?: unknown): Promise<unknown>;
}

export function forkChild(scope: Scope, file: string, args: readonly string[]): ForkedChild {
  // Its own process group: Ctrl-C reaches us first, and we end it when its figures were read.
  const child = fork(file, [...args], { stdio: ["ignore", "ignore", "inherit", "ipc"], detached: true });
  const ended = once(child, "exit");
  scope.after(async () => {
    if (child.connected) child.disconnect();
    await ended;
  });
  return {
    async ask(message) {
      const answer = once(child, "message");
      if (message !== undefined) child.send(message as object);
      return ((await answer) as [unknown])[0];
    },
  };
}
