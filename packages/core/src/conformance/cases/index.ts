import type { ConformanceCase } from '../model/case.ts';
import { abortingCases } from './aborting.ts';
import { conditionCases } from './conditions.ts';
import { creatingCases } from './creating.ts';
import { deletingCases } from './deleting.ts';
import { failingCases } from './failing.ts';
import { largeCases } from './large.ts';
import { lifecycleCases } from './lifecycle.ts';
import { listingCases } from './listing.ts';
import { objectCases } from './objects.ts';
import { readingCases } from './reading.ts';
import { writingCases } from './writing.ts';

/** The cases by what they are about, for reports. */
export const CASE_GROUPS: Readonly<Record<string, readonly ConformanceCase[]>> = {
  lifecycle: lifecycleCases,
  listing: listingCases,
  reading: readingCases,
  writing: writingCases,
  creating: creatingCases,
  deleting: deletingCases,
  aborting: abortingCases,
  objects: objectCases,
  conditions: conditionCases,
  refusals: failingCases,
  large: largeCases,
};

/** Every promise of the contract. A test holds their number, so that none is lost unnoticed. */
export const CASES: readonly ConformanceCase[] = Object.values(CASE_GROUPS).flat();
