// Makes dist/: the declarations with TypeScript, which checks the sources, and the program with a bundler.
// dist/ is replaced as a whole so that a file deleted from src/ cannot live on in the package.
import { spawnSync } from 'node:child_process'
import { chmodSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { bundle } from './bundle.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
rmSync(`${root}dist`, { recursive: true, force: true })
const tsc = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url))
const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
})
if (status !== 0) process.exit(status ?? 1)
await bundle(root, `${root}dist`)
chmodSync(`${root}dist/cli/bin.js`, 0o755)
