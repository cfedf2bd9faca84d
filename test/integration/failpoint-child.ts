// A process that touches the outside as a dispatcher does, one touch after the other: it claims, notes a dot, writes a
// content, reads the reply, notes the answer, settles, and removes its journal. What it has done, its surroundings show.

import { once } from "node:events";
import net from "node:net";
import path from "node:path";
import pg from "pg";
import { openJournal } from "../../src/dispatcher/journal.ts";
import type { LaneId, LeaseId, MessageId } from "../../src/mail/ids.ts";

const [folder, port, databaseUrl] = process.argv.slice(5) as [string, string, string];

const client = new pg.Client({ connectionString: databaseUrl });
await client.connect();
await client.query({ name: "queue_claim", text: "INSERT INTO touched VALUES ('claimed')" });
const journal = openJournal(path.join(folder, "bulk-7.journal"), {
  bootId: "boot",
  leaseId: 7 as LeaseId,
  laneId: 1 as LaneId,
  pid: process.pid,
  processStart: "0",
});
const attempt = { messageId: 12 as MessageId, attempt: 1 };
journal.dots([{ ...attempt, outlet: "sink", clientPort: 25 }]);
const socket = net.connect(Number(port), "127.0.0.1");
await once(socket, "connect");
socket.cork();
socket.write("begin, and then the end\r\n.\r\n", "latin1");
socket.uncork();
await once(socket, "data");
journal.answer(attempt, { kind: "sent", outlet: "sink", host: "", reply: "250", isOwnFault: false });
journal.flush();
await client.query("BEGIN");
await client.query({ name: "lease_hold", text: "SELECT 1" });
await client.query("INSERT INTO touched VALUES ('settled')");
await client.query("COMMIT");
journal.close();
journal.remove();
socket.destroy();
await client.end();
