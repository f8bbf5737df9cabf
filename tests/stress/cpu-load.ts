/** Keeps one core busy until its parent is gone. */
const SLICE_MS = 20;

process.on('disconnect', () => process.exit());
// Ctrl-C is for the parent, which then ends this.
process.on('SIGINT', () => {});
spin();

function spin(): void {
  const end = performance.now() + SLICE_MS;
  while (performance.now() < end);
  // Between two slices the end of the parent is seen.
  setImmediate(spin);
}
