/** In whose name the server commits: the one in the git settings, else its own. */
import type { Environment } from './git.ts';
import { type GitSetting, settingOf } from './git-settings.ts';

const ownName = 'claude-agent-server';
const ownEmail = 'claude-agent-server@localhost';

export function identityOf(settings: GitSetting[]): Environment {
  const name = settingOf(settings, 'user.name') || ownName;
  const email = settingOf(settings, 'user.email') || ownEmail;
  return { GIT_AUTHOR_NAME: name, GIT_AUTHOR_EMAIL: email, GIT_COMMITTER_NAME: name, GIT_COMMITTER_EMAIL: email };
}
