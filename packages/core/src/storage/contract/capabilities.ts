import type { Capabilities } from './contract.ts';

/** Every capability with a value. */
export type ResolvedCapabilities = { readonly [K in keyof Capabilities]-?: NonNullable<Capabilities[K]> };

/** The capabilities of a client, with the defaults that `Capabilities` documents. */
export function resolveCapabilities(declared: Capabilities): ResolvedCapabilities {
  const objects = declared.objects ?? false;
  const conditions = objects && (declared.conditions ?? false);
  return {
    objects,
    conditions,
    conditionalDelete: conditions && (declared.conditionalDelete ?? true),
    timestamps: declared.timestamps ?? 'none',
    timestampResolutionMs: declared.timestampResolutionMs ?? 1,
    batchDelete: declared.batchDelete ?? false,
    seekListing: declared.seekListing ?? false,
    conditionalCreate: declared.conditionalCreate ?? false,
    atomicReplace: declared.atomicReplace ?? true,
    ranges: declared.ranges ?? true,
  };
}
