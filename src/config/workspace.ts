/** Settings of the workspace that agents work in. */
import { choice, decimal, integer, optionalText } from './setting.ts';

export const workspaceSettings = {
  workspaceDir: optionalText(
    'WORKSPACE_DIR',
    'The git repository that the agent works in. Unset: an empty scratch folder per run.',
  ),
  workspaceMode: choice(
    'WORKSPACE_MODE',
    'auto',
    ['auto', 'worktree', 'shared'],
    '`worktree`: a fresh git worktree per run; `shared`: in place, one run at a time; `auto`: `worktree` in a git repository, else `shared`.',
  ),
  gitSync: choice(
    'GIT_SYNC',
    'best-effort',
    ['best-effort', 'required', 'off'],
    'Bring the workspace up to date before a run; `required`: no sync, no run.',
  ),
  gitSyncTimeoutSeconds: decimal('GIT_SYNC_TIMEOUT_SECONDS', 30, [1, 3600], 'Deadline of one sync.'),
  gitSyncFreshSeconds: decimal(
    'GIT_SYNC_FRESH_SECONDS',
    5,
    [0, 3600],
    'How long one sync serves further runs in worktrees; 0: each run asks the remote.',
  ),
  preparedWorktrees: integer(
    'PREPARED_WORKTREES',
    2,
    [0, 64],
    'Worktrees made ahead, so that runs need not wait for files.',
  ),
};
