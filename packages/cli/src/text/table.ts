/**
 * Rows as columns two spaces apart; the last column is not padded. The same bytes as tables of Litestream (Go), so that
 * scripts which cut columns keep working.
 */
export function formatTable(rows: readonly Row[]): string {
  return [...formatTableParts(() => rows)].join('');
}

type Row = readonly (string | number | bigint)[];

const PART_ROWS = 1000;

/** The same for long tables, some rows at a time. `rowsOf` is called twice: first for the widths of the columns. */
export function* formatTableParts(rowsOf: () => Iterable<Row>): Generator<string> {
  const widths: number[] = [];
  for (const row of rowsOf()) {
    for (const [column, cell] of row.entries()) {
      if (column < row.length - 1) widths[column] = Math.max(widths[column] ?? 0, widthOf(String(cell)));
    }
  }
  let lines: string[] = [];
  for (const row of rowsOf()) {
    lines.push(`${row.map((cell, column) => pad(String(cell), column, row.length)).join('')}\n`);
    if (lines.length < PART_ROWS) continue;
    yield lines.join('');
    lines = [];
  }
  yield lines.join('');

  function pad(cell: string, column: number, columns: number): string {
    if (column === columns - 1) return cell;
    return cell + ' '.repeat((widths[column] ?? 0) - widthOf(cell) + 2);
  }
}

/** Number of code points, as in Litestream (Go). */
function widthOf(text: string): number {
  return Array.from(text).length;
}
