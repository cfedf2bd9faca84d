// The preheader is the line that a mail program shows behind the subject in its list. It travels as a hidden block at
// the top of the HTML: right after the body tag, or in front of everything when there is none.

export function insertPreheader(html: string, preheader: string): string {
  const hidden = `<div style="display:none;max-height:0;overflow:hidden;mso-hide:all">${preheader}</div>`;
  const body = BODY_TAG.exec(html);
  const at = body ? body.index + body[0].length : 0;
  return html.slice(0, at) + hidden + html.slice(at);
}

/** An attribute may hold a `>` in quotes or in Liquid. Each alternative has one way to match, so a broken tag costs little. */
const BODY_TAG = /<body(?:\s(?:\{\{(?:(?!\}\})[^])*\}\}|\{%(?:(?!%\})[^])*%\}|"[^"]*"|'[^']*'|[^>"'{]|\{(?![{%]))*)?>/i;
