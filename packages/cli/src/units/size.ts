/** Byte sizes as the config of Litestream (Go) reads them: decimal (`5MB`), binary (`5MiB`), short (`5M` = 5,000,000) or plain. */

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1e3,
  kb: 1e3,
  ki: 1024,
  kib: 1024,
  m: 1e6,
  mb: 1e6,
  mi: 1024 ** 2,
  mib: 1024 ** 2,
  g: 1e9,
  gb: 1e9,
  gi: 1024 ** 3,
  gib: 1024 ** 3,
  t: 1e12,
  tb: 1e12,
  ti: 1024 ** 4,
  tib: 1024 ** 4,
  p: 1e15,
  pb: 1e15,
  pi: 1024 ** 5,
  pib: 1024 ** 5,
};

/** Bytes, or undefined when the text is no size. Commas between digits are allowed. */
export function parseSize(text: string): number | undefined {
  const found = /^([\d.,]+)\s*([a-z]*)$/i.exec(text.trim());
  const digits = found?.[1]?.replaceAll(',', '') ?? '';
  const unit = UNITS[(found?.[2] ?? '').toLowerCase()];
  if (unit === undefined || !/^(\d+\.?\d*|\.\d+)$/.test(digits)) return undefined;
  const bytes = Math.floor(Number(digits) * unit);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

const NAMES = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** `0 B`, `4.1 kB`, `32 kB`, `1.1 GB`: decimal units, one digit after the point below ten. As in Litestream (Go). */
export function formatSize(bytes: number): string {
  if (bytes < 10) return `${bytes} B`;
  const exponent = Math.min(Math.floor(Math.log10(bytes) / 3 + 1e-12), NAMES.length - 1);
  const value = Math.floor((bytes / 1000 ** exponent) * 10 + 0.5) / 10;
  return `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ${NAMES[exponent] ?? 'B'}`;
}
