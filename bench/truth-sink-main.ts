// The process of the truth sink: `node truth-sink-main.js LEDGER [WORDS]`, started by startTruthSink with an IPC channel.

import { serveTruthSink } from "./truth-sink.ts";

serveTruthSink(process.argv[2]!, process.argv[3]);
