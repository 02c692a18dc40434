/** Finds settings whose name is misspelt in the environment. Such a setting must not be ignored silently. */
import { editsBetween } from '../nearest.ts';

/** Variables of other programs that are like the name of a setting. */
const ordinary = new Set(['AGENT_NAME', 'API_KEY', 'DATABASE_URI', 'LOGLEVEL', 'DATADIR', 'MODEL', 'DATABASE_URLS']);

const prefix = 'CLAUDE_AGENT_SERVER_';
/** A shorter name differs in one letter from too many words. */
const shortest = 6;
/** From this length on, a name that differs in two letters is still no other word. */
const long = 12;

/**
 * Returns the name of the setting that a variable probably means. A variable means a setting if its name differs from
 * the setting's only in one letter, of a long name in two, or in two neighbours that are swapped, or if it is the
 * setting's name after `CLAUDE_AGENT_SERVER_`. Returns `undefined` for other variables.
 */
export function meantSetting(variable: string, names: string[]): string | undefined {
  if (ordinary.has(variable) || names.includes(variable) || !/^[A-Z][A-Z0-9_]{2,63}$/.test(variable)) return undefined;
  if (variable.startsWith(prefix)) {
    const bare = variable.slice(prefix.length);
    return names.includes(bare) ? bare : meantSetting(bare, names);
  }
  return names.find((name) => isMisspelling(variable, name));
}

function isMisspelling(variable: string, name: string): boolean {
  const edits = editsBetween(variable, name);
  if (edits > 1) return edits === 2 && name.length >= long;
  return name.length >= shortest || [...variable].sort().join('') === [...name].sort().join('');
}
