export default {
  build: { ssr: 'main.mjs', outDir: 'out/vite', minify: true },
  ssr: { noExternal: true },
};
