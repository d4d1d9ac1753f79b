/**
 * esbuild plugin: leaves out of oclif what its parser brings along and never calls here. Help, spinners, colours and
 * error rendering are the CLI's own; together they would cost every command 20 ms.
 */
const noop = 'module.exports = {};';
const text = 'module.exports = (text) => text;';

/** By importing file below @oclif/core/lib and what it asks for. */
const stubs = {
  'parser/index.js': { './help': noop },
  'parser/parse.js': { '../logger': 'exports.makeDebug = () => () => {};', 'node:readline': noop },
  'parser/errors.js': { '../ux/theme': 'exports.colorize = (_, text) => text;' },
  'errors/index.js': { './handle': noop, './warn': noop },
  'errors/error.js': { '../logger': 'exports.getLogger = () => ({ error() {} });', '../ux/write': noop },
  'errors/errors/cli.js': {
    'clean-stack': text,
    'indent-string': text,
    'wrap-ansi': text,
    '../../ux/theme': 'exports.colorize = (_, text) => text;',
  },
  'errors/errors/pretty-print.js': { 'indent-string': text, 'wrap-ansi': text },
};

export const leanOclif = {
  name: 'lean-oclif',
  setup(build) {
    build.onResolve({ filter: /./ }, ({ importer, path }) => {
      const file = importer.split('@oclif/core/lib/')[1];
      const stub = file && stubs[file.replaceAll('\\', '/')]?.[path];
      return stub ? { path: `${file} ${path}`, namespace: 'lean-oclif', pluginData: stub } : undefined;
    });
    build.onLoad({ filter: /./, namespace: 'lean-oclif' }, ({ pluginData }) => ({
      contents: pluginData,
      loader: 'js',
    }));
  },
};
