/**
 * The Lua that runs inside nginx, by file name. Kept as text in modules, since the agent that writes it to disk is one
 * file. What is the same in every request is in `route` and `answer`; what few of them need is in `rare`.
 */
import { adminLua } from './admin.ts';
import { answerLua } from './answer.ts';
import { bootLua } from './boot.ts';
import { grayLua } from './gray.ts';
import { logsLua } from './logs.ts';
import { nativeLua } from './native.ts';
import { pageLua } from './page.ts';
import { queueLua } from './queue.ts';
import { rareLua } from './rare.ts';
import { regionsLua } from './regions.ts';
import { requestsLua } from './requests.ts';
import { routeLua } from './route.ts';
import { stateLua } from './state.ts';
import { tableLua } from './table.ts';
import { tlsLua } from './tls.ts';

export const luaFiles: Readonly<Record<string, string>> = {
  'admin.lua': adminLua,
  'answer.lua': answerLua,
  'boot.lua': bootLua,
  'gray.lua': grayLua,
  'logs.lua': logsLua,
  'native.lua': nativeLua,
  'page.lua': pageLua,
  'queue.lua': queueLua,
  'rare.lua': rareLua,
  'regions.lua': regionsLua,
  'requests.lua': requestsLua,
  'route.lua': routeLua,
  'state.lua': stateLua,
  'table.lua': tableLua,
  'tls.lua': tlsLua,
};
