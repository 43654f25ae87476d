import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

const CODE = `
const { DatabaseSync } = require('node:sqlite')
const db = new DatabaseSync(process.argv[1], { timeout: 5000 })
db.exec('PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, v)')
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  let answer = 'ok'
  try {
    if (line === 'close') db.close()
    else if (line.startsWith('?')) answer = JSON.stringify(db.prepare(line.slice(1)).all())
    else db.exec(line)
  } catch (error) { answer = 'error: ' + error.message }
  process.stdout.write(answer + '\\n')
  if (line === 'close') process.kill(process.pid, 'SIGKILL')
})
process.stdout.write('ready\\n')
`

/**
 * An application in a process of its own. Connections of one process to a file share their WAL
 * index, so what happens when files are removed or replaced shows only between processes.
 */
export class OutsideApp {
  readonly #child: ChildProcess
  readonly #lines: string[] = []
  #arrived: (() => void) | undefined

  private constructor(path: string) {
    this.#child = spawn(process.execPath, ['--no-warnings', '-e', CODE, path], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    let text = ''
    this.#child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      const parts = (text + chunk).split('\n')
      text = parts.pop() ?? ''
      this.#lines.push(...parts)
      this.#arrived?.()
    })
  }

  /** Opens the database, and makes it if it is not there. */
  static async open(path: string): Promise<OutsideApp> {
    const app = new OutsideApp(path)
    await app.#line()
    return app
  }

  /** Runs SQL. @throws Error with SQLite's message */
  async exec(sql: string): Promise<void> {
    await this.#ask(sql)
  }

  /** Rows of a query, as JSON. */
  async query(sql: string): Promise<string> {
    return await this.#ask(`?${sql}`)
  }

  /** Closes the connection as an application does that ends in an orderly way. */
  async close(): Promise<void> {
    await this.#ask('close')
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      await once(this.#child, 'exit')
    }
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    this.#child.kill('SIGKILL')
    await once(this.#child, 'exit')
  }

  async #ask(line: string): Promise<string> {
    this.#child.stdin?.write(`${line}\n`)
    const answer = await this.#line()
    if (answer.startsWith('error: ')) throw new Error(answer.slice(7))
    return answer
  }

  async #line(): Promise<string> {
    while (this.#lines.length === 0) {
      await new Promise<void>((resolve) => {
        this.#arrived = resolve
      })
    }
    return this.#lines.shift()!
  }
}
