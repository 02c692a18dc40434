/**
 * Chooses the git settings that the server's commands see. Of the repository's settings it keeps only those in a list,
 * and no setting in the list names a command. Of the user's settings it keeps mainly those for reaching a remote:
 * credential helpers, ssh, proxies.
 */
import { resolve } from 'node:path';
import { type Git, mustGit, quick } from './git.ts';
import { type Environment, inBatchMode } from './git-environment.ts';
import type { Repository } from './repository.ts';

/** `name` is as git prints it: in lower case, except the part between the first and the last dot. */
export type GitSetting = { name: string; value: string };

/** `host` holds the settings of the host and of the user who runs the server. */
export type GitSettings = { host: GitSetting[]; repository: GitSetting[] };

const ofRepository = [
  /^core\.(bare|filemode|symlinks|ignorecase|precomposeunicode|protecthfs|protectntfs|longpaths)$/,
  /^core\.(autocrlf|eol|safecrlf|bigfilethreshold|sparsecheckout|sparsecheckoutcone)$/,
  /^extensions\.(objectformat|partialclone|refstorage)$/,
  /^remote\..+\.(url|pushurl|promisor|partialclonefilter)$/s,
  /^branch\..+\.(remote|merge)$/s,
  /^url\..+\.(insteadof|pushinsteadof)$/s,
  /^user\.(name|email)$/,
  // CI systems store their access token in this setting.
  /^http\.(.+\.)?extraheader$/s,
];

const ofHost = [
  /^(credential|http|url|ssh|user)\./s,
  /^core\.(sshcommand|gitproxy|excludesfile|autocrlf|eol|safecrlf|symlinks|precomposeunicode|compression)$/,
];

/**
 * Reads the settings with git, which only prints them and executes nothing. Throws a `GitError` if they cannot be read.
 */
export async function readGitSettings(git: Git, repository: Repository, host: Environment): Promise<GitSettings> {
  const place = { gitDir: repository.gitDir };
  const listed = await mustGit(git(place, ['config', '--list', '--show-scope', '-z'], quick));
  const all = parseSettings(listed);
  // The overrides in `git.ts` have the scope `command`. They are left out here, because every command gets them anyway.
  const fromHost = all.filter(({ scope, name }) => /^(system|global)$/.test(scope) && matches(ofHost, name));
  const fromRepository = all.filter(
    ({ scope, name }) => /^(local|worktree)$/.test(scope) && matches(ofRepository, name),
  );
  return {
    host: sshInBatchMode(fromHost, host),
    repository: fromRepository.map((setting) =>
      absoluteUrl(setting, repository.root, [...fromHost, ...fromRepository]),
    ),
  };
}

/**
 * Leaves out the settings that describe the file system of the user's checkout, for files that the server writes into
 * its own folder. With `core.filemode=false`, for example, git would not see that a run has made a file executable.
 */
export function forOwnFolder({ host, repository }: GitSettings): GitSettings {
  const ofFileSystem =
    process.platform === 'linux' ? /^core\.(filemode|symlinks|ignorecase)$/ : /^core\.(filemode|symlinks)$/;
  return {
    host: host.filter(({ name }) => !ofFileSystem.test(name)),
    repository: repository.filter(({ name }) => !ofFileSystem.test(name)),
  };
}

/** The settings that decide which repository a remote is, and what git sends to it. */
const ofRemotes = /^((remote|url|http)\.|extensions\.partialclone$)/;

/**
 * Returns the settings with the remotes as they were in `first`, and the names of the settings that have changed since.
 * A part of a name that can hold a URL is `*`.
 */
export function withRemotesOf(first: GitSettings, now: GitSettings): { settings: GitSettings; changed: string[] } {
  const remotesOf = ({ repository }: GitSettings) => repository.filter(({ name }) => ofRemotes.test(name));
  const [before, after] = [remotesOf(first), remotesOf(now)];
  const valuesOf = (settings: GitSetting[], name: string) =>
    JSON.stringify(settings.filter((setting) => setting.name === name).map(({ value }) => value));
  const names = new Set([...before, ...after].map(({ name }) => name));
  const changed = [...names].filter((name) => valuesOf(before, name) !== valuesOf(after, name));
  const others = now.repository.filter(({ name }) => !ofRemotes.test(name));
  return {
    settings: { host: now.host, repository: [...others, ...before] },
    changed: [...new Set(changed.map((name) => name.replace(/\..*\./s, '.*.')))],
  };
}

/** Returns the value of a setting. If there are several values, the last one counts, as in git. */
export function settingOf(settings: GitSetting[], name: string): string | undefined {
  return settings.findLast((setting) => setting.name === name)?.value;
}

/** Returns whether git converts the line ends of all files, also of those without attributes. */
export function convertsLineEnds({ host, repository }: GitSettings): boolean {
  return !/^(false|no|off|0|)$/i.test(settingOf([...host, ...repository], 'core.autocrlf') ?? '');
}

/** Returns the names of the remotes that have a URL. */
export function remotesIn(settings: GitSetting[]): string[] {
  return [...new Set(settings.flatMap(({ name }) => /^remote\.(.+)\.url$/s.exec(name)?.[1] ?? []))];
}

