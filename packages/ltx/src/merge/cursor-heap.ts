import type { Cursor } from './cursor.ts';

/** Cursors by the page they stand at, the newest input first among equals. Cursors at their end are left out. */
export class CursorHeap {
  readonly #cursors: Cursor[] = [];

  get top(): Cursor | undefined {
    return this.#cursors[0];
  }

  push(cursor: Cursor): void {
    if (cursor.pgno === undefined) return;
    const cursors = this.#cursors;
    let at = cursors.length;
    cursors.push(cursor);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = cursors[parent];
      if (above === undefined || !before(cursor, above)) break;
      cursors[at] = above;
      at = parent;
    }
    cursors[at] = cursor;
  }

  pop(): Cursor | undefined {
    const cursors = this.#cursors;
    const first = cursors[0];
    const moved = cursors.pop();
    if (moved === undefined || moved === first) return first;
    let at = 0;
    while (true) {
      let child = 2 * at + 1;
      let below = cursors[child];
      const right = cursors[child + 1];
      if (below === undefined) break;
      if (right !== undefined && before(right, below)) {
        child += 1;
        below = right;
      }
      if (!before(below, moved)) break;
      cursors[at] = below;
      at = child;
    }
    cursors[at] = moved;
    return first;
  }
}

function before(a: Cursor, b: Cursor): boolean {
  const left = a.pgno ?? Infinity;
  const right = b.pgno ?? Infinity;
  return left === right ? a.rank > b.rank : left < right;
}
