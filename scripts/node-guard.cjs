// Runs before start and test, in syntax that an old Node reads too: says which Node was found and what to do.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  process.stderr.write(
    `Cannot run on Node ${process.versions.node}: it takes Node 22.18 or newer.\n` +
      'This package brings one: run "npm ci" without --ignore-scripts and without --omit=dev, then use the npm scripts.\n',
  );
  process.exit(1);
}
