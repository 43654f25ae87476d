import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** How long the other process may take, in milliseconds: it has to start and to read one page. */
const START_MS = 10_000

/**
 * Has another process open the database at `path`, so that no connection of this one can be the last
 * to close. SQLite checkpoints and deletes a log when a connection closes and gets the exclusive
 * lock on the main file (`sqlite3WalClose` in wal.c); with a log that is no longer the database's
 * that would write old pages over newer ones. It must be another process: within one, connections
 * to a file share their WAL index, so a guard here would keep the stale index in use.
 *
 * @param identity device and inode that must be held, as `identityAt` gives them
 * @returns ends the hold without a checkpoint; `undefined` if the file cannot be held
 */
export async function holdOpen(path: string, identity: string): Promise<(() => void) | undefined> {
  // The compiled file has another extension; both lie beside this one.
  const script = fileURLToPath(import.meta.url).replace(/hold-open(\.\w+)$/, 'hold-open-child$1')
  const child = spawn(process.execPath, ['--no-warnings', script, path], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: {},
  })
  child.on('error', () => undefined)
  child.stdin?.on('error', () => undefined)
  const release = (): void => {
    child.kill('SIGKILL')
  }
  if ((await firstLine(child)) === identity) return release
  release()
  return undefined
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(''), START_MS)
    const done = (line: string): void => {
      clearTimeout(timer)
      resolve(line)
    }
    child.on('error', () => done(''))
    child.on('close', () => done(''))
    let text = ''
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      if (text.includes('\n')) done(text.slice(0, text.indexOf('\n')))
    })
  })
}
