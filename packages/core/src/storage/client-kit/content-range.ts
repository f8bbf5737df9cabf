/**
 * Size in bytes of the object that an HTTP answer is all or a part of; undefined if the answer does not say.
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
