// Postfix as a relay, as many sites have it: fed by `smtp-source` over kept sessions, delivering into `smtp-sink`.
// Measured from the first connection until the sink has the last message. The instance is private, with Postfix's own
// defaults wherever they bear on speed: only limits against abuse by one client are lifted.

import { postfixLack, startPostfix } from "../../test/rig/postfix.ts";
import { inScope } from "../../test/rig/scope.ts";
import { startSmtpSink } from "../../test/rig/smtp-sink.ts";
import type { PeerLoad, PeerResult } from "../bench-result.ts";
import { feedBySmtpSource, smtpProgramMissing } from "./smtp-source.ts";

const deliverMsMax = 600_000;

export interface PostfixLoad extends PeerLoad {
  /** The slow disk, if wanted. */
  readonly env?: Readonly<Record<string, string>>;
}

export function measurePostfixRelay(load: PostfixLoad): Promise<PeerResult> {
  const missing = postfixLack() ?? smtpProgramMissing();
  if (missing !== undefined) return Promise.resolve({ missing });
  return inScope(async (scope) => {
    const sink = await startSmtpSink(scope);
    const postfix = await startPostfix(scope, { relayTo: sink, ...(load.env === undefined ? {} : { env: load.env }) });
    const startedAt = performance.now();
    const [, received] = await Promise.all([
      feedBySmtpSource(postfix.port, load),
      sink.waitForCount(load.messages, deliverMsMax),
    ]);
    const seconds = (performance.now() - startedAt) / 1000;
    if (received !== load.messages) throw new Error(`the sink got ${received} messages of ${load.messages}`);
    return { perS: load.messages / seconds };
  });
}
