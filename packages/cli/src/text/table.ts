/**
 * Rows as columns two spaces apart; the last column is not padded. The same bytes as upstream's tables, so that
 * scripts which cut columns keep working.
 */
export function formatTable(rows: readonly (readonly (string | number | bigint)[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) {
      if (column < row.length - 1) widths[column] = Math.max(widths[column] ?? 0, widthOf(String(cell)));
    }
  }
  return rows.map((row) => `${row.map((cell, column) => pad(String(cell), column, row.length)).join('')}\n`).join('');

  function pad(cell: string, column: number, columns: number): string {
    if (column === columns - 1) return cell;
    return cell + ' '.repeat((widths[column] ?? 0) - widthOf(cell) + 2);
  }
}

/** Code points, as upstream counts them. */
function widthOf(text: string): number {
  return Array.from(text).length;
}
