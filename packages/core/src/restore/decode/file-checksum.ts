import { kernel } from '@litestream/ltx';
import type { RangeResult } from './range-task.ts';
import { checksumMismatch } from '../read/ltx-errors.ts';
import type { LtxOutline, TailChecksum } from '../read/ltx-outline.ts';

const CHECKSUM_FLAG = 1n << 63n;

/** The checksum of one file, put together from ranges that were read in any order. */
export class FileChecksum {
  readonly #outline: LtxOutline;
  readonly #parts: { crc: bigint; length: number }[] = [];

  constructor(outline: LtxOutline) {
    this.#outline = outline;
  }

  /** Keeps the CRC of the range with this number, from 0 in file order. */
  set(index: number, result: RangeResult): void {
    this.#parts[index] = { crc: result.crc, length: result.crcLength };
  }

  /**
   * Throws `CHECKSUM_MISMATCH` unless the checksum of header, all ranges and tail is the one that the trailer states.
   */
  verify(tail: TailChecksum): void {
    let crc = this.#outline.headerCrc;
    for (const part of [...this.#parts, tail]) crc = kernel().crc64Combine(crc, part.crc, part.length);
    if ((crc | CHECKSUM_FLAG) !== this.#outline.fileChecksum) {
      throw checksumMismatch(this.#outline.source.name, 'its content does not match its checksum');
    }
  }
}
