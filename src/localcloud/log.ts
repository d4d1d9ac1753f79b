/** The cloud's own log: JSON lines in a file of bounded size. Never user-data, keys or HMACs. */
import { appendFileSync, renameSync, statSync } from 'node:fs';
import { errnoOf } from '../shared/errors.ts';

export type CloudLog = (level: 'info' | 'warn' | 'error', message: string, fields?: Record<string, unknown>) => void;

const maxBytes = 5 * 1024 * 1024;

/** Appends to `path`; a full file becomes `path.1`. A full disk loses lines, not the cloud. */
export function openLog(path: string): CloudLog {
  let size = sizeOf(path);
  return (level, message, fields = {}) => {
    const line = `${JSON.stringify({ ts: new Date().toISOString(), level, message, ...fields })}\n`;
    try {
      if (size > maxBytes) {
        renameSync(path, `${path}.1`);
        size = 0;
      }
      appendFileSync(path, line, { mode: 0o600 });
      size += line.length;
    } catch (error) {
      if (errnoOf(error) !== 'ENOSPC') throw error;
    }
  };
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return 0;
    throw error;
  }
}
