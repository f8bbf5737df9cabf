/** RFC 3339 without a fraction, UTC: `2026-11-24T00:08:27Z`. What tables and JSON show. */
export function formatSeconds(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`;
}
