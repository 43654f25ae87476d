// A process that replicates databases with everything turned up: one stays open, the rest is let go
// at once, merges every half second, history of a few seconds.
// Usage: node soak-watcher.ts FOLDER NAME... (with an IPC channel to its parent)
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { provider } from '../../src/backends/file/index.ts'
import { Engine, FencedError } from '../../src/core/engine/index.ts'
import { ObservedStore } from '../../src/core/store/index.ts'
import { plain, SOAK } from './soak-settings.ts'

const [folder, ...names] = process.argv.slice(2) as [string, ...string[]]
const stores = await Promise.all(names.map((name) => open(name)))
const engine = new Engine({
  databases: names.map((name, i) => ({
    name,
    path: join(folder, `${name}.db`),
    store: stores[i]!,
    layout: 'ltx' as const,
    ...SOAK,
  })),
  maxOpen: 1,
  idleAfterMs: 50,
  onEvent: (event) => tell({ event: plain(event) }),
})
process.on('message', ({ id, ask }: { id: number; ask: string }) => void answer(id, ask))
process.on('SIGTERM', () => void end())
process.on('disconnect', () => process.exit(1))

try {
  await engine.start()
  tell({ ready: true })
  await engine.done()
} catch (error) {
  tell({ event: plain({ type: 'ended', error }) })
  await engine.stop(5000).catch(() => undefined)
  process.exit(error instanceof FencedError ? 75 : 1)
}

async function open(name: string): Promise<ObservedStore> {
  const url = new URL(`${pathToFileURL(join(folder, 'replica'))}/${name}?create=1`)
  return new ObservedStore(await provider.open(url, {}, {}))
}

async function answer(id: number, ask: string): Promise<void> {
  if (ask === 'sync') await engine.sync()
  const calls = stores.reduce((sum, store) => sum + store.totalCalls, 0)
  tell({ id, calls, status: plain(engine.status()) })
}

async function end(): Promise<void> {
  const unshipped = await engine.stop(20_000)
  if (unshipped.length > 0) tell({ event: plain({ type: 'unshipped', unshipped }) })
  process.exit(unshipped.length === 0 ? 0 : 1)
}

function tell(message: object): void {
  if (process.connected) process.send!(message)
}
