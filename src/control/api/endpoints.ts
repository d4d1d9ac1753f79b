/** All endpoints of the API, one list a subject. */
import { agentEndpoints } from './agents.ts';
import { appEndpoints } from './apps.ts';
import { certificateEndpoints } from './certs.ts';
import { cloudEndpoints } from './clouds.ts';
import { configEndpoints } from './config.ts';
import type { Endpoint } from './define.ts';
import { deploymentEndpoints } from './deployments.ts';
import { grayEndpoints } from './gray.ts';
import { hostEndpoints } from './hosts.ts';
import type { StoredKeys } from './keys.ts';
import { logEndpoints } from './logs.ts';
import { maintenanceEndpoints } from './maintenance.ts';
import { nginxEndpoints } from './nginx.ts';
import { platformEndpoints } from './platform.ts';
import { routeEndpoints } from './routes.ts';
import { sessionEndpoints } from './sessions.ts';

export const allEndpoints = (keys: StoredKeys): Endpoint[] => [
  ...platformEndpoints,
  ...appEndpoints,
  ...configEndpoints,
  ...routeEndpoints,
  ...deploymentEndpoints,
  ...grayEndpoints,
  ...maintenanceEndpoints,
  ...nginxEndpoints,
  ...logEndpoints,
  ...sessionEndpoints,
  ...hostEndpoints,
  ...cloudEndpoints,
  ...certificateEndpoints,
  ...agentEndpoints(keys),
];
