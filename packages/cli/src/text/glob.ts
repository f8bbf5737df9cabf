/** File name patterns as Go's `filepath.Match` reads them: `*`, `?`, `[a-z]`, `[^a-z]`, `\x`. */
import { LitestreamError } from '@litestream/core';

/** A matcher of one character, or `*`. */
type Part = '*' | ((char: string) => boolean);

/**
 * Tests names against the pattern, in time proportional to the length of the name times that of the pattern: names of files
 * are not trusted. Throws for a pattern that is not well-formed.
 */
export function compileGlob(pattern: string): (name: string) => boolean {
  const parts = partsOf(pattern);
  return (name) => matches(parts, Array.from(name));
}

function partsOf(pattern: string): readonly Part[] {
  const parts: Part[] = [];
  for (let at = 0; at < pattern.length;) {
    const char = String.fromCodePoint(pattern.codePointAt(at) ?? 0);
    at += char.length;
    if (char === '*') parts.push('*');
    else if (char === '?') parts.push((other) => other !== '/');
    else if (char === '[') {
      const set = /^\[\^?(?:\\.|[^\\\]])+\]/su.exec(pattern.slice(at - 1))?.[0];
      if (set === undefined) throw bad(pattern);
      at += set.length - 1;
      parts.push(setOf(set, pattern));
    } else if (char === '\\') {
      const next = pattern.codePointAt(at);
      if (next === undefined) throw bad(pattern);
      const wanted = String.fromCodePoint(next);
      at += wanted.length;
      parts.push((other) => other === wanted);
    } else parts.push((other) => other === char);
  }
  return parts;
}

/** `[a-z]`. For one character, a regular expression takes no longer than a comparison. */
function setOf(set: string, pattern: string): Part {
  const source = set.replaceAll(/\\(.)/gsu, (_, char: string) => (/[\\\]^-]/.test(char) ? `\\${char}` : char));
  try {
    const expression = new RegExp(`^${source}$`, 'su');
    return (char) => expression.test(char);
  } catch {
    throw bad(pattern);
  }
}

/** Only the last `*` ever has to match more: the parts before it are already at their earliest place. */
function matches(parts: readonly Part[], chars: readonly string[]): boolean {
  let part = 0;
  let char = 0;
  let star: { readonly part: number; char: number } | undefined;
  while (char < chars.length) {
    const wanted = parts[part];
    const given = chars[char] ?? '';
    if (wanted === '*') {
      star = { part, char };
      part += 1;
    } else if (wanted?.(given) === true) {
      part += 1;
      char += 1;
    } else if (star === undefined || chars[star.char] === '/') return false;
    else {
      star.char += 1;
      char = star.char;
      part = star.part + 1;
    }
  }
  return parts.slice(part).every((rest) => rest === '*');
}

function bad(pattern: string): LitestreamError {
  return new LitestreamError(`pattern ${pattern} is not well-formed`, {
    code: 'CONFIG_INVALID',
    hint: 'Close every [ and do not end with a backslash.',
  });
}
