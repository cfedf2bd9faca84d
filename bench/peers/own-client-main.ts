// Our SMTP client alone: no database, no merge, no journal. What the road would reach if everything else were free.
// A process of its own, so that its event loop is nobody else's. Arguments: host, port, messages, bytes, connections.

import { createSmtpOutlet } from "../../src/handover/smtp-outlet.ts";
import type { HandOver } from "../../src/handover/outlet.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { silentLog } from "../../src/platform/log.ts";
import { systemRandom } from "../../src/platform/random.ts";
import { connectSocket, startTlsOn } from "../../src/processes/outlets.ts";

const [host = "", port = "", messages = "", messageBytes = "", connections = ""] = process.argv.slice(2);
const wanted = Number(messages);
const text = contentOf(Number(messageBytes));
let taken = 0;
let sent = 0;

const outlet = createSmtpOutlet(
  {
    name: "ceiling",
    hosts: [{ host, port: Number(port), weight: 1 }],
    heloName: "bench.example.com",
    tls: "off",
    connectionsMax: Number(connections),
    messagesPerConnectionMax: 1_000_000,
  },
  {
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    connect: connectSocket,
    startTls: startTlsOn,
  },
  {
    take: () => (taken < wanted ? handOver(taken++) : undefined),
    permitDots: () => true,
    finished(_token, result) {
      if (result.kind !== "replied" || result.reply.code !== 250) throw new Error(JSON.stringify(result));
      if (++sent === wanted) void end();
    },
  },
);
const startedAt = performance.now();
outlet.setLimit(2 * Number(connections));
outlet.wake();

function handOver(index: number): HandOver {
  return {
    token: String(index),
    envelope: { sender: "news@example.com", recipient: `user${index}@d${index % 1000}.example.com` },
    content: { text, isAscii: true },
  };
}

function contentOf(bytes: number): string {
  const head =
    "From: news@example.com\r\nTo: user@example.com\r\nSubject: Hello\r\nMessage-ID: <1@example.com>\r\n\r\n";
  const line = `${"x".repeat(70)}\r\n`;
  return head + line.repeat(Math.max(1, Math.ceil((bytes - head.length) / line.length)));
}

async function end(): Promise<void> {
  process.stdout.write(JSON.stringify({ per_s: (wanted * 1000) / (performance.now() - startedAt) }));
  await outlet.close();
}
