import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Received {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

/** What it does with a request: answers with this status, or never. */
export type Answer = number | 'hang'

/** A real HTTP server that notes what it is sent. */
export class Listener {
  readonly received: Received[] = []
  /** Requests that have neither been answered nor given up by their sender. */
  readonly open = new Set<ServerResponse>()
  answer: Answer
  readonly #server = createServer((request, response) => this.#take(request, response))

  private constructor(answer: Answer) {
    this.answer = answer
  }

  static async start(answer: Answer = 200): Promise<Listener> {
    const listener = new Listener(answer)
    await new Promise<void>((resolve) => listener.#server.listen(0, '127.0.0.1', resolve))
    return listener
  }

  /** @param path what no output may show */
  url(path: string): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}${path}`
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    let body = ''
    request.setEncoding('utf8').on('data', (text: string) => {
      body += text
    })
    request.on('end', () => {
      const { method = '', url = '', headers } = request
      this.received.push({ method, path: url, headers, body })
      this.open.add(response)
      response.on('close', () => this.open.delete(response))
      if (this.answer !== 'hang') response.writeHead(this.answer).end('ok')
    })
  }
}

/** An address at which nobody listens. */
export async function nobody(path: string): Promise<string> {
  const listener = await Listener.start()
  const url = listener.url(path)
  await listener.stop()
  return url
}
