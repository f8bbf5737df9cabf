/** Parses and formats points in time. A time without a zone is in the time zone of this machine. */
import { parseObjectTime } from '@litestream/core';
import { parseDuration } from './duration.ts';

const FORMS = 'must be a time such as 2026-01-31T14:05:00Z, "2026-01-31 14:05" (local), "yesterday 14:05" or "2h ago"';

const LOCAL = /^(?:(\d{4})-(\d\d)-(\d\d)[T ]|(today|yesterday) )(\d\d?):(\d\d)(?::(\d\d)(?:\.(\d{1,3}))?)?$/i;
const ZONED = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d(?:\.\d{1,9})?)? ?(z|utc|[-+]\d\d:?\d\d)$/i;
const AGO = /^(.*\S) ago$/i;
const COUNT_OF_UNITS = /^(\d+) ?(s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?)$/i;
const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

const DAY_MS = 86_400_000;

interface LocalFields {
  readonly year: number;
  /** From 0, as in `Date`. */
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly ms: number;
}

/**
 * Parses RFC 3339, also with a space for the `T`, without seconds, or without a zone (local time); `today HH:MM`, `yesterday HH:MM`;
 * `2h30m ago`, `3 days ago`. Throws for other texts, for dates and times that do not exist, and for a local time that exists
 * twice because clocks were set back.
 */
export function parsePointInTime(text: string, nowMs: number = Date.now()): Date {
  const time = parseObjectTime(text) ?? zonedTime(text) ?? agoTime(text, nowMs);
  if (time !== undefined) return time;
  const fields = localFields(text, new Date(nowMs));
  if (fields === undefined) throw new Error(FORMS);
  const [first, second] = instantsOf(fields);
  if (first === undefined)
    throw new Error('does not exist in the time zone of this machine: clocks were set forward then');
  if (second === undefined) return first;
  const both = [first, second].map((each) => formatWithOffset(each)).join(' or ');
  throw new Error(`exists twice in the time zone of this machine, because clocks were set back: use ${both}`);
}

/** `2026-01-31 14:05:00 +01:00`, in the time zone of this machine. */
export function formatWithOffset(time: Date): string {
  const offset = -time.getTimezoneOffset();
  const local = new Date(time.getTime() + offset * 60_000).toISOString();
  const [hours, minutes] = [Math.abs(offset) / 60, Math.abs(offset) % 60].map((part) => twoDigits(Math.floor(part)));
  return `${local.slice(0, 10)} ${local.slice(11, 19)} ${offset < 0 ? '-' : '+'}${hours}:${minutes}`;
}

function zonedTime(text: string): Date | undefined {
  const [, date, time, seconds = ':00', zone = ''] = ZONED.exec(text) ?? [];
  if (date === undefined) return undefined;
  const offset = /^(z|utc)$/i.test(zone) ? 'Z' : zone.replace(/^(...)(\d\d)$/, '$1:$2');
  return parseObjectTime(`${date}T${time}${seconds}${offset}`);
}

function agoTime(text: string, nowMs: number): Date | undefined {
  const amount = AGO.exec(text)?.[1];
  if (amount === undefined) return undefined;
  const ageMs = ageOf(amount);
  const time = ageMs === undefined ? undefined : new Date(nowMs - ageMs);
  return time === undefined || Number.isNaN(time.getTime()) ? undefined : time;
}

function ageOf(amount: string): number | undefined {
  const [, count, unit = ''] = COUNT_OF_UNITS.exec(amount) ?? [];
  if (count !== undefined) return Number(count) * (UNIT_MS[unit.charAt(0).toLowerCase()] ?? Number.NaN);
  const durationMs = parseDuration(amount);
  return durationMs !== undefined && durationMs >= 0 ? durationMs : undefined;
}

function localFields(text: string, now: Date): LocalFields | undefined {
  const match = LOCAL.exec(text);
  if (match === null) return undefined;
  const [year, month, day] = match[4] === undefined ? match.slice(1, 4).map(Number) : dayOf(match[4], now);
  const [hour = 0, minute = 0, second = 0] = match.slice(5, 8).map((part) => Number(part ?? 0));
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  const fields = { year: year ?? 0, month: (month ?? 0) - 1, day: day ?? 0, hour, minute, second };
  const isDate = new Date(Date.UTC(fields.year, fields.month, fields.day)).getUTCDate() === fields.day;
  const isMonth = fields.month >= 0 && fields.month <= 11;
  return isDate && isMonth ? { ...fields, ms: Number((match[8] ?? '0').padEnd(3, '0')) } : undefined;
}

function dayOf(word: string, now: Date): readonly [number, number, number] {
  const day = new Date(now.getFullYear(), now.getMonth(), now.getDate() - (word.toLowerCase() === 'today' ? 0 : 1));
  return [day.getFullYear(), day.getMonth() + 1, day.getDate()];
}

/** The instants at which clocks in this time zone show these fields, in order: none, one or two. */
function instantsOf(fields: LocalFields): Date[] {
  const { year, month, day, hour, minute, second, ms } = fields;
  const asUtcMs = Date.UTC(year, month, day, hour, minute, second, ms);
  // Offsets of zones are between -12 h and +14 h, and change at most once in two days.
  const offsets = new Set([asUtcMs - DAY_MS, asUtcMs + DAY_MS].map((nearMs) => new Date(nearMs).getTimezoneOffset()));
  const candidates = [...offsets].map((offset) => new Date(asUtcMs + offset * 60_000));
  const shown = candidates.filter((time) => asUtcMs === time.getTime() - time.getTimezoneOffset() * 60_000);
  return shown.toSorted((a, b) => a.getTime() - b.getTime());
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}
