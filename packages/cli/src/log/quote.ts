/** Quoting of slog's text format. */

/** Text that is neither empty nor ambiguous stays bare; the rest is quoted as Go quotes strings. */
export function quoteIfNeeded(text: string): string {
  return needsQuoting(text) ? quote(text) : text;
}

function needsQuoting(text: string): boolean {
  // Control characters, space, ", =, lone surrogates, and characters that do not print, such as spaces other than U+0020.
  return text === '' || /[\p{C}\p{Z}"=\uFFFD]/u.test(text.replaceAll('\u007F', ''));
}

const SHORT: Readonly<Record<string, string>> = {
  '\u0007': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '"': '\\"',
  '\\': '\\\\',
};

function quote(text: string): string {
  let out = '"';
  for (const char of text) {
    const short = SHORT[char];
    if (short !== undefined) out += short;
    else if (char === ' ' || !/[\p{C}\p{Z}]/u.test(char)) out += char;
    else out += escapeCode(char.codePointAt(0) ?? 0);
  }
  return `${out}"`;
}

function escapeCode(code: number): string {
  if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`;
  if (code >= 0xd800 && code <= 0xdfff) return '\\ufffd';
  return code < 0x1_0000 ? `\\u${code.toString(16).padStart(4, '0')}` : `\\U${code.toString(16).padStart(8, '0')}`;
}
