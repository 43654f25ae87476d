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
 * @returns ends the hold without a checkpoint, and resolves when it has ended; `undefined` if the file cannot be held
 */
export async function holdOpen(
  path: string,
  identity: string,
): Promise<(() => Promise<void>) | undefined> {
  // The compiled file has another extension; both lie beside this one.
  const script = fileURLToPath(import.meta.url).replace(/hold-open(\.\w+)$/, 'hold-open-child$1')
  const child = spawn(process.execPath, ['--no-warnings', script, path], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: {},
  })
  child.stdin?.on('error', () => undefined)
  const ended = new Promise<void>((resolve) => {
    child.on('error', () => resolve())
    child.on('exit', () => resolve())
  })
  // Until it has ended it keeps the WAL index in use that the next to open should make anew.
  const release = async (): Promise<void> => {
    child.kill('SIGKILL')
    await ended
  }
  if ((await firstLine(child)) === identity) return release
  await release()
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
