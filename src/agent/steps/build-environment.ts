/** What a build's commands find in their environment: nothing of the agent's own but the way to package registries. */

/** Proxies, registries and certificates of this host, so that its configuration holds for builds too. */
const passedOn = [
  ...['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'no_proxy', 'all_proxy'],
  ...['npm_config_registry', 'NPM_CONFIG_REGISTRY', 'npm_config_cafile', 'NPM_CONFIG_CAFILE', 'NODE_EXTRA_CA_CERTS'],
  ...['PIP_INDEX_URL', 'PIP_EXTRA_INDEX_URL', 'PIP_FIND_LINKS', 'PIP_NO_INDEX', 'PIP_TRUSTED_HOST', 'PIP_CERT'],
  ...['SSL_CERT_FILE', 'SSL_CERT_DIR', 'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE', 'GIT_SSL_CAINFO'],
  ...['JAVA_HOME', 'TZ'],
];

/** @param own the agent's environment */
export function buildEnvironment(
  own: NodeJS.ProcessEnv,
  path: string,
  caches: Readonly<Record<string, string>>,
): Record<string, string> {
  // A build is no place to be told of newer package managers, least of all over the network.
  const quiet = { PIP_DISABLE_PIP_VERSION_CHECK: '1', npm_config_update_notifier: 'false' };
  const env: Record<string, string> = { PATH: path, LANG: 'C.UTF-8', ...quiet };
  for (const name of passedOn) {
    const value = own[name];
    if (value !== undefined && value !== '') env[name] = value;
  }
  // The embedded cloud hands the agent's certificates on under another name, since they slow every start of node.
  const certificates = own['PAAS_HOST_EXTRA_CA_CERTS'];
  if (certificates !== undefined && certificates !== '') env['NODE_EXTRA_CA_CERTS'] ??= certificates;
  return { ...env, ...caches };
}

/**
 * Runs a command line with both streams in one, in the order of writing, and with a home of its own: package managers
 * write there, and the app's directory must not fill with it. Argument: the command line.
 */
export const buildScript = `export HOME="\${TMPDIR:-/tmp}/home"
mkdir -p "$HOME" || exit 125
exec /bin/sh -c "$1" 2>&1
`;
