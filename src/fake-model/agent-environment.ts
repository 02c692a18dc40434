/** The environment in which the real agent talks to the fake model and to nobody else. */
import type { Environment } from '../config/config.ts';

/**
 * @param modelUrl the fake model's `url`
 * @param home a scratch folder that becomes the agent's home: no login, no settings, no history of the user's
 * @param host where `PATH` and the temporary folder come from
 */
export function fakeModelEnvironment(modelUrl: string, home: string, host: Environment): Environment {
  return {
    PATH: host['PATH'],
    TMPDIR: host['TMPDIR'],
    LANG: 'C.UTF-8',
    HOME: home,
    ANTHROPIC_BASE_URL: modelUrl,
    ANTHROPIC_API_KEY: 'fake-model-key',
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    DISABLE_AUTOUPDATER: '1',
    DISABLE_TELEMETRY: '1',
  };
}
