/** Keeps one core busy until its parent ends. */
const SLICE_MS = 20;

process.on('disconnect', () => process.exit());
// Ctrl-C is for the parent, which then ends this process.
process.on('SIGINT', () => {});
spin();

function spin(): void {
  const end = performance.now() + SLICE_MS;
  while (performance.now() < end);
  // Between two slices, the process notices the end of its parent.
  setImmediate(spin);
}
