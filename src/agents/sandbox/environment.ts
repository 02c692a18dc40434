/**
 * Selects the server's environment variables that an agent gets. The list of allowed names leaves out the server's
 * keys.
 */
import { isProviderVariable, isUsedVariable } from './providers.ts';

type Environment = Record<string, string | undefined>;

const names = new Set([
  'HOME',
  'USER',
  'LOGNAME',
  'SHELL',
  'PATH',
  'TERM',
  'LANG',
  'LANGUAGE',
  'TZ',
  'TMPDIR',
  'SystemRoot',
  'XDG_CONFIG_HOME',
  'XDG_CACHE_HOME',
  'XDG_DATA_HOME',
  'XDG_STATE_HOME',
  'XDG_RUNTIME_DIR',
  'SSH_AUTH_SOCK',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'NODE_EXTRA_CA_CERTS',
  'REQUESTS_CA_BUNDLE',
  'CURL_CA_BUNDLE',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'ALL_PROXY',
  'http_proxy',
  'https_proxy',
  'no_proxy',
  'all_proxy',
  'GIT_AUTHOR_NAME',
  'GIT_AUTHOR_EMAIL',
  'GIT_COMMITTER_NAME',
  'GIT_COMMITTER_EMAIL',
  'GIT_SSL_CAINFO',
  'API_TIMEOUT_MS',
  'MAX_THINKING_TOKENS',
  'BASH_DEFAULT_TIMEOUT_MS',
  'BASH_MAX_TIMEOUT_MS',
  'BASH_MAX_OUTPUT_LENGTH',
  'MCP_TIMEOUT',
  'MCP_TOOL_TIMEOUT',
  'MAX_MCP_OUTPUT_TOKENS',
  'IS_SANDBOX',
  'DISABLE_AUTOUPDATER',
  'DISABLE_TELEMETRY',
  'DISABLE_ERROR_REPORTING',
  'DISABLE_PROMPT_CACHING',
  'USE_BUILTIN_RIPGREP',
]);

/**
 * Beginnings of allowed names, mostly of Claude Code's own settings. Variables of cloud providers are in
 * `providers.ts`.
 */
const prefixes = ['ANTHROPIC_', 'CLAUDE_CODE_', 'CLAUDE_CONFIG_', 'CLAUDE_SECURESTORAGE_', 'LC_', 'NODE_EXTRA_'];

/** Variables with host paths that an agent in a sandbox cannot see. */
const pathsOfHost =
  /^(XDG_.*|TMPDIR|SSH_AUTH_SOCK|CLAUDE_CODE_TMPDIR|CLAUDE_CONFIG_DIR|CLAUDE_SECURESTORAGE_CONFIG_DIR)$/;

const certificates = [
  ...['SSL_CERT_FILE', 'SSL_CERT_DIR', 'NODE_EXTRA_CA_CERTS'],
  ...['REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE', 'GIT_SSL_CAINFO'],
];

const fixed = {
  // Without it, `@path` in a prompt inserts any file that the process can read, without asking for permission.
  CLAUDE_CODE_DISABLE_FILE_MENTIONS: '1',
  // The operator chooses the version: the CLI must not update itself during a run.
  DISABLE_AUTOUPDATER: '1',
};

/**
 * Returns the variables for an agent.
 * @param extra names of further variables that the operator allows (`AGENT_ENV`)
 */
export function agentEnvironment(host: Environment, extra: string[]): Environment {
  const isAllowed = (name: string) =>
    extra.includes(name) ||
    (isProviderVariable(name)
      ? isUsedVariable(name, host)
      : names.has(name) || prefixes.some((prefix) => name.startsWith(prefix)));
  const allowed = Object.entries(host).filter(([name]) => isAllowed(name));
  return { ...Object.fromEntries(allowed), ...fixed };
}

/**
 * Returns the variables for an agent in a sandbox. Without `IS_SANDBOX` the CLI refuses to skip permissions as root.
 */
export function sandboxEnvironment(allowed: Environment, extra: string[]): Environment {
  const kept = Object.entries(allowed).filter(([name]) => !pathsOfHost.test(name) || extra.includes(name));
  return { ...Object.fromEntries(kept), IS_SANDBOX: '1' };
}

/** Returns the paths of the certificates that the agent's tools read. */
export function certificateFiles(host: Environment): string[] {
  return certificates.flatMap((name) => host[name] ?? []);
}
