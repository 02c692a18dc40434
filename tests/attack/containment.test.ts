/** Which sandbox the server finds on hosts with fewer abilities, and which files it shows. */
import assert from 'node:assert/strict';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { bubblewrapArguments, coveredBy, hiddenFolders } from '../../src/agents/sandbox/bubblewrap.ts';
import { findContainment } from '../../src/agents/sandbox/containment.ts';
import { findToolchain } from '../../src/agents/sandbox/toolchain.ts';
import { hostEnvironment } from '../../src/config/config.ts';
import { withoutBubblewrap } from '../support/bubblewrap.ts';
import { scratchFolder } from '../support/fake-model-agent.ts';

/** A PATH with a `bwrap` that does not know some flags, as older versions. */
async function pathWithout(t: TestContext, flags: string[]): Promise<string> {
  const folder = await scratchFolder(t);
  const { PATH = '' } = hostEnvironment();
  const refusals = flags.map(
    (flag) => `case " $* " in *" ${flag} "*) echo "bwrap: Unknown option ${flag}" >&2; exit 1;; esac`,
  );
  const script = `#!/bin/sh\n${refusals.join('\n')}\nPATH='${PATH}' exec bwrap "$@"\n`;
  await writeFile(join(folder, 'bwrap'), script);
  await chmod(join(folder, 'bwrap'), 0o755);
  return folder;
}

test('an older bwrap is used, and its weakness is reported', { skip: withoutBubblewrap }, async (t) => {
  const path = await pathWithout(t, ['--disable-userns']);
  const { containment, missing } = await findContainment('auto', { PATH: `${path}:/usr/bin:/bin` });
  assert.deepEqual(containment, { kind: 'bwrap', users: 'nested' });
  assert.match(missing?.what ?? '', /may make user namespaces: bwrap is older than 0\.8/);
});

test('where no bwrap works, the reason and the remedy depend on whether it is installed', async (t) => {
  const path = await scratchFolder(t);
  assert.match((await findContainment('auto', { PATH: path })).missing?.remedy ?? '', /apt-get install bubblewrap/);
  await writeFile(join(path, 'bwrap'), '#!/bin/sh\n[ "$1" = --version ] || exit 1\n', { mode: 0o755 });
  const { containment, missing } = await findContainment('auto', { PATH: path });
  assert.notEqual(containment.kind, 'bwrap');
  assert.match(missing?.remedy ?? '', /sysctl .*apparmor_restrict_unprivileged_userns/);
});

test('homes, temporary folders and sockets are hidden, and the system itself never', () => {
  const hidden = hiddenFolders({ HOME: '/usr' }, ['/etc', '/', '/var', '/opt']);
  for (const folder of ['/home', '/root', '/tmp', '/run']) assert.ok(hidden.includes(folder), folder);
  for (const folder of ['/', '/etc', '/usr', '/var', '/opt']) assert.ok(!hidden.includes(folder), folder);
});

test('a folder below a hidden one is not hidden again', async (t) => {
  const folder = await scratchFolder(t);
  assert.ok(!hiddenFolders({ HOME: folder }, [folder]).includes(folder), 'it is below /tmp, which is hidden');
});

test('only paths that a hidden folder covers are shown again', () => {
  assert.deepEqual(coveredBy(['/home', '/tmp'], ['/home/a/tool', '/usr/bin', '/homes', '/home', '/tmp/x']), [
    '/home/a/tool',
    '/tmp/x',
  ]);
});

test('mounts that show a path come after those that hide its folder, and the work folder comes last', () => {
  const args = bubblewrapArguments(
    {
      hidden: ['/home'],
      readable: ['/home/a/tool'],
      placed: [{ from: '/data/homes/1', at: '/home/agent', writable: true }],
      workFolder: '/data/worktrees/1',
      secret: [],
    },
    'sealed',
  );
  const at = (text: string) => args.join(' ').indexOf(text);
  const order = [
    '--ro-bind / /',
    '--tmpfs /home',
    '--ro-bind-try /home/a/tool',
    '--bind /data/homes/1',
    '--bind /data/worktrees/1',
  ];
  assert.deepEqual(
    order.map(at),
    order.map(at).toSorted((a, b) => a - b),
  );
  assert.ok(order.every((text) => at(text) >= 0));
});

test('tools in a home are shown without the home', async (t) => {
  const home = await scratchFolder(t);
  const { mkdir, symlink } = await import('node:fs/promises');
  const make = async (name: string, text = '') => {
    await mkdir(join(home, name, '..'), { recursive: true });
    await writeFile(join(home, name), text, { mode: 0o755 });
  };
  for (const file of ['.nvm/versions/node/v22/bin/node', '.nvm/versions/node/v22/lib/x.js', '.cargo/credentials.toml'])
    await make(file);
  for (const file of [
    '.cargo/bin/cargo',
    '.rustup/toolchains/x',
    '.ssh/id_rsa',
    'pipx/venvs/tool/bin/tool',
    'pipx/venvs/tool/lib/x.py',
    'pipx/venvs/tool/.env',
    'claude',
  ])
    await make(file);
  await mkdir(join(home, '.local/bin'), { recursive: true });
  await symlink(join(home, 'pipx/venvs/tool/bin/tool'), join(home, '.local/bin/tool'));
  const PATH = ['.nvm/versions/node/v22/bin', '.cargo/bin', '.local/bin'].map((name) => join(home, name)).join(':');
  const { paths, variables } = findToolchain(join(home, 'claude'), { HOME: home, PATH }, [home], [home]);
  const shown = paths.map((path) => path.slice(home.length + 1)).sort();
  assert.deepEqual(shown, [
    ...['.cargo/bin', '.local/bin', '.nvm', '.nvm/versions/node/v22/bin', '.nvm/versions/node/v22/lib', '.rustup'],
    ...['claude', 'pipx/venvs/tool/bin', 'pipx/venvs/tool/lib'],
  ]);
  assert.equal(variables['RUSTUP_HOME'], join(home, '.rustup'));
});

test('folders that cannot be read are left out', () => {
  const found = findToolchain(
    '/bin/true',
    { HOME: '/etc/passwd', PATH: '/etc/passwd/bin:/usr/bin' },
    ['/etc/passwd'],
    [],
  );
  assert.deepEqual(found, { paths: [], variables: {} });
});

test('no path shown from a home contains the home or a folder of the server', async (t) => {
  const home = await scratchFolder(t);
  const { mkdir, symlink } = await import('node:fs/promises');
  for (const folder of ['.local/bin', '.local/share/data', 'bin', 'project/bin'])
    await mkdir(join(home, folder), { recursive: true });
  for (const file of ['.local/bin/t', '.local/share/data/api-key', 'project/bin/x', 'project/.env'])
    await writeFile(join(home, file), '');
  await symlink(join(home, '.local/bin/t'), join(home, 'bin/t'));
  await symlink(join(home, 'project/bin/x'), join(home, 'bin/x'));
  await symlink(home, join(home, 'bin/home'));
  const PATH = [home, join(home, 'bin'), join(home, 'bin/home'), join(home, '.local')].join(':');
  const { paths } = findToolchain('/bin/true', { HOME: home, PATH }, [home], [home, join(home, '.local/share/data')]);
  const shown = paths.map((path) => path.slice(home.length + 1)).sort();
  assert.deepEqual(shown, ['.local/bin', 'bin', 'project/bin']);
});
