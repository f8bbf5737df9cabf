/**
 * The shape of a log line: level, message, keys in their order, and of what kind each value is. What differs from run to
 * run (times, sizes, paths, texts of errors) is not part of it.
 */
import type { LogFormat } from './lives.ts';

export interface Shape {
  readonly level: string;
  readonly message: string;
  /** `key:kind`; those of a group in JSON as `txid.min:TXID` with `{}` around the group's members. */
  readonly fields: readonly string[];
}

/** Values that are part of the shape: what tools filter by. */
const FIXED_KEYS: ReadonlySet<string> = new Set(['system', 'subsystem', 'mode', 'status', 'replica', 'snap', 'chkpt']);

export function shapesOf(log: string, format: LogFormat): Shape[] {
  const shapes = new Map<string, Shape>();
  for (const line of log.split('\n')) {
    const shape = line.startsWith('{') ? shapeOfJson(line) : line.startsWith('time=') ? shapeOfText(line) : undefined;
    if (shape !== undefined && (format === 'json') === line.startsWith('{')) shapes.set(textOf(shape), shape);
  }
  return [...shapes.values()];
}

/** One line: `INFO compaction complete | system=store db:text level:number`. */
export function textOf({ level, message, fields }: Shape): string {
  return `${level} ${message} | ${fields.join(' ')}`.trimEnd();
}

/** The inverse of `textOf`. */
export function parseShape(text: string): Shape {
  const [, level = '', message = '', rest = ''] = /^([A-Z]+) (.*) \|(.*)$/.exec(text) ?? [];
  return { level, message, fields: rest.split(' ').filter((each) => each !== '') };
}

function shapeOfText(line: string): Shape | undefined {
  const pairs = [...line.matchAll(/([^\s=]+)=("(?:[^"\\]|\\.)*"|\S*)/g)].map(([, key = '', value = '']) => {
    return [key, value.startsWith('"') ? unquoted(value) : value] as const;
  });
  const level = pairs[1]?.[1] ?? '';
  const hasSource = pairs[2]?.[0] === 'source';
  const message = pairs[hasSource ? 3 : 2];
  if (message?.[0] !== 'msg') return undefined;
  const fields = pairs.slice(hasSource ? 4 : 3).map(([key, value]) => field(key, value, kindOfText(value)));
  return { level, message: message[1], fields: [...(hasSource ? ['source:text'] : []), ...fields] };
}

function unquoted(value: string): string {
  try {
    return JSON.parse(value) as string;
  } catch {
    return value.slice(1, -1); // An escape of Go's that JSON has not.
  }
}

function kindOfText(value: string): string {
  if (/^[0-9a-f]{16}$/.test(value)) return 'txid';
  if (/^-?\d+$/.test(value)) return 'number';
  if (/^-?([\d.]+(h|m|s|ms|µs|ns))+$/.test(value)) return 'duration';
  if (/^\d{4}-\d\d-\d\dT/.test(value)) return 'time';
  return /^(true|false)$/.test(value) ? 'boolean' : 'text';
}

/** Taken apart by hand: slog writes a field `level` beside its own, and of two keys of one name a parser keeps the last. */
const JSON_LINE =
  /^\{"time":"(?<time>[^"]+)","level":"(?<level>[A-Z]+)",(?:"source":(?<source>\{[^}]*\}),)?"msg":(?<message>"(?:[^"\\]|\\.)*")(?:,(?<rest>.*))?\}$/;

function shapeOfJson(line: string): Shape {
  const { level, source, message, rest = '' } = JSON_LINE.exec(line)?.groups ?? {};
  if (level === undefined || message === undefined) throw new Error(`not a log line: ${line}`);
  const own = source === undefined ? [] : [field('source', source, kindOfJson(JSON.parse(source)))];
  return {
    level,
    message: JSON.parse(message) as string,
    fields: [...own, ...fieldsOf(JSON.parse(`{${rest}}`) as object)],
  };
}

function fieldsOf(object: object): string[] {
  return Object.entries(object).map(([key, value]: [string, unknown]) => field(key, value, kindOfJson(value)));
}

function kindOfJson(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'list';
  if (typeof value === 'object') return `{${fieldsOf(value).join(',')}}`;
  return typeof value === 'string' ? kindOfText(value).replace(/number|duration|boolean/, 'text') : typeof value;
}

function field(key: string, value: unknown, kind: string): string {
  return FIXED_KEYS.has(key) && typeof value === 'string' && kind === 'text' ? `${key}=${value}` : `${key}:${kind}`;
}
