/** `npm run bench`: one run of all scenarios, and one table; `-- --help` describes the options. */
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { Releases } from '../src/releases.ts';
import { type Ground, prepareGround } from './bench.ts';
import { breaches, readBudget } from './budget.ts';
import { type Figures, figureName, type Scenario } from './scenario.ts';
import { scenarios } from './scenarios.ts';
import { tableOf } from './table.ts';

const usage = `npm run bench -- [--quick] [--only NAME[,NAME]] [--check] [--json FILE] [--cpu-prof FOLDER]

  --quick            fewer and shorter loads: a look, not figures to keep
  --only NAME,...    only these scenarios
  --check            fail when a figure is beyond bench/budget.json
  --json FILE        also write the figures there
  --cpu-prof FOLDER  every server leaves a CPU profile there when it ends, for the developer tools of a browser

Scenarios:
${scenarios.map(({ name, about }) => `  ${name.padEnd(16)} ${about}`).join('\n')}
`;

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    check: { type: 'boolean', default: false },
    json: { type: 'string' },
    'cpu-prof': { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

try {
  if (options.help) process.stdout.write(usage);
  else process.exitCode = await run(chosen(options.only));
} catch (error) {
  say((error as Error).message);
  process.exitCode = 1;
}
// A server that does not end must not keep the benchmark running.
process.exit();

async function run(selected: Scenario[]): Promise<number> {
  if (process.platform !== 'linux') {
    say('Cannot measure here: CPU time and memory of processes are read from /proc, which Linux has');
    return 1;
  }
  const began = performance.now();
  const machine = machineOf();
  const figures: Figures = {};
  const notes: string[] = [];
  const failures: string[] = [];
  const ground = await prepareGround({ quick: options.quick, profileFolder: options['cpu-prof'] });
  const giveUp = () => void ground.close().finally(() => process.exit(130));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, giveUp);
  try {
    for (const each of selected) await runOne(each, { ground, figures, notes, failures });
  } finally {
    await ground.close();
  }
  const budget = readBudget();
  const seconds = Math.round((performance.now() - began) / 1000);
  print(`${machine}; ${options.quick ? 'quick run' : 'full run'} of ${seconds} s\n`);
  print(tableOf(selected, figures, budget));
  for (const note of notes) print(`\n${note}`);
  if (options.json)
    writeFileSync(options.json, `${JSON.stringify({ machine, quick: options.quick, figures }, null, 2)}\n`);
  const over = options.check
    ? breaches(budget, figures, (name) => selected.some((from) => name.startsWith(`${from.name}.`)))
    : [];
  for (const breach of [...failures, ...over]) say(breach);
  return failures.length + over.length > 0 ? 1 : 0;
}

type Run = { ground: Ground; figures: Figures; notes: string[]; failures: string[] };

/** A scenario that fails does not prevent the others. */
async function runOne(each: Scenario, { ground, figures, notes, failures }: Run): Promise<void> {
  const began = performance.now();
  const releases = new Releases();
  try {
    const found = await each.run(ground.forScenario(releases, (note) => notes.push(note)));
    for (const [figure, value] of Object.entries(found)) figures[figureName(each, figure)] = value;
  } catch (error) {
    failures.push(`${each.name} failed: ${(error as Error).message}`);
  } finally {
    await releases.run();
  }
  say(`${each.name.padEnd(16)} ${((performance.now() - began) / 1000).toFixed(1)} s`);
}

function chosen(only: string | undefined): Scenario[] {
  const names = only?.split(',') ?? scenarios.map(({ name }) => name);
  return names.map((name) => {
    const found = scenarios.find((each) => each.name === name);
    if (!found) throw new Error(`Cannot run "${name}": there is no such scenario; --help lists them`);
    return found;
  });
}

function machineOf(): string {
  const manifest = new URL('../node_modules/@anthropic-ai/claude-code/package.json', import.meta.url);
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
  const memory = `${Math.round(totalmem() / 1e9)} GB`;
  const load = `load ${loadavg()[0]?.toFixed(2)} before`;
  return `${availableParallelism()} cores, ${memory}, ${load}; Node ${process.versions.node}, Claude Code ${version}`;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}
