/** JSON as Go's encoder writes it, which scripts compare byte for byte. */

/** JSON on one line, with a line break at the end. */
export function goJson(value: unknown): string {
  return `${encode(value, '', '')}\n`;
}

/** JSON indented by two spaces, with a line break at the end. */
export function goJsonIndented(value: unknown): string {
  return `${encode(value, '  ', '\n')}\n`;
}

const PART_ITEMS = 1000;

/** An array as `goJsonIndented` writes it, some items at a time. */
export function* goJsonIndentedParts(items: Iterable<unknown>): Generator<string> {
  const indent = '\n  ';
  let part = '[';
  let count = 0;
  for (const item of items) {
    part += `${count === 0 ? '' : ','}${indent}${encode(item, '  ', indent)}`;
    count += 1;
    if (count % PART_ITEMS > 0) continue;
    yield part;
    part = '';
  }
  yield `${part}${count === 0 ? '' : '\n'}]\n`;
}

/** Bigints become numbers, dates RFC 3339; keys whose value is undefined are left out. */
function encode(value: unknown, step: string, indent: string): string {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Date) return JSON.stringify(value.toISOString());
  if (Array.isArray(value))
    return wrap(
      '[',
      ']',
      value.map((each) => encode(each, step, indent + step)),
      step,
      indent,
    );
  if (typeof value === 'object' && value !== null) {
    const colon = step === '' ? ':' : ': ';
    const pairs = Object.entries(value)
      .filter(([, each]) => each !== undefined)
      .map(([key, each]) => `${text(key)}${colon}${encode(each, step, indent + step)}`);
    return wrap('{', '}', pairs, step, indent);
  }
  return typeof value === 'string' ? text(value) : JSON.stringify(value ?? null);
}

function wrap(open: string, close: string, items: readonly string[], step: string, indent: string): string {
  if (items.length === 0) return open + close;
  if (step === '') return open + items.join(',') + close;
  return `${open}${indent}${step}${items.join(`,${indent}${step}`)}${indent}${close}`;
}

/** Go escapes characters that have a meaning in HTML or JavaScript. */
function text(value: string): string {
  return JSON.stringify(value).replaceAll(/[<>&\u2028\u2029]/g, (char) => {
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
