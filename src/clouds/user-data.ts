/** User-data for hosts whose image does not have the agent in it: a script that installs and starts it. */
import type { AgentUserData } from '../shared/contracts/agent.ts';
import { PaasError } from '../shared/errors.ts';

export interface BootScriptValues {
  /** For the agent. Secret: it carries an enrolment token. */
  userData: AgentUserData;
  /** Where the host fetches the agent's bundle. */
  agentUrl: string;
  /** Of that bundle, in hex. */
  agentSha256: string;
}

/**
 * Fills in templates/cloud-init/agent.sh, which runs both as cloud-init user-data and as a provider's boot script.
 * @throws PaasError internal when a value could break out of its quotes, or the template has a field of another name
 */
export function renderBootScript(template: string, values: BootScriptValues): string {
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  if (!URL.canParse(values.agentUrl) || !/^https?:\/\/[\w.:/[\]%~-]+$/.test(values.agentUrl)) {
    throw new PaasError('internal', `${values.agentUrl} is no plain address for a boot script`);
  }
  if (!/^[0-9a-f]{64}$/.test(values.agentSha256))
    throw new PaasError('internal', 'the checksum of the agent is no sha256');
  const fields: Record<string, string> = {
    userData: base64(JSON.stringify(values.userData)),
    ca: base64(values.userData.ca ?? ''),
    agentUrl: values.agentUrl,
    agentSha256: values.agentSha256,
  };
  return template.replaceAll(/\{\{(\w+)\}\}/g, (_, field: string) => {
    const value = fields[field];
    if (value === undefined) throw new PaasError('internal', `the boot script has an unknown field ${field}`);
    return value;
  });
}
