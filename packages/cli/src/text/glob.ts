/** File name patterns as Go's `filepath.Match` reads them: `*`, `?`, `[a-z]`, `[^a-z]`, `\x`. */
import { LitestreamError } from '@litestream/core';

/** Tests names against the pattern. Rejects a pattern that is not well-formed. */
export function compileGlob(pattern: string): (name: string) => boolean {
  let source = '';
  for (let at = 0; at < pattern.length; at += 1) {
    const char = pattern.charAt(at);
    if (char === '*') source += '[^/]*';
    else if (char === '?') source += '[^/]';
    else if (char === '[') {
      const end = /^\[\^?(?:\\.|[^\\\]])+\]/.exec(pattern.slice(at))?.[0];
      if (end === undefined) throw bad(pattern);
      source += end.replaceAll(/\\(.)/gsu, (_, char: string) => (/[\\\]^-]/.test(char) ? `\\${char}` : char));
      at += end.length - 1;
    } else if (char === '\\') {
      const next = pattern.charAt((at += 1));
      if (next === '') throw bad(pattern);
      source += escapeRegExp(next);
    } else source += escapeRegExp(char);
  }
  const expression = new RegExp(`^${source}$`, 'su');
  return (name) => expression.test(name);
}

function escapeRegExp(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}

function bad(pattern: string): LitestreamError {
  return new LitestreamError(`pattern ${pattern} is not well-formed`, {
    code: 'CONFIG_INVALID',
    hint: 'Close every [ and do not end with a backslash.',
  });
}
