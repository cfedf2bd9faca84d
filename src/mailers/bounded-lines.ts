// The lines of a program's output, however it is cut into pieces, with a bound on what is kept: of a line that is too
// long only the head is handed on. A last line without an end counts too.

export async function* boundedLines(
  pieces: AsyncIterable<Buffer | string>,
  lineCharsMax: number,
): AsyncGenerator<string, void, undefined> {
  let rest = "";
  for await (const piece of pieces) {
    const lines = piece.toString("utf8").split("\n");
    lines[0] = rest + lines[0]!;
    rest = lines.pop()!.slice(0, lineCharsMax);
    for (const line of lines) yield line.slice(0, lineCharsMax);
  }
  if (rest !== "") yield rest;
}
