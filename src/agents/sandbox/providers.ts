/** Knows which host variables and files the CLI needs for each cloud provider of the model. */

type Environment = Record<string, string | undefined>;

type Provider = {
  /** The Claude Code settings that turn the provider on. */
  settings: string[];
  /** The provider's variables. An agent gets them only if the provider is on. */
  variables: RegExp;
  /** The folders in the operator's home in which the provider's command line tools keep their credentials. */
  folders: string[];
  /** The variables whose value is the path of a file or folder with credentials or settings. */
  fileVariables: string[];
};

const providers: Provider[] = [
  {
    settings: ['CLAUDE_CODE_USE_BEDROCK', 'CLAUDE_CODE_USE_MANTLE', 'CLAUDE_CODE_USE_ANTHROPIC_AWS'],
    variables: /^AWS_/,
    folders: ['.aws'],
    fileVariables: ['AWS_CONFIG_FILE', 'AWS_SHARED_CREDENTIALS_FILE', 'AWS_WEB_IDENTITY_TOKEN_FILE', 'AWS_CA_BUNDLE'],
  },
  {
    settings: ['CLAUDE_CODE_USE_VERTEX', 'CLAUDE_CODE_USE_ANTHROPIC_GOOGLE_CLOUD'],
    variables: /^(GOOGLE_|GCLOUD_|CLOUDSDK_|VERTEX_|CLOUD_ML_REGION$)/,
    folders: ['.config/gcloud'],
    fileVariables: ['GOOGLE_APPLICATION_CREDENTIALS', 'CLOUDSDK_CONFIG'],
  },
  {
    settings: ['CLAUDE_CODE_USE_FOUNDRY'],
    variables: /^AZURE_/,
    folders: ['.azure'],
    fileVariables: ['AZURE_CONFIG_DIR', 'AZURE_FEDERATED_TOKEN_FILE', 'AZURE_CLIENT_CERTIFICATE_PATH'],
  },
];

/** Returns whether a variable belongs to a provider. An agent gets such a variable only if that provider is on. */
export function isProviderVariable(name: string): boolean {
  return providers.some(({ variables }) => variables.test(name));
}

/** Returns whether a variable belongs to a provider that is on. */
export function isUsedVariable(name: string, host: Environment): boolean {
  return used(host).some(({ variables }) => variables.test(name));
}

/** Returns the files and folders that the providers read if they are on. Paths in `below` are relative to the home. */
export function providerFiles(host: Environment): { below: string[]; absolute: string[] } {
  const active = used(host);
  const named = active.flatMap(({ fileVariables }) => fileVariables.map((name) => host[name]));
  return { below: active.flatMap(({ folders }) => folders), absolute: named.filter((path) => path !== undefined) };
}

/** Returns whether the model is reached without a Claude Code login: with a key, a token or a cloud provider. */
export function needsNoLogin(host: Environment): boolean {
  const keys = ['ANTHROPIC_API_KEY', 'ANTHROPIC_AUTH_TOKEN', 'CLAUDE_CODE_OAUTH_TOKEN'];
  return used(host).length > 0 || keys.some((name) => Boolean(host[name]));
}

function used(host: Environment): Provider[] {
  return providers.filter(({ settings }) => settings.some((name) => isOn(host[name])));
}

/** Returns whether the value of a variable turns it on, as the CLI reads it. */
function isOn(word: string | undefined): boolean {
  return /^(1|true|yes|on)$/i.test(word ?? '');
}
