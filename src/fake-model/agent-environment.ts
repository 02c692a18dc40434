/** Makes the environment variables with which the real agent uses the fake model and no other network. */
import type { Environment } from '../config/config.ts';

/**
 * Returns the environment variables.
 * @param modelUrl the fake model's `url`
 * @param home an empty folder that becomes the agent's home, without the user's login, settings and history
 * @param host the variables from which `PATH` and the temporary folder are taken
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
