import type { ConformanceCase, Variation } from './case.ts';

/** The result of one case in one variation. */
export interface CaseResult {
  readonly name: string;
  readonly variation: Variation;
  readonly outcome: 'passed' | 'failed' | 'skipped';
  /** Requirements that the adapter does not meet, if the case was skipped. */
  readonly lacks?: readonly string[] | undefined;
  readonly error?: unknown;
  readonly durationMs: number;
}

export interface Report {
  readonly name: string;
  readonly seed: number;
  readonly results: readonly CaseResult[];
}

/** Cases planned: each in each of the variations it makes sense in. */
export function plan(
  cases: readonly ConformanceCase[],
  variations: readonly Variation[],
): { readonly testCase: ConformanceCase; readonly variation: Variation }[] {
  return variations.flatMap((variation) =>
    cases
      .filter((testCase) => testCase.variations?.includes(variation) ?? true)
      .map((testCase) => ({ testCase, variation })),
  );
}

export function countOf(results: readonly CaseResult[], outcome: CaseResult['outcome']): number {
  return results.filter((result) => result.outcome === outcome).length;
}

/** A few lines for the terminal: how many ran, and which were skipped for what. */
export function summarize({ name, seed, results }: Report): string {
  const ran = countOf(results, 'passed') + countOf(results, 'failed');
  const skipped = new Map<string, string>();
  for (const result of results) {
    if (result.outcome === 'skipped') skipped.set(result.name, (result.lacks ?? []).join(', '));
  }
  return [
    `${name}: ${ran} of ${results.length} conformance cases ran, ${countOf(results, 'failed')} failed, ` +
      `${countOf(results, 'skipped')} skipped; seed ${seed}`,
    ...[...skipped].map(([title, lacks]) => `  skipped: ${title} (not met: ${lacks})`),
  ].join('\n');
}