const serverName = 'claude-agent-server';
const serverEmail = 'claude-agent-server@localhost';

/**
 * Returns the variables that name the author and the committer of the server's commits. The values are `user.name` and
 * `user.email` from the settings, or else the server's own name and address.
 */
export function identityIn({ host, repository }: GitSettings): Environment {
  const settings = [...host, ...repository];
  const name = settingOf(settings, 'user.name') || serverName;
  const email = settingOf(settings, 'user.email') || serverEmail;
  return { GIT_AUTHOR_NAME: name, GIT_AUTHOR_EMAIL: email, GIT_COMMITTER_NAME: name, GIT_COMMITTER_EMAIL: email };
}

/** Returns the text of a git settings file. */
export function settingsFile(settings: GitSetting[]): string {
  return settings.map(({ name, value }) => `${sectionOf(name)}\n\t${lastPart(name)} = ${quoted(value)}\n`).join('');
}

function parseSettings(listed: string): (GitSetting & { scope: string })[] {
  const fields = listed.split('\0');
  const settings = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const entry = fields[at + 1] ?? '';
    const end = entry.indexOf('\n');
    // A setting without a value means `true`.
    const [name, value] = end < 0 ? [entry, 'true'] : [entry.slice(0, end), entry.slice(end + 1)];
    settings.push({ scope: fields[at] ?? '', name, value });
  }
  return settings;
}

function sshInBatchMode(settings: GitSetting[], host: Environment): GitSetting[] {
  const command = settingOf(settings, 'core.sshcommand') ?? (host['GIT_SSH'] ? undefined : 'ssh');
  const others = settings.filter(({ name }) => name !== 'core.sshcommand');
  return command ? [...others, { name: 'core.sshcommand', value: inBatchMode(command) }] : others;
}

/** Makes a relative path in a URL absolute, because the server's commands run in other folders. */
function absoluteUrl(setting: GitSetting, root: string, all: GitSetting[]): GitSetting {
  const absolute = (url: string) => resolve(root, url) + (url.endsWith('/') ? '/' : '');
  const isRelative = (url: string) => isLocalPath(url) && !/^(file:\/\/|\/)/.test(url);
  const [, base, kind] = /^url\.(.+)\.(insteadof|pushinsteadof)$/s.exec(setting.name) ?? [];
  if (base !== undefined) return isRelative(base) ? { ...setting, name: `url.${absolute(base)}.${kind}` } : setting;
  const isUrl = /^remote\..+\.(url|pushurl)$/s.test(setting.name);
  if (!isUrl || !isRelative(setting.value) || rewrittenUrl(setting.value, all, 'insteadof')) return setting;
  return { ...setting, value: absolute(setting.value) };
}

/** Returns the URL that git uses instead of this one. Returns undefined if no setting replaces its beginning. */
function rewrittenUrl(url: string, settings: GitSetting[], kind: 'insteadof' | 'pushinsteadof'): string | undefined {
  let best: { prefix: string; base: string } | undefined;
  for (const { name, value } of settings) {
    const base = name.startsWith('url.') && name.endsWith(`.${kind}`) ? name.slice(4, -kind.length - 1) : undefined;
    if (base === undefined || value === '' || !url.startsWith(value)) continue;
    if (!best || value.length > best.prefix.length) best = { prefix: value, base };
  }
  return best && best.base + url.slice(best.prefix.length);
}

/**
 * Returns the remotes from which git fetches, or to which it pushes, on this machine. Each is the first part of the names
 * of its settings, such as `remote.origin`.
 */
export function localRemotes({ host, repository }: GitSettings, way: 'fetch' | 'push'): string[] {
  const all = [...host, ...repository];
  const local = remotesIn(repository).filter((remote) => {
    const named = (key: string) => repository.filter(({ name }) => name === `remote.${remote}.${key}`);
    const [urls, pushUrls] = [named('url'), named('pushurl')];
    const used = way === 'push' && pushUrls.length > 0 ? pushUrls : urls;
    return used.some(({ value }) => {
      const forPush = way === 'push' && pushUrls.length === 0 ? rewrittenUrl(value, all, 'pushinsteadof') : undefined;
      return isLocalPath(forPush ?? rewrittenUrl(value, all, 'insteadof') ?? value);
    });
  });
  return local.map((remote) => `remote.${remote}`);
}

/**
 * Returns whether a remote's URL is a path on this machine: a `file://` URL or, by git's own rule, a text that has
 * neither the form `scheme://` nor `host:path`.
 */
function isLocalPath(url: string): boolean {
  return url.startsWith('file://') || !/^[^/]*:/.test(url);
}

function matches(list: RegExp[], name: string): boolean {
  return list.some((pattern) => pattern.test(name));
}

function sectionOf(name: string): string {
  const [first, last] = [name.indexOf('.'), name.lastIndexOf('.')];
  const section = name.slice(0, first);
  return first === last ? `[${section}]` : `[${section} ${quoted(name.slice(first + 1, last))}]`;
}

function lastPart(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1);
}

function quoted(value: string): string {
  return `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
}
