import assert from "node:assert/strict";
import { test } from "node:test";
import { CommandFailure, explainFailure, misused } from "./command-failure.ts";

test("a failure of a command says its sentence and its exit code", () => {
  assert.deepEqual(explainFailure(new CommandFailure("lane_unknown", "There is no lane.")), {
    exitCode: 1,
    code: "lane_unknown",
    message: "There is no lane.",
  });
  assert.equal(explainFailure(misused("Give ids.")).exitCode, 2);
});

test("an error of the database becomes a sentence, with its hint", () => {
  const error = Object.assign(new Error("permission denied for schema postlane"), { code: "42501", hint: "GRANT it." });
  assert.deepEqual(explainFailure(error), {
    exitCode: 1,
    code: "42501",
    message: "Permission denied for schema postlane. GRANT it.",
  });
});

test("what is no error is told as it is", () => {
  assert.equal(explainFailure("odd").message, "odd");
});
