/** Holds the shapes of our log lines to those of Go's. */
import type { LogFormat } from './lives.ts';
import { ADDED_KEYS, FROM_SOURCE, GO_ALONE, OTHER_KEYS, OURS_ALONE } from './reasons.ts';
import { parseShape, textOf } from './shapes.ts';
import type { Shape } from './shapes.ts';

/** Shapes by format, as text, sorted: what is recorded of Go. */
export type Recorded = Readonly<Record<LogFormat, readonly string[]>>;

export interface Verdict {
  readonly message: string;
  /** As in docs/reports/drop-in.md. */
  readonly answer: string;
}

/** What our shapes are beside Go's; throws no errors, but tells in `faults` what has no reason. */
export function compare(
  format: LogFormat,
  go: readonly string[],
  ours: readonly Shape[],
): { readonly verdicts: readonly Verdict[]; readonly faults: readonly string[] } {
  const known = [...go, ...FROM_SOURCE.map((text) => ofFormat(text, format))].map(parseShape);
  const verdicts: Verdict[] = [];
  const faults: string[] = [];
  for (const shape of ours) {
    const answer = answerFor(shape, known);
    if (answer === undefined) faults.push(`ours logs, and Go does not: ${textOf(shape)}`);
    else verdicts.push({ message: shape.message, answer });
  }
  const said = new Set(ours.map(({ message }) => message));
  const sometimes = new Set(FROM_SOURCE.map((text) => parseShape(text).message));
  for (const message of new Set(go.map((text) => parseShape(text).message))) {
    const why = GO_ALONE[message];
    if (why !== undefined) verdicts.push({ message, answer: `not in ours: ${why}` });
    else if (!said.has(message) && !sometimes.has(message)) faults.push(`Go logs, and ours does not: ${message}`);
  }
  return { verdicts, faults };
}

function answerFor(shape: Shape, known: readonly Shape[]): string | undefined {
  const like = known.filter(({ level, message }) => level === shape.level && message === shape.message);
  if (like.some((other) => textOf(other) === textOf(shape))) return 'same';
  for (const { fields } of like) {
    const isStart = fields.every((field, index) => shape.fields[index] === field);
    const added = shape.fields.slice(fields.length).map((field) => /^\w+/.exec(field)?.[0] ?? '');
    if (isStart && added.every((key) => Object.hasOwn(ADDED_KEYS, key))) return `adds ${added.join(', ')}`;
  }
  const other = OTHER_KEYS[shape.message];
  if (like.length > 0 && other !== undefined) return `other keys: ${other}`;
  const own = OURS_ALONE[shape.message];
  return own === undefined ? undefined : `not in Go: ${own}`;
}

/** A shape of text lines as JSON has it: durations are numbers there, and the source comes first. */
function ofFormat(text: string, format: LogFormat): string {
  if (format === 'text') return text;
  const shape = parseShape(text);
  const fields = shape.fields.map((field) => field.replace(':duration', ':number'));
  return textOf({ ...shape, fields: ['source:{function:text,file:text,line:number}', ...fields] });
}
