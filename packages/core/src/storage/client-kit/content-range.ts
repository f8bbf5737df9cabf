/**
 * Bytes of the whole object that an HTTP answer has a part of, or all of; undefined if it does not say so.
 *
 * @param contentRange as in `bytes 0-9/100`
 */
export function wholeSize(
  contentRange: string | null | undefined,
  contentLength: number | undefined,
): number | undefined {
  const total = /\/(\d+)$/.exec(contentRange ?? '')?.[1];
  return total === undefined ? contentLength : Number(total);
}
