/** What a listing promises, worked out without any code of the product. */

export interface Span {
  readonly minTxid: bigint;
  readonly maxTxid: bigint;
}

/** Every TXID at which a chain of whole files ends that begins at TXID 1, ascending. */
export function restorableEnds(files: readonly Span[]): readonly bigint[] {
  const ends: bigint[] = [];
  const sorted = [...files].sort((a, b) => (a.maxTxid < b.maxTxid ? -1 : a.maxTxid > b.maxTxid ? 1 : 0));
  for (let next = 0; next < sorted.length;) {
    const end = sorted[next]?.maxTxid ?? 0n;
    const before = ends.at(-1) ?? 0n;
    let reached = false;
    for (; sorted[next]?.maxTxid === end; next += 1) {
      const minTxid = sorted[next]?.minTxid ?? 0n;
      // Ends ascend, so the nearest one is the best predecessor there is.
      if (minTxid === 1n || (ends.length > 0 && minTxid <= before + 1n)) reached = true;
    }
    if (reached) ends.push(end);
  }
  return ends;
}
