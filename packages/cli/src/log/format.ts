/** Formats a log line in the three formats of the `logging.type` key. */
import type { LogFields } from '@litestream/core';
import { quoteIfNeeded } from './quote.ts';
import { fieldJson, fieldText, formatLocalTime } from './value.ts';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export const LOG_TYPES = ['text', 'json', 'pretty'] as const;
export type LogType = (typeof LOG_TYPES)[number];

export interface LogSource {
  readonly function: string;
  readonly file: string;
  readonly line: number;
}

export interface LogRecord {
  readonly time: Date;
  readonly level: LogLevel;
  readonly message: string;
  /** The caller, with `logging.source`. */
  readonly source?: LogSource | undefined;
  readonly fields: LogFields;
}

export interface LineStyle {
  readonly type: LogType;
  readonly colour: boolean;
}

export function lineFormat({ type, colour }: LineStyle): (record: LogRecord) => string {
  if (type === 'json') return formatJson;
  return type === 'pretty' ? (record) => formatPretty(record, colour) : formatText;
}

/** `time=… level=INFO msg="initialized db" path=/app.db`: slog's text format. */
export function formatText({ time, level, message, source, fields }: LogRecord): string {
  let line = `time=${formatLocalTime(time)} level=${level.toUpperCase()}`;
  if (source !== undefined) line += ` source=${quoteIfNeeded(`${source.file}:${source.line}`)}`;
  line += ` msg=${quoteIfNeeded(message)}`;
  for (const [key, value] of Object.entries(fields)) {
    line += ` ${quoteIfNeeded(key)}=${quoteIfNeeded(fieldText(key, value))}`;
  }
  return line;
}

/**
 * One JSON object; fields with the name of a built-in key come after it, as slog writes them. Neighbours `txid.min` and
 * `txid.max` are a group, which is an object of its own.
 */
export function formatJson({ time, level, message, source, fields }: LogRecord): string {
  const pairs: [string, unknown][] = [
    ['time', formatLocalTime(time)],
    ['level', level.toUpperCase()],
  ];
  if (source !== undefined) pairs.push(['source', source]);
  pairs.push(['msg', message], ...Object.entries(fields));
  return objectJson(pairs);
}

function objectJson(pairs: readonly (readonly [string, unknown])[]): string {
  const members: string[] = [];
  for (let index = 0; index < pairs.length; index += 1) {
    const [key, value] = pairs[index] ?? ['', undefined];
    const [, group] = /^([^.]+)\../.exec(key) ?? [];
    if (group === undefined) {
      members.push(`${JSON.stringify(key)}:${JSON.stringify(fieldJson(key, value), fieldJson)}`);
      continue;
    }
    const inGroup: [string, unknown][] = [];
    while (pairs[index]?.[0].startsWith(`${group}.`) === true) {
      const [name, member] = pairs[index] ?? ['', undefined];
      inGroup.push([name.slice(group.length + 1), member]);
      index += 1;
    }
    index -= 1;
    members.push(`${JSON.stringify(group)}:${objectJson(inGroup)}`);
  }
  return `{${members.join(',')}}`;
}

const SHORT_LEVEL: Readonly<Record<LogLevel, string>> = {
  trace: 'TRC',
  debug: 'DBG',
  info: '\u001B[92mINF\u001B[0m',
  warn: '\u001B[93mWRN\u001B[0m',
  error: '\u001B[91mERR\u001B[0m',
};

/** `15:04:05 INF initialized db path=/app.db`, for people. */
export function formatPretty({ time, level, message, source, fields }: LogRecord, colour: boolean): string {
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()]
    .map((n) => String(n).padStart(2, '0'))
    .join(':');
  let line = `${faint(clock)} ${SHORT_LEVEL[level]} `;
  if (source !== undefined) line += `${faint(`${source.file}:${source.line}`)} `;
  line += message;
  for (const [key, value] of Object.entries(fields)) {
    line += ` ${faint(`${quoteIfNeeded(key)}=`)}${quoteIfNeeded(fieldText(key, value))}`;
  }
  // oxlint-disable-next-line no-control-regex -- these are the escape sequences written above
  return colour ? line : line.replaceAll(/\u001B\[\d+m/g, '');
}

function faint(text: string): string {
  return `\u001B[2m${text}\u001B[0m`;
}
