#!/usr/bin/env node
// Only syntax and calls that very old Node versions know: this file must be able to say that one
// is too old. Everything else is imported after the check.
const major = Number(process.versions.node.split('.')[0])
if (major < 24) {
  process.stderr.write(
    `error: walsync needs Node 24 or newer; this is Node ${process.versions.node} (${process.execPath}).\n  try: Install Node 24, or put a Node 24 first in PATH; npx -p node@24 walsync fetches one for a single run.\n`,
  )
  process.exitCode = 2
} else {
  import('./package-version.ts')
    .then(({ answersVersion }) => answersVersion(process.argv.slice(2)) || start())
    .catch((error) => {
      process.stderr.write(`error: walsync could not start: ${error}\n  try: Install it again.\n`)
      process.exitCode = 1
    })
}

function start(): Promise<boolean> {
  return Promise.all([import('node:v8'), import('./compile-cache.ts')])
    .then(([v8, { keepCompiled }]) => {
      keepCompiled(process.env)
      // A watcher allocates little and for long: a young generation that stays small saves a tenth of its memory.
      if (process.argv.includes('watch')) v8.setFlagsFromString('--semi-space-growth-factor=1')
      return import('./main.ts')
    })
    .then(({ main }) => main(process.argv.slice(2)))
    .then(() => true)
}
