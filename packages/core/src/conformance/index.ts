export { VARIATIONS } from './case.ts';
export type { CaseContext, ConformanceCase, Requirement, TestFile, Variation } from './case.ts';
export { CASES, CASE_GROUPS } from './cases/index.ts';
export type { ConformanceOptions } from './options.ts';
export { summarize } from './report.ts';
export type { CaseResult, Report } from './report.ts';
export { conformance, runConformance } from './suite.ts';
