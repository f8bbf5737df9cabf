module.exports = {
  mode: 'production',
  target: 'node22',
  entry: './main.mjs',
  output: { path: `${__dirname}/out`, filename: 'webpack/main.cjs', chunkFilename: 'webpack/[name].cjs' },
};
