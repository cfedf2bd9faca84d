// The process of the truth sink: `node truth-sink-main.js LEDGER OPTIONS`, started by startTruthSink with an IPC channel.

import { serveTruthSink, type SinkOptions } from "./truth-sink.ts";

serveTruthSink(process.argv[2]!, JSON.parse(process.argv[3]!) as SinkOptions);
