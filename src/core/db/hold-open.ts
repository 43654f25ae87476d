import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** Time limit for the other process, which has to start and read one page, in milliseconds. */
const START_MS = 10_000

/**
 * Has another process open the database at `path`, so that no connection of this process can be the
 * last to close. When a connection closes and gets the exclusive lock on the main file, SQLite
 * checkpoints and deletes the log (`sqlite3WalClose` in wal.c); if the log is no longer the
 * database's own, that would overwrite newer pages with old ones. It has to be another process:
 * connections of one process to a file share their WAL index, so a guard in this process would keep
 * the stale index in use.
 *
 * @param identity device and inode that must be held, as `identityAt` gives them
 * @returns a function that ends the hold without a checkpoint and resolves when it has ended;
 *   `undefined` if the file cannot be held
 */
export async function holdOpen(
  path: string,
  identity: string,
): Promise<(() => Promise<void>) | undefined> {
  // The compiled file has another extension; both are next to this file.
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
  // Until it has ended it keeps the WAL index in use, which the next process to open the database
  // should rebuild.
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
