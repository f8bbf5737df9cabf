export { VARIATIONS } from './model/case.ts';
export type { CaseContext, ConformanceCase, Requirement, TestFile, Variation } from './model/case.ts';
export { CASES, CASE_GROUPS } from './cases/index.ts';
export type { ConformanceOptions } from './model/options.ts';
export { summarize } from './model/report.ts';
export type { CaseResult, Report } from './model/report.ts';
export { conformance, runConformance } from './suite.ts';
