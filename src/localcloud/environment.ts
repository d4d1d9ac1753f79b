/** The environment of a host's agent. */
import { markVariable } from './host-processes.ts';

/** Extra certificates for what runs on the host, handed on under this name. */
export const extraCertificates = 'PAAS_HOST_EXTRA_CA_CERTS';

/**
 * What a host's agent inherits: the environment of this program, since builds need its proxy and registry settings, but
 * none of the platform's own variables, which hold keys. NODE_EXTRA_CA_CERTS costs every start of node 38 ms: it is
 * handed on under another name, for the agent to set where it is wanted (builds).
 */
export function agentEnvironment(env: NodeJS.ProcessEnv, mark: string): NodeJS.ProcessEnv {
  const result: NodeJS.ProcessEnv = { [markVariable]: mark };
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith('PAAS_') && name !== 'NODE_EXTRA_CA_CERTS') result[name] = value;
  }
  const certificates = env['NODE_EXTRA_CA_CERTS'] ?? env[extraCertificates];
  return certificates === undefined ? result : { ...result, [extraCertificates]: certificates };
}
