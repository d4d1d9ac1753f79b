import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { renderBootScript } from '../../../src/clouds/user-data.ts';

const template = readFileSync(new URL('../../../templates/cloud-init/agent.sh', import.meta.url), 'utf8');
const userData = {
  controlUrl: 'https://paas.example',
  hostId: "hst_'; rm -rf /; '",
  token: 'tok',
  roles: ['compute' as const],
  ca: '-----BEGIN CERTIFICATE-----\n$(x)\n',
};
const values = { userData, agentUrl: 'https://paas.example/v1/agent.js', agentSha256: 'a'.repeat(64) };

describe('the boot script', () => {
  it('is valid shell with every field filled in, and carries the user-data unchanged', () => {
    const script = renderBootScript(template, values);
    expect(script).not.toContain('{{');
    expect(script.startsWith('#!/bin/sh\n')).toBe(true);
    execFileSync('/bin/sh', ['-n'], { input: script });
    const encoded = /^echo '([A-Za-z0-9+/=]*)' \| base64 -d >\/etc\/paas\/user-data\.json$/m.exec(script)?.[1];
    expect(JSON.parse(Buffer.from(encoded ?? '', 'base64').toString())).toEqual(userData);
    expect(script).not.toContain('rm -rf /');
  });

  it('takes no address or checksum that could end its quotes', () => {
    for (const agentUrl of ["https://x/'; reboot; '", 'https://x/$(reboot)', 'file:///etc/passwd', 'nonsense']) {
      expect(() => renderBootScript(template, { ...values, agentUrl })).toThrow('no plain address');
    }
    expect(() => renderBootScript(template, { ...values, agentSha256: "'" })).toThrow('no sha256');
    expect(() => renderBootScript('{{other}}', values)).toThrow('unknown field other');
  });
});
