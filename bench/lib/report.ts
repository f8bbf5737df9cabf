/** Rows as a markdown table, for people; the JSON beside it holds every sample. */
import { goVersion } from '../../tests/support/go-litestream.ts';
import type { Row, Target } from './case.ts';
import { median, medianRatio } from './statistics.ts';

/** A row worked out: medians, and the ratios a target may be about. */
export interface Summary {
  readonly row: Row;
  readonly go: number | undefined;
  readonly other: number | undefined;
  readonly ours: number;
  readonly oursToGo: number | undefined;
  readonly oursToOther: number | undefined;
  /** Undefined where there is no target. */
  readonly met: boolean | undefined;
}

export function summarize(row: Row): Summary {
  const { go, other, ours, targets } = row;
  const summary = {
    row,
    go: go === undefined ? undefined : median(go),
    other: other === undefined ? undefined : median(other),
    ours: median(ours),
    oursToGo: go === undefined ? undefined : medianRatio(ours, go),
    oursToOther: other === undefined ? undefined : medianRatio(ours, other),
  };
  return { ...summary, met: targets?.every((target) => isMet(target, summary)) };
}

function isMet(target: Target, summary: Omit<Summary, 'met'>): boolean {
  const { ours, oursToGo, oursToOther } = summary;
  const value = { ours, 'ours/go': oursToGo, 'ours/other': oursToOther }[target.of];
  return value !== undefined && value <= (target.max ?? Infinity) && value >= (target.min ?? -Infinity);
}

export function markdownTable(rows: readonly Row[]): string {
  const head = ['work', 'measure', `Go ${goVersion}`, 'baseline', 'ours', 'ours : Go', 'ours : baseline', 'target', ''];
  const lines = rows.map((row) => {
    const { go, other, ours, oursToGo, oursToOther, met } = summarize(row);
    const baseline = other === undefined ? '' : `${number(other, row.unit)} (${row.otherName ?? 'baseline'})`;
    return [
      row.work,
      row.measure,
      number(go, row.unit),
      baseline,
      number(ours, row.unit),
      ratio(oursToGo),
      ratio(oursToOther),
      (row.targets ?? []).map((target) => describeTarget(target, row)).join(', '),
      met === undefined ? '' : met ? 'met' : '**missed**',
    ];
  });
  const cells = [head, head.map((_, index) => (index > 1 && index < 7 ? '---:' : '---')), ...lines];
  const widths = head.map((_, column) => Math.max(...cells.map((line) => line[column]?.length ?? 0)));
  return cells
    .map((line) => `| ${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`)
    .join('\n');
}

function describeTarget({ of, max, min }: Target, { unit, otherName }: Row): string {
  const limit = max === undefined ? `≥ ${number(min, of === 'ours' ? unit : '')}` : `≤ ${fraction(max, of, unit)}`;
  return of === 'ours' ? limit : `${limit} × ${of === 'ours/go' ? 'Go' : (otherName ?? 'baseline')}`;
}

function fraction(max: number, of: Target['of'], unit: Row['unit']): string {
  if (of === 'ours') return number(max, unit);
  return max < 1 ? `1/${Math.round(1 / max)}` : String(max);
}

function ratio(value: number | undefined): string {
  if (value === undefined) return '';
  return value < 0.5 ? `1/${(1 / value).toFixed(1)}` : value.toFixed(2);
}

function number(value: number | undefined, unit: Row['unit']): string {
  if (value === undefined) return '';
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)}${unit === '' ? '' : ` ${unit}`}`;
}
