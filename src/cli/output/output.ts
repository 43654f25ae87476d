import { printableLines } from './format.ts'
import { jsonLine } from './json-line.ts'
import { redact } from './redact.ts'

/** Results, on stdout: for people, or with `--json` one JSON value a line. Logs never go here. */
export class Output {
  readonly json: boolean
  readonly #stream: NodeJS.WritableStream
  #closed = false

  /**
   * @param options.onError told of a write that failed. No reason to end: what the command does may
   *   matter more than what it says, and its end makes an error of it
   */
  constructor(
    stream: NodeJS.WritableStream,
    options: { readonly json: boolean; readonly onError?: ((error: Error) => void) | undefined },
  ) {
    this.#stream = stream
    this.json = options.json
    stream.on('error', (error: NodeJS.ErrnoException) => {
      // `walsync watch --json | head` must not end the replication when the reader has gone.
      if (error.code === 'EPIPE') this.#closed = true
      else options.onError?.(error)
    })
  }

  /** One result in the form that the user asked for. */
  result(value: object, text: string): void {
    this.#write(this.json ? jsonLine(value) : `${printableLines(redact(text))}\n`)
  }

  /** One line of a stream of events; nothing without `--json`. */
  event(value: object): void {
    if (this.json) this.#write(jsonLine(value))
  }

  #write(text: string): void {
    if (!this.#closed) this.#stream.write(text)
  }
}
