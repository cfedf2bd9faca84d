// What a configuration that is right by itself leaves out, where mail leaves this machine. Pure.

import { defaultFrom, type Config } from "../platform/config.ts";
import { finding, foundIf, type Finding } from "./finding.ts";

/** `machine`: its name, of which a sender is made up where nobody chose one. */
export function judgeConfig(config: Config, machine: string): readonly Finding[] {
  const isBulkOut = Object.values(config.lanes).some(
    (lane) => lane.priority === "bulk" && lane.outlets.some((name) => config.outlets[name]?.type === "smtp"),
  );
  const isOut = leavesMachine(config);
  return [
    ...foundIf(isOut && config.from === defaultFrom(machine), () =>
      finding("from_default", `mail without a sender of its own comes from ${config.from}`),
    ),
    ...foundIf(isBulkOut && config.publicUrl === undefined, () =>
      finding("public_url_missing", "public_url is not set, and bulk goes out"),
    ),
    ...foundIf(isOut && config.returnsDomain === undefined, () =>
      finding("returns_domain_missing", "returns.domain is not set"),
    ),
  ];
}

export function leavesMachine({ lanes, outlets }: Pick<Config, "lanes" | "outlets">): boolean {
  return Object.values(lanes).some((lane) => lane.outlets.some((name) => outlets[name]?.type === "smtp"));
}
