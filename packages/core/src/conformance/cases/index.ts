import type { ConformanceCase } from '../case.ts';
import { abortingCases } from './aborting.ts';
import { conditionCases } from './conditions.ts';
import { deletingCases } from './deleting.ts';
import { failingCases } from './failing.ts';
import { largeCases } from './large.ts';
import { lifecycleCases } from './lifecycle.ts';
import { listingCases } from './listing.ts';
import { objectCases } from './objects.ts';
import { readingCases } from './reading.ts';
import { writingCases } from './writing.ts';

/** Every promise of the contract. A test holds their number, so that none is lost unnoticed. */
export const CASES: readonly ConformanceCase[] = [
  ...lifecycleCases,
  ...listingCases,
  ...readingCases,
  ...writingCases,
  ...deletingCases,
  ...abortingCases,
  ...objectCases,
  ...conditionCases,
  ...failingCases,
  ...largeCases,
];
