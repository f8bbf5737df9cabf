/** Values of log fields, as Go's slog renders them. */
import { messageWithCauses } from '../util/describe-error.ts';
import { redact } from '../util/secrets.ts';
import { formatDuration } from '../units/duration.ts';

/** Keys whose numbers are durations in milliseconds: `1h0m0s` in text, nanoseconds in JSON, as Go writes them. */
const DURATION_KEYS: ReadonlySet<string> = new Set([
  'backoff',
  'default',
  'duration',
  'elapsed',
  'interval',
  'left',
  'max_backoff',
  'remaining',
  'retention',
  'sync-interval',
  'ttl',
  'timeout',
]);

/** A signal: its name in text, its number in JSON, as Go writes them. */
export class LoggedSignal {
  readonly text: string;
  readonly number: number;

  constructor(text: string, number: number) {
    this.text = text;
    this.number = number;
  }
}

function isDuration(key: string, value: unknown): value is number {
  return typeof value === 'number' && DURATION_KEYS.has(key);
}

/** Text of a field, before quoting. */
export function fieldText(key: string, value: unknown): string {
  return isDuration(key, value) ? formatDuration(value) : valueText(value);
}

/** A field for JSON. */
export function fieldJson(key: string, value: unknown): unknown {
  return isDuration(key, value) ? Math.round(value * 1e6) : jsonValue(value);
}

/** Text of a value, before quoting. */
function valueText(value: unknown): string {
  if (value === undefined || value === null) return '<nil>';
  if (typeof value === 'string') return redact(value);
  if (value instanceof Date) return formatTime(value);
  if (Array.isArray(value)) return `[${value.map(valueText).join(' ')}]`;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (value instanceof Error) return messageWithCauses(value);
  if (value instanceof LoggedSignal) return value.text;
  if (typeof value === 'object') return JSON.stringify(value, fieldJson);
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') return String(value);
  return typeof value;
}

/** The same for JSON: errors as text, bigints as numbers where exact, everything else as it is. */
function jsonValue(value: unknown): unknown {
  if (value === undefined) return null;
  if (typeof value === 'string') return redact(value);
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (value instanceof Error) return messageWithCauses(value);
  if (value instanceof LoggedSignal) return value.number;
  return value;
}

/** RFC 3339 with milliseconds, in the time zone of the machine: as in the log lines of Litestream (Go). */
export function formatLocalTime(time: Date): string {
  const offset = -time.getTimezoneOffset();
  if (offset === 0 || Number.isNaN(offset)) return formatTime(time);
  const local = new Date(time.getTime() + offset * 60_000).toISOString().slice(0, -1);
  const [hours, minutes] = [Math.floor(Math.abs(offset) / 60), Math.abs(offset) % 60];
  return `${local}${offset < 0 ? '-' : '+'}${String(hours).padStart(2, '0')}:${String(minutes).padStart(2, '0')}`;
}

/** RFC 3339 with milliseconds, UTC. */
export function formatTime(time: Date): string {
  return Number.isNaN(time.getTime()) ? 'invalid time' : time.toISOString();
}
