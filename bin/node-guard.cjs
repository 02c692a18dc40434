// Runs before everything else, in syntax that an old Node reads too: says which Node was found and what to do.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  const installed = __dirname.split(/[/\\]/).includes('node_modules');
  const remedy = installed
    ? 'install a newer Node'
    : 'run "npm ci" without --ignore-scripts and without --omit=dev, which brings one, then use the npm scripts';
  process.stderr.write(`Cannot run on Node ${process.versions.node}: Node 22.18 or newer is needed; ${remedy}\n`);
  process.exit(1);
}
